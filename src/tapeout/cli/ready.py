"""`tapeout ready`: what could be started now."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, limit
from tapeout.cli.context import open_tracker
from tapeout.cli.issue import LIST_LIMIT, listing, shortened
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `ready`."""
    parser.add_argument("--limit", type=limit, default=LIST_LIMIT, help=f"default {LIST_LIMIT}; 0 means all")
    add_json(parser)
    parser.set_defaults(run=_ready)


def _ready(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issues = tracker.ready(limit=arguments.limit + 1 if arguments.limit else -1)
    return shortened(issues, arguments.limit, lambda: listing(issues) if issues else "nothing is ready")
