"""`tapeout attach` and `tapeout replay`: what an attempt's terminal shows or showed."""

from __future__ import annotations

import argparse
import os
import sys

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.attempts import newest_attempt
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `attach` or `replay`."""
    attaches = parser.prog.endswith("attach")
    parser.add_argument("attempt", metavar="ATTEMPT", help="an attempt, or an issue (its newest attempt)")
    if not attaches:
        parser.add_argument("--speed", type=float, default=1.0, help="times the original speed; default 1")
        parser.add_argument("--idle-limit", type=float, default=2.0, metavar="SECONDS", help="longest pause; default 2")
    add_json(parser)
    parser.set_defaults(run=_attach if attaches else _replay)


def _recording(prefix: str) -> tuple[str, str]:
    """Attempt id and path of its recording."""
    from tapeout.tracker import Tracker

    paths = here().paths
    with Tracker.open(paths, actor()) as tracker:
        attempt = newest_attempt(tracker, prefix).id
    path = os.path.join(paths.terminals, f"{attempt}.cast")
    if not os.path.exists(path):
        raise NotFound(f"attempt {attempt} has no terminal recording on this machine")
    return attempt, path


def _attach(arguments: argparse.Namespace) -> None:
    from tapeout import workspaces
    from tapeout.tracker import Tracker

    attempt, path = _recording(arguments.attempt)
    with Tracker.open(here().paths, actor()) as tracker:
        workspaces.attach(path, sys.stdout, lambda: tracker.attempt(attempt).outcome is None)


def _replay(arguments: argparse.Namespace) -> None:
    from tapeout import workspaces

    if arguments.speed <= 0 or arguments.idle_limit < 0:
        raise UsageError("--speed should be above 0, --idle-limit at least 0")
    _, path = _recording(arguments.attempt)
    workspaces.replay(path, sys.stdout, speed=arguments.speed, idle_limit=arguments.idle_limit)
