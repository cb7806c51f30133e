"""What the executor starts when changes are queued."""

import signal
import sys
from types import FrameType

from tapeout.base.paths import Repository, StatePaths
from tapeout.gate.lander import run_queue
from tapeout.gate.runs import wait_unlocked


def main(state_root: str, repository_root: str, git_dir: str) -> None:
    """Work on the queue of one repository until it is empty, once a gate of a floor that was killed has ended its work.

    SIGTERM ends the running check, then this process.

    Raises:
        EnvironmentProblem: the hub or the tracker cannot be used at all.
    """
    signal.signal(signal.SIGTERM, _leave)
    paths = StatePaths(state_root)
    wait_unlocked(paths.queue_lock)
    run_queue(paths, Repository(repository_root, git_dir))


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
