"""`tapeout ready`: what could be started now."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_jsonl
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, answer, one_more, streamed
from tapeout.cli.output import Result, Stream

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.tracker.query.language import Query


def add_arguments(parser: Describes) -> None:
    """Arguments of `ready`."""
    parser.add_query("query", "only those that fit, such as: label:api; see docs/reference/queries.md")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_ready)


def _ready(arguments: argparse.Namespace) -> Result | Stream:
    if arguments.jsonl:
        return Stream("issue", streamed(_query(arguments), arguments.limit))
    with open_tracker() as tracker:
        most = one_more(arguments.limit)
        issues = tracker.find(_query(arguments), most) if arguments.query else tracker.ready(limit=most)
    return answer(issues, arguments.limit, nothing="nothing is ready")


def _query(arguments: argparse.Namespace) -> Query:
    from tapeout.tracker.query import language

    return language.narrowed(language.parse(" ".join(arguments.query)), [language.exact("is", "ready")])
