"""`tapeout digest`: what whoever steers needs to know of everything, in at most 2,000 tokens."""

from __future__ import annotations

import os
import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import Context, actor, here, target_branch
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Issue
    from tapeout.tracker.prime.digest import Digest
    from tapeout.tracker.prime.digest_facts import FloorNow

_LONGEST_CONFIG = 1_000_000
"""Bytes: a longer file is not looked at to see whether it has lanes."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `digest`."""
    parser.add_argument("--budget", type=int, default=2_000, metavar="TOKENS", help="at most so long; default 2000")
    add_json(parser)
    parser.set_defaults(run=_digest)


def _digest(arguments: argparse.Namespace) -> Result:
    digest = digest_of(here(), arguments.budget)
    return Result(digest.as_data(), digest.text.rstrip("\n"))


def digest_of(context: Context, budget: int = 2_000) -> Digest:
    """The digest of a repository's floor and tracker."""
    from tapeout.tracker import Tracker

    with Tracker.open(context.paths, actor()) as tracker:
        return tracker.digest(budget, floor=_floor(context), lane_of=_lanes(context), held=_held(tracker))


def _floor(context: Context) -> FloorNow | None:
    if not os.path.exists(context.paths.floor_lock):
        return None
    from tapeout.floor.lock import current_floor
    from tapeout.tracker.prime.digest_facts import FloorNow

    holder = current_floor(context.paths)
    return FloorNow(holder.workers, holder.agent, holder.started_at) if holder else None


def _held(tracker: Tracker) -> list[str]:
    """Why attempts are not started, but for the queue."""
    from tapeout.tracker.model import BUDGETS_REACHED, PROVIDERS

    rests = tracker.floor_rests()
    lines = [f"the floor is paused by {rests}"] if rests else []
    if not (tracker.setting(BUDGETS_REACHED) or tracker.setting(PROVIDERS)):
        return lines  # what reads them takes longer to import than all the rest
    from tapeout.floor.budgets.run import reached_now
    from tapeout.floor.providers.pauses import read_pauses

    lines += [over.text for over in reached_now(tracker).values()]
    return lines + [f"{one.provider} is paused: {one.reason}" for one in read_pauses(tracker, time.time())]


def _lanes(context: Context) -> Callable[[Issue], str] | None:
    """What names the lane of an issue, if the repository has lanes. Reading the configuration takes longer than all the
    rest, so it is done only where the file looks as if there were some."""
    if not _mentions_lanes(os.path.join(context.repository.root, "tapeout.toml")):
        return None
    from tapeout.base.errors import TapeoutError
    from tapeout.floor.lanes import lane_of
    from tapeout.floor.saving import target_config

    try:
        config = target_config(context.paths, target_branch(context))
    except TapeoutError:  # a digest is no place to complain about a configuration
        return None
    return (lambda issue: lane_of(issue, config)[0]) if config.lane else None


def _mentions_lanes(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"[lane." in file.read(_LONGEST_CONFIG)
    except OSError:
        return False
