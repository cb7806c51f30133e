"""`tapeout issue edit`, `close`, `reopen` and `comment`: each on one issue or on many, in one transaction."""

from __future__ import annotations

import contextlib

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.claims import add_token, under_lease
from tapeout.cli.commands import add_json, read_text
from tapeout.cli.context import open_tracker
from tapeout.cli.issue_fields import add_fields, given_fields
from tapeout.cli.listing import as_data
from tapeout.cli.output import Result, counted
from tapeout.tracker.model import PERSON_RESOLUTIONS, Issue

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker


def _add_issues(parser: Describes) -> None:
    """The issues that a command works on."""
    parser.gathers_positionals = True
    parser.add_argument("issues", metavar="ID", nargs="*", help="one or more issues")
    parser.add_argument("--query", metavar="QUERY", help="all issues that fit instead, as in `issue list`")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add_token(parser)
    add_json(parser)


def _work(arguments: argparse.Namespace, do: Callable[[Tracker, Sequence[str]], list[Any]]) -> list[Any]:
    """Do something to all issues that are meant, or see what it would do; what came of it, one value an issue."""
    if bool(arguments.issues) == (arguments.query is not None):
        raise UsageError("give either issues or --query", hint="nothing was changed")
    with open_tracker() as tracker, _rehearsing(tracker, arguments.dry_run), under_lease(tracker, arguments.token):
        issues = arguments.issues if arguments.query is None else tracker.matching_ids(arguments.query)
        return do(tracker, issues)


def _rehearsing(tracker: Tracker, wanted: bool) -> contextlib.AbstractContextManager[None]:
    return tracker.rehearsing() if wanted else contextlib.nullcontext()


def _answer(arguments: argparse.Namespace, rows: Sequence[dict[str, Any]], lines: Sequence[str], verb: str) -> Result:
    """One object for one issue; a list where several were meant, however many there were."""
    several = arguments.query is not None or len(arguments.issues) > 1
    text = list(lines)
    if arguments.dry_run:
        text.append(f"{counted(len(rows), 'issue')} would be {verb}; nothing was")
    elif several:
        text.append(f"{counted(len(rows), 'issue')} {verb}")
    return Result(list(rows) if several else rows[0], "\n".join(text))


def add_edit(parser: Describes) -> None:
    """Arguments of `issue edit`."""
    _add_issues(parser)
    parser.add_argument("--title")
    parser.add_argument("--add-label", action="append", default=[], metavar="LABEL")
    parser.add_argument("--remove-label", action="append", default=[], metavar="LABEL")
    add_fields(parser)
    parser.set_defaults(run=_edit)


def _edit(arguments: argparse.Namespace) -> Result:
    fields = given_fields(arguments)
    if arguments.title is not None:
        fields["title"] = arguments.title
    if not (fields or arguments.add_label or arguments.remove_label):
        raise UsageError("nothing to change", hint="`tapeout issue edit --help` shows what can be changed")

    def do(tracker: Tracker, issues: Sequence[str]) -> list[Issue]:
        return tracker.edit_many(issues, fields, add_labels=arguments.add_label, remove_labels=arguments.remove_label)

    edited = _work(arguments, do)
    return _answer(arguments, [as_data(one) for one in edited], [f"{one.id}  {one.title}" for one in edited], "edited")


def add_close(parser: Describes) -> None:
    """Arguments of `issue close`."""
    _add_issues(parser)
    parser.add_argument("--as", dest="resolution", choices=PERSON_RESOLUTIONS, default="done")
    parser.add_argument("--of", metavar="ID", help="the issue that they are duplicates of, with --as duplicate")
    parser.add_argument("--note", default="", help="why; becomes a comment")
    parser.set_defaults(run=_close, for_people=True)


def _close(arguments: argparse.Namespace) -> Result:
    note = read_text(arguments.note)

    def do(tracker: Tracker, issues: Sequence[str]) -> list[Issue]:
        return tracker.close_many(issues, arguments.resolution, note, of=arguments.of)

    closed = _work(arguments, do)
    lines = [f"{issue.id}  closed as {issue.resolution}" for issue in closed]
    return _answer(arguments, [as_data(issue) for issue in closed], lines, "closed")


def add_reopen(parser: Describes) -> None:
    """Arguments of `issue reopen`."""
    _add_issues(parser)
    parser.set_defaults(run=_reopen, for_people=True)


def _reopen(arguments: argparse.Namespace) -> Result:
    reopened = _work(arguments, lambda tracker, issues: tracker.reopen_many(issues))
    lines = [f"{issue.id}  open" for issue in reopened]
    return _answer(arguments, [as_data(issue) for issue in reopened], lines, "reopened")


def add_comment(parser: Describes) -> None:
    """Arguments of `issue comment`."""
    _add_issues(parser)
    parser.add_argument("text", help="- reads standard input, @FILE reads a file")
    parser.set_defaults(run=_comment)


def _comment(arguments: argparse.Namespace) -> Result:
    if not arguments.issues and arguments.query is None:
        raise UsageError("give an issue and the text of the comment")
    text = read_text(arguments.text)
    comments = _work(arguments, lambda tracker, issues: tracker.comment_many(issues, text))
    lines = [] if arguments.dry_run else ["commented"]
    return _answer(arguments, [comment._asdict() for comment in comments], lines, "commented on")
