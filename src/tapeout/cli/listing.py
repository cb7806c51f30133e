"""Lists of issues: `tapeout issue list`, `tapeout issue epics`, and what other commands that list issues share."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_jsonl, limit
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, Stream, table
from tapeout.tracker import Filter
from tapeout.tracker.model import ISSUE_TYPES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, TypeVar

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Issue
    from tapeout.tracker.query.language import Condition, Query

    _T = TypeVar("_T")

LIST_LIMIT = 50


def as_data(issue: Issue, now: float | None = None) -> dict[str, Any]:
    """The JSON form of an issue; its state is that at `now` (unix seconds), or at this moment."""
    data = issue._asdict()
    data["state"] = issue.state(time.time() if now is None else now)
    return data


def listing(issues: Sequence[Issue]) -> str:
    """Issues as a table for people."""
    if not issues:
        return "no issues"
    now = time.time()
    rows = [(i.id, i.state(now), i.priority, i.type, i.title + _labels(i)) for i in issues]
    return table(("id", "state", "pri", "type", "title"), rows)


def _labels(issue: Issue) -> str:
    return f"  [{', '.join(issue.labels)}]" if issue.labels else ""


def as_limit(most: int) -> int:
    """A limit of the command line, where 0 means all, as the tracker takes it."""
    return most or -1


def one_more(most: int) -> int:
    """As `as_limit`, and one beyond it: `cut` tells by that whether there are more."""
    return most + 1 if most else -1


def cut(found: Sequence[_T], most: int) -> tuple[Sequence[_T], list[str]]:
    """What of it is shown, and the line that says that there is more, if there is.

    Args:
        found: as far as `one_more` goes.
        most: how many are shown; 0 means all.
    """
    if not most or len(found) <= most:
        return found, []
    return found[:most], [f"... and more: --limit 0 shows all (now {most})"]


def add_limit(parser: Describes) -> None:
    """How many to list."""
    parser.add_argument("--limit", type=limit, default=LIST_LIMIT, help=f"default {LIST_LIMIT}; 0 means all")


def answer(issues: Sequence[Issue], most: int, *, nothing: str = "no issues") -> Result:
    """The issues as `cut` shows them; `nothing` is said if there are none."""
    shown, more = cut(issues, most)
    now = time.time()
    data = (as_data(issue, now) for issue in shown)
    return Result(data, lambda: "\n".join([listing(shown) if shown else nothing, *more]))


def add_list(parser: Describes) -> None:
    """Arguments of `issue list`."""
    parser.add_query("query", "such as: label:api -type:epic updated:<7d; see docs/reference/queries.md")
    parser.add_argument(
        "--status", choices=("open", "closed", "all"), help="default: open, unless the query is about closed ones"
    )
    parser.add_argument("--type", choices=ISSUE_TYPES)
    parser.add_argument("--label")
    parser.add_argument("--parent", metavar="ID")
    parser.add_argument("--needs-person", action="store_true", help="only those that agents gave up")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_list)


def _list(arguments: argparse.Namespace) -> Result | Stream:
    if arguments.jsonl:
        return Stream("issue", streamed(_query(arguments), arguments.limit))
    with open_tracker() as tracker:
        most = one_more(arguments.limit)
        issues = (
            tracker.find(_query(arguments), most)
            if arguments.query
            else tracker.issues(_filter(arguments, tracker), most)
        )
    return answer(issues, arguments.limit)


def _filter(arguments: argparse.Namespace, tracker: Tracker) -> Filter:
    """What the options say, without the query language, whose import would cost as much as the query."""
    status = arguments.status or "open"
    return Filter(
        status=None if status == "all" else status,
        type=arguments.type,
        label=arguments.label,
        parent=tracker.resolve(arguments.parent) if arguments.parent else None,
        needs_person=True if arguments.needs_person else None,
    )


def streamed(query: str | Query, most: int) -> Iterator[dict[str, Any]]:
    """Issues as rows for `--jsonl`, read as they are printed."""
    with open_tracker() as tracker:
        for issue in tracker.stream(query, as_limit(most)):
            yield as_data(issue)


def _query(arguments: argparse.Namespace) -> Query:
    """The query with what the options add to it."""
    from tapeout.tracker.query import language

    query = language.parse(" ".join(arguments.query))
    status = arguments.status or ("all" if language.is_about_status(query) else "open")
    given: list[Condition] = [language.exact("status", status)] if status != "all" else []
    names = ("type", "label", "parent")
    given += [language.exact(name, getattr(arguments, name)) for name in names if getattr(arguments, name)]
    if arguments.needs_person:
        given.append(language.exact("is", "needs-person"))
    return language.narrowed(query, given)


def add_epics(parser: Describes) -> None:
    """Arguments of `issue epics`."""
    parser.add_argument("--status", choices=("open", "closed", "all"), default="open")
    parser.add_argument("--closable", action="store_true", help="only those whose children are all closed")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_epics)


def _epics(arguments: argparse.Namespace) -> Result | Stream:
    status = None if arguments.status == "all" else arguments.status
    with open_tracker() as tracker:
        epics = tracker.epics(one_more(arguments.limit), status=status, closable=arguments.closable)
    shown, more = cut(epics, arguments.limit)
    data = [{**epic._asdict(), "percent": epic.percent, "closable": epic.closable} for epic in shown]
    if arguments.jsonl:
        return Stream("epic", data)
    rows = [
        (epic.id, epic.status, f"{epic.closed}/{epic.children}", f"{epic.percent} %",
         epic.title + ("  (could be closed)" if epic.closable else ""))
        for epic in shown
    ]  # fmt: skip
    text = table(("id", "status", "closed", "done", "title"), rows) if rows else "no epics"
    return Result(data, "\n".join([text, *more]))
