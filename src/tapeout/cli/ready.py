"""`tapeout ready`: what could be started now."""

import argparse

from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, as_limit, listing, shortened, streamed
from tapeout.cli.output import Result, Stream
from tapeout.cli.parser import Parser, add_jsonl


def add_arguments(parser: Parser) -> None:
    """Arguments of `ready`."""
    parser.add_query("query", "only those that fit, such as: label:api; see docs/reference/queries.md")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_ready)


def _ready(arguments: argparse.Namespace) -> Result | Stream:
    from tapeout.tracker import querylang

    query = querylang.narrowed(querylang.parse(" ".join(arguments.query)), [querylang.of("is", "ready")])
    if arguments.jsonl:
        return Stream("issue", streamed(query, arguments.limit))
    with open_tracker() as tracker:
        issues = tracker.find(query, as_limit(arguments.limit, more=1))
    return shortened(issues, arguments.limit, listing(issues) if issues else "nothing is ready")
