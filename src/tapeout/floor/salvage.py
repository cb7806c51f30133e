"""After a worker was killed: end what it left running, save its work, end its attempt.

Runs as a job of its own, so that the floor itself never looks into a workspace.
"""

from tapeout.base import processes
from tapeout.base.faults import point
from tapeout.base.paths import StatePaths
from tapeout.floor import policy
from tapeout.floor.worker import save_work, target_config, write_report
from tapeout.tracker import Tracker

MARK = "TAPEOUT_ATTEMPT"
"""Variable that every process of an attempt has in its environment."""


def main(state_root: str, branch: str, attempt: str) -> None:
    """Entry of the salvage job; safe to run again after it was killed itself."""
    paths = StatePaths(state_root)
    with Tracker.open(paths, f"salvage:{attempt}") as tracker:
        dead = tracker.attempt(attempt)
        if dead.outcome is not None or processes.is_alive(dead.pid, dead.pid_started):
            return
        processes.end_marked(MARK, attempt)
        head = save_work(paths, attempt)
        point("salvage.saved")
        earlier = [one for one in tracker.budget_attempts(dead.issue) if one.id != attempt]
        limits = target_config(paths, branch).floor
        decision = policy.after_interruption("its worker died", earlier, limits)
        if decision.give_up and tracker.issue(dead.issue).status == "open":
            write_report(tracker, attempt, decision, head)
        tracker.end_dead_attempt(attempt, decision.outcome, decision.detail, head=head, give_up=decision.give_up)
