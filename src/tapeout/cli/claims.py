"""`tapeout claim`, `tapeout renew` and `tapeout release`: leases held by hand."""

from __future__ import annotations

import contextlib

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.moments import clock
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here, open_tracker
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Lease

HAND_LEASE_SECONDS = 3600.0
"""People are slower than workers: a lease taken by hand lives for an hour by default."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `claim`, `renew` or `release`."""
    command = parser.prog.rpartition(" ")[2]
    claims, run = command == "claim", {"claim": _claim, "renew": _renew, "release": _release}[command]
    parser.add_argument("issue", metavar="ID", nargs="?" if claims else None)
    parser.add_argument("--as", dest="owner", metavar="NAME", help="who holds it; default: you")
    if claims:
        parser.add_argument("--next", action="store_true", help="take the most urgent ready issue")
        parser.add_argument("--label", action="append", default=[], help="with --next: one that has it; repeatable")
    if command == "release":
        parser.add_argument("--force", action="store_true", help="release somebody else's claim")
    else:
        parser.add_argument("--lease", type=float, default=HAND_LEASE_SECONDS, metavar="SECONDS", help="default 3600")
    add_json(parser)
    parser.set_defaults(run=run, for_people=True)


def add_token(parser: Describes) -> None:
    """Give a command that writes the option to do so only while a claim lasts."""
    parser.add_argument(
        "--token", type=int, metavar="N", help="of your claim, as claim --json gives it: refused once you have lost it"
    )


def under_lease(tracker: Tracker, token: int | None) -> contextlib.AbstractContextManager[None]:
    """Writes to issues only while the caller's claim with this token lasts; without a token, at any time."""
    return contextlib.nullcontext() if token is None else tracker.under_lease(actor(), token)


def _claim(arguments: argparse.Namespace) -> Result:
    if (arguments.issue is None) != arguments.next:
        raise UsageError("give either an issue or --next")
    if arguments.label and not arguments.next:
        raise UsageError("--label goes with --next")
    owner, seconds = arguments.owner or actor(), _seconds(arguments)
    with open_tracker() as tracker:
        if arguments.next:
            lease = _shared(tracker, lambda: tracker.claim_next(owner, seconds, arguments.label), again=True)
        else:
            lease = _shared(tracker, lambda: tracker.claim(arguments.issue, owner, seconds))
        return _told(tracker, lease)


def _renew(arguments: argparse.Namespace) -> Result:
    seconds = _seconds(arguments)
    with open_tracker() as tracker:
        held = tracker.held_lease(arguments.issue, arguments.owner or actor())
        return _told(tracker, _shared(tracker, lambda: tracker.renew(held, seconds), keep=True))


def _release(arguments: argparse.Namespace) -> Result:
    owner = arguments.owner or actor()
    with open_tracker() as tracker:
        issue = tracker.release_issue(arguments.issue, owner, force=arguments.force)
        if _remote(tracker):
            from tapeout.tracker.sharing.leases import SharedLeases

            shared = SharedLeases.through(tracker, here().repository, _remote(tracker))
            shared.exchange()
            shared.give_back(issue.id)
    return Result({"issue": issue.id}, f"{issue.id}  released")


def _seconds(arguments: argparse.Namespace) -> float:
    seconds: float = arguments.lease
    if not 0 < seconds < 1e8:
        raise UsageError("--lease should be a number of seconds above 0")
    return seconds


def _told(tracker: Tracker, lease: Lease) -> Result:
    title = tracker.issue(lease.issue).title
    return Result(lease._asdict(), f"{lease.issue}  {title}\nyours until {clock(lease.expires)}")


def _remote(tracker: Tracker) -> str:
    """The remote that claims are shared through, or nothing; a literal, so that no more is imported than needed."""
    return tracker.setting("shared-claims")


def _shared(tracker: Tracker, take: Callable[[], Lease], *, again: bool = False, keep: bool = False) -> Lease:
    """Take a lease here, then on the remote if claims are shared.

    Args:
        again: take the next one if another clone holds it.
        keep: the lease stays when the remote cannot be asked: it was held before.
    """
    while True:
        lease = take()
        if not _remote(tracker):
            return lease
        from tapeout.tracker.sharing.leases import HeldElsewhere, SharedLeases

        try:
            shared = SharedLeases.through(tracker, here().repository, _remote(tracker))
            shared.take(lease.issue, lease.owner, lease.expires)
        except HeldElsewhere as error:
            tracker.release(lease)
            tracker.note_held_elsewhere(lease.issue, error.lease.owner, error.lease.expires)
            if not again:
                raise
        except BaseException:
            if not keep:
                tracker.release(lease)
            raise
        else:
            return lease
