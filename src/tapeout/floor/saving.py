"""How an attempt's work is kept when it ends, and what a person is told when no agent goes on."""

from tapeout import gate, workspaces
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import StatePaths
from tapeout.config import Config
from tapeout.floor import policy
from tapeout.floor.memory.model import signature_ids
from tapeout.floor.memory.recall import recall
from tapeout.floor.memory.solutions import find_solutions
from tapeout.floor.prompting.assignment import changes_by_attempt
from tapeout.floor.report import give_up_report
from tapeout.tracker import Tracker


def save_work(paths: StatePaths, attempt: str) -> str | None:
    """Bring all that the workspace holds to the hub and remove it; the commit that the attempt's work ends at."""
    workspaces.remove(paths, attempt)
    return resolve(open_bare(paths.hub), f"refs/tapeout/attempts/{attempt}")


def write_report(tracker: Tracker, attempt: str, decision: policy.EndAttempt, head: str | None) -> None:
    """Comment on the issue, for a person, why no agent goes on and what was tried."""
    issue = tracker.issue(tracker.attempt(attempt).issue)
    counted = [
        one if one.id != attempt else one._replace(outcome=decision.outcome, detail=decision.detail, head=head)
        for one in tracker.budget_attempts(issue.id)
    ]
    changes = changes_by_attempt(tracker.all_changes(issue.id))
    rounds = recall(tracker, issue.id)
    solutions = find_solutions(tracker, signature_ids(rounds), issue.id)
    report = give_up_report(issue, decision.give_up or "", counted, changes, rounds, solutions)
    tracker.comment(issue.id, report)


def target_config(paths: StatePaths, branch: str) -> Config:
    """What `tapeout.toml` says at the tip of the target branch in the hub."""
    hub = open_bare(paths.hub)
    commit = resolve(hub, f"refs/heads/{branch}")
    assert commit is not None
    return gate.load_config(hub, commit)
