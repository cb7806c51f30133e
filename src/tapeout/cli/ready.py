"""`tapeout ready`: what could be started now."""

import argparse

from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, as_limit, listing, shortened, streamed
from tapeout.cli.output import Result, Stream
from tapeout.cli.parser import add_jsonl


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `ready`."""
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_ready)


def _ready(arguments: argparse.Namespace) -> Result | Stream:
    if arguments.jsonl:
        return Stream("issue", streamed("is:ready", arguments.limit))
    with open_tracker() as tracker:
        issues = tracker.ready(limit=as_limit(arguments.limit, more=1))
    return shortened(issues, arguments.limit, listing(issues) if issues else "nothing is ready")
