"""`tapeout stop`: a clean stop of the floor."""

from __future__ import annotations

import argparse
import time

from tapeout.base.errors import Busy, NotFound
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.output import Result

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes

WAIT_SECONDS = 60.0
"""How long to wait for the floor to end."""

LOOK_SECONDS = 0.05


def add_arguments(parser: Describes) -> None:
    """Arguments of `stop`."""
    parser.add_argument("--now", action="store_true", help="kill the workers; what they did is saved all the same")
    add_json(parser)
    parser.set_defaults(run=_stop, for_people=True)


def _stop(arguments: argparse.Namespace) -> Result:
    from tapeout.floor.lock import ask_to_stop, current_floor

    paths = here().paths
    holder = current_floor(paths)
    if holder is None:
        raise NotFound("no floor runs on this repository")
    ask_to_stop(holder)
    if arguments.now:
        time.sleep(LOOK_SECONDS)
        ask_to_stop(holder)
    deadline = time.monotonic() + WAIT_SECONDS
    while current_floor(paths) is not None:
        if time.monotonic() > deadline:
            raise Busy(f"process {holder.pid} has not stopped within {WAIT_SECONDS:.0f} s", hint="try --now")
        time.sleep(LOOK_SECONDS)
    return Result({"pid": holder.pid}, f"the floor (process {holder.pid}) has stopped; work in progress is saved")
