"""After a worker was killed: end what it left running, clear up, save its work, end its attempt.

Runs as a job of its own, so that the floor itself never looks into a workspace.
"""

import shutil

from tapeout.base import processes
from tapeout.base.errors import UsageError
from tapeout.base.faults import point
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.floor import policy
from tapeout.floor.budgets.accounts import settle_dead
from tapeout.floor.clearing import clear_up
from tapeout.floor.control import kill_among, killed
from tapeout.floor.handoff.leaving import leave_handoff
from tapeout.floor.isolation import Site
from tapeout.floor.saving import save_work, target_config, write_report
from tapeout.tracker import Tracker
from tapeout.workspaces import ATTEMPT_VARIABLE

STOPPED = policy.EndAttempt("stopped", "stopped by a person")


def main(state_root: str, repository_root: str, git_dir: str, branch: str, attempt: str, by_person: str = "") -> None:
    """Entry of the salvage job; safe to run again after it was killed itself.

    Args:
        by_person: not empty when a person had the worker killed, which is nobody's failure.
    """
    paths = StatePaths(state_root)
    with Tracker.open(paths, f"salvage:{attempt}") as tracker:
        dead = tracker.attempt(attempt)
        if dead.outcome is not None or processes.is_alive(dead.pid, dead.pid_started):
            return
        processes.end_marked(ATTEMPT_VARIABLE, attempt)
        config = _config(paths, branch)
        clear_up(Site(config, paths, Repository(repository_root, git_dir)), dead)
        head = save_work(paths, attempt)
        point("salvage.saved")
        earlier = [one for one in tracker.budget_attempts(dead.issue) if one.id != attempt]
        issue = tracker.issue(dead.issue)
        why = "its worker died" if issue.lease_owner == attempt else "its lease was taken away"
        decision = STOPPED if by_person else policy.after_interruption(why, earlier, config.floor)
        if (kill := kill_among(tracker.orders(attempt))) is not None:
            decision = killed(kill)
        decision = settle_dead(tracker, dead, earlier, decision, config)
        leave_handoff(tracker, paths, attempt, head)
        if decision.give_up and issue.status == "open":
            write_report(tracker, attempt, decision, head)
        shutil.rmtree(paths.worker_bells(attempt), ignore_errors=True)
        tracker.end_dead_attempt(attempt, decision.outcome, decision.detail, head=head, give_up=decision.give_up)


def _config(paths: StatePaths, branch: str) -> Config:
    """That of the target branch; if its file is not valid any more, the usual one: work is saved all the same."""
    try:
        return target_config(paths, branch)
    except UsageError:
        return Config(check=(CheckConfig(name="none", run="false"),))
