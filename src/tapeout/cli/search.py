"""`tapeout search`: issues that hold some words, best first."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_jsonl
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, as_data, cut, one_more
from tapeout.cli.output import Result, Stream, one_line

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `search`."""
    parser.add_query("words", "all of them must be there; word* finds what begins so; nothing else has a meaning")
    parser.add_argument("--where", default="", metavar="QUERY", help="only among issues that fit it, such as is:open")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_search)


def _search(arguments: argparse.Namespace) -> Result | Stream:
    with open_tracker() as tracker:
        hits = tracker.search(" ".join(arguments.words), one_more(arguments.limit), arguments.where)
    shown, more = cut(hits, arguments.limit)
    data: list[dict[str, Any]] = [
        {"issue": as_data(hit.issue), "snippet": hit.snippet, "score": hit.score} for hit in shown
    ]
    if arguments.jsonl:
        return Stream("hit", data)
    lines = []
    for row in data:
        issue = row["issue"]
        lines += [one_line(f"{issue['id']}  {issue['state']}  {issue['title']}"), f"    {row['snippet']}"]
    return Result(data, "\n".join([*lines, *more]) or "no issue holds all of these words")
