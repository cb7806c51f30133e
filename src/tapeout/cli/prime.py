"""`tapeout prime`: what a fresh session needs to know of the plan."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `prime`."""
    from tapeout.tracker.prime.primer import DEFAULT_BUDGET

    help_text = f"at most so long; default {DEFAULT_BUDGET}"
    parser.add_argument("--budget", type=int, default=DEFAULT_BUDGET, metavar="TOKENS", help=help_text)
    parser.add_argument("--issue", metavar="ID", help="centre it on one issue")
    add_json(parser)
    parser.set_defaults(run=_prime)


def _prime(arguments: argparse.Namespace) -> Result:
    from tapeout.tracker import Tracker
    from tapeout.tracker.prime.facts import reader_at

    context = here()
    with Tracker.open(context.paths, actor()) as tracker:
        primer = tracker.prime(arguments.budget, arguments.issue, reader=reader_at(context.repository.root))
    return Result(primer.as_data(), primer.text.rstrip("\n"))
