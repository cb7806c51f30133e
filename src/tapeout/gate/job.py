"""What the executor starts when changes are queued."""

from tapeout.base.leaving import leave_when_asked
from tapeout.base.paths import Repository, StatePaths
from tapeout.gate.lander import run_queue
from tapeout.gate.runs import wait_unlocked


def main(state_root: str, repository_root: str, git_dir: str) -> None:
    """Work on the queue of one repository until it is empty, once a gate of a floor that was killed has ended its work.

    SIGTERM ends the running check, then this process.

    Raises:
        EnvironmentProblem: the hub or the tracker cannot be used at all.
    """
    leave_when_asked()
    paths = StatePaths(state_root)
    wait_unlocked(paths.queue_lock)
    run_queue(paths, Repository(repository_root, git_dir))
