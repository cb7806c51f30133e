"""`tapeout claim` and `tapeout release`: leases held by hand."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, open_tracker
from tapeout.cli.output import Result, clock

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes

HAND_LEASE_SECONDS = 3600.0
"""People are slower than workers: a lease taken by hand lives for an hour by default."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `claim` or `release`."""
    claims = parser.prog.endswith("claim")
    parser.add_argument("issue", metavar="ID", nargs="?" if claims else None)
    parser.add_argument("--as", dest="owner", metavar="NAME", help="who holds it; default: you")
    if claims:
        parser.add_argument("--next", action="store_true", help="take the most urgent ready issue")
        parser.add_argument("--lease", type=float, default=HAND_LEASE_SECONDS, metavar="SECONDS", help="default 3600")
    else:
        parser.add_argument("--force", action="store_true", help="release somebody else's claim")
    add_json(parser)
    parser.set_defaults(run=_claim if claims else _release, for_people=True)


def _claim(arguments: argparse.Namespace) -> Result:
    if (arguments.issue is None) != arguments.next:
        raise UsageError("give either an issue or --next")
    if not 0 < arguments.lease < 1e8:
        raise UsageError("--lease should be a number of seconds above 0")
    owner = arguments.owner or actor()
    with open_tracker() as tracker:
        if arguments.next:
            lease = tracker.claim_next(owner, arguments.lease)
        else:
            lease = tracker.claim(arguments.issue, owner, arguments.lease)
        title = tracker.issue(lease.issue).title
    return Result(lease._asdict(), f"{lease.issue}  {title}\nyours until {clock(lease.expires)}")


def _release(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issue = tracker.release_issue(arguments.issue, arguments.owner or actor(), force=arguments.force)
    return Result({"issue": issue.id}, f"{issue.id}  released")
