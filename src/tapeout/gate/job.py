"""What the executor starts when changes are queued."""

import signal
import sys
from types import FrameType

from tapeout.base.paths import Repository, StatePaths
from tapeout.gate.lander import run_queue


def main(state_root: str, repository_root: str, git_dir: str) -> None:
    """Work on the queue of one repository until it is empty. SIGTERM ends the running check, then this process.

    Raises:
        EnvironmentProblem: the hub or the tracker cannot be used at all.
    """
    signal.signal(signal.SIGTERM, _leave)
    run_queue(StatePaths(state_root), Repository(repository_root, git_dir))


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
