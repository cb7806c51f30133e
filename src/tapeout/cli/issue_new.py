"""`tapeout issue new`."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, read_text, source
from tapeout.cli.context import open_tracker
from tapeout.cli.issue_fields import OPTIONS, add_fields, given_fields
from tapeout.cli.listing import as_data, listing
from tapeout.cli.output import Result
from tapeout.tracker import Draft, Tracker

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.tracker.model import DependencyKind, Issue

_LINKS: tuple[tuple[str, DependencyKind, str], ...] = (
    ("depends-on", "blocks", "an issue that must be closed first; repeatable"),
    ("conditional-on", "conditional", "runs only if that issue fails; repeatable"),
    ("related", "related", "repeatable"),
    ("discovered-from", "discovered-from", "the issue during whose work it was found; repeatable"),
    ("duplicates", "duplicates", "repeatable"),
    ("supersedes", "supersedes", "repeatable"),
)
"""Option to the kind of dependency that it makes."""


def add_new(parser: Describes) -> None:
    """Arguments of `issue new`."""
    parser.add_argument("title", nargs="?")
    parser.add_argument("--file", metavar="FILE", help="Markdown with front matter, one issue or many; - is stdin")
    parser.add_argument("--label", action="append", default=[], metavar="LABEL", help="repeatable")
    for name, _kind, text in _LINKS:
        parser.add_argument(f"--{name}", action="append", default=[], metavar="ID", help=text)
    add_fields(parser)
    add_json(parser)
    parser.set_defaults(run=_new)


def _new(arguments: argparse.Namespace) -> Result:
    if (arguments.title is None) == (arguments.file is None):
        raise UsageError("give either a title or --file", hint="`tapeout issue new --help` shows how to use it")
    _refuse_fields_with_file(arguments)
    with open_tracker() as tracker:
        if arguments.file is None:
            issue = tracker.create(_draft(arguments))
            return Result(as_data(issue), f"{issue.id}  {issue.title}")
        issues = file_issues(tracker, arguments.file)
    return Result([as_data(issue) for issue in issues], listing(issues))


def _draft(arguments: argparse.Namespace) -> Draft:
    fields = given_fields(arguments)
    fields["scope"] = tuple(fields.get("scope", ()))
    links = tuple((target, kind) for name, kind, _ in _LINKS for target in _targets(arguments, name))
    return Draft(arguments.title, labels=tuple(arguments.label), links=links, **fields)


def _targets(arguments: argparse.Namespace, name: str) -> list[str]:
    return list(getattr(arguments, name.replace("-", "_")))


def _refuse_fields_with_file(arguments: argparse.Namespace) -> None:
    """A file says everything about its issues: what is given beside it would be ignored."""
    names = (*OPTIONS, "label", *(name.replace("-", "_") for name, *_ in _LINKS))
    given = [name for name in names if getattr(arguments, name) not in (None, [])]
    if arguments.file is not None and given:
        option = given[0].replace("_", "-")
        raise UsageError(f"--{option} cannot be given with --file", hint="write it into the file's front matter")


def file_issues(tracker: Tracker, path: str) -> list[Issue]:
    """File all issues of a Markdown file, in one transaction."""
    from tapeout.tracker.drafts import parse_drafts

    text = read_text("-" if path == "-" else f"@{path}")
    return tracker.create_many(parse_drafts(text, source(path)))
