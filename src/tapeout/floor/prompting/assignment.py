"""All that goes into the first prompt of a session, and how it is read from the tracker: for a worker and for a person
who wants to see what a worker would be told, alike."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tapeout.config import CheckConfig, Config
from tapeout.floor.handoff import HANDOFF, Handoff, read_handoff
from tapeout.floor.memory.model import Round, signature_ids
from tapeout.floor.memory.recall import recall
from tapeout.floor.memory.solutions import Solution, find_solutions
from tapeout.floor.policy import RESUMED, resume_from
from tapeout.floor.words import said_to_earlier
from tapeout.tracker import Tracker
from tapeout.tracker.model import Attempt, Change, Comment, Issue, Order, Question


@dataclass(frozen=True)
class Assignment:
    """What a session is to do and what is known about it."""

    issue: Issue
    number: int
    """Which attempt on the issue this is, from 1."""
    branch: str
    checks: Sequence[CheckConfig]
    comments: Sequence[Comment] = ()
    earlier: Sequence[Attempt] = ()
    """Attempts before this one."""
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    """Attempt id to the changes that it submitted."""
    resumed: Attempt | None = None
    """The attempt whose saved work is in the workspace."""
    handoff: Handoff | None = None
    """What the session before left, if its work goes on."""
    remembered: Sequence[Round] = ()
    """Rounds of the attempts before this one, oldest first."""
    said: Sequence[Order | Question] = ()
    """What people said to the sessions before this one, oldest first."""
    solutions: Sequence[Solution] = ()
    """What landed on other issues that had failed in the same way."""
    permissions: Collection[str] = ()
    """What a person allowed the changes of this issue (`tapeout.tracker.model.PERMISSIONS`)."""


def read_assignment(
    tracker: Tracker, config: Config, branch: str, issue: str, attempt: Attempt | None = None
) -> Assignment:
    """What a session on an issue is told.

    Args:
        config: that of the target branch.
        branch: the target branch.
        attempt: the one that begins; None: the one that would begin next.

    Raises:
        NotFound: there is no such issue.
    """
    subject = tracker.issue(issue)
    earlier = [one for one in tracker.budget_attempts(subject.id) if attempt is None or one.id != attempt.id]
    number = attempt.number if attempt else 1 + max((one.number for one in tracker.attempts(subject.id)), default=0)
    remembered = recall(tracker, subject.id, before=number)
    return Assignment(
        issue=subject,
        number=number,
        branch=branch,
        checks=config.check,
        comments=tracker.comments(subject.id),
        earlier=earlier,
        changes=changes_by_attempt(tracker.all_changes(subject.id)),
        resumed=resume_from(earlier),
        handoff=_handoff(tracker, earlier),
        remembered=remembered,
        said=said_to_earlier(
            (order for one in earlier for order in tracker.orders(one.id)),
            (question for one in earlier for question in tracker.questions(attempt=one.id)),
        ),
        solutions=find_solutions(tracker, signature_ids(remembered), subject.id),
        permissions=tracker.permissions(subject.id),
    )


def _handoff(tracker: Tracker, earlier: Sequence[Attempt]) -> Handoff | None:
    """The newest handoff of the attempts that were cut off since the last one that was not."""
    for attempt in reversed(earlier):
        if attempt.outcome not in RESUMED:
            return None
        handoff = read_handoff(tracker.attempt_notes(attempt.id).get(HANDOFF))
        if handoff is not None:
            return handoff
    return None


def changes_by_attempt(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Attempt id to its changes, in order of submission."""
    found: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda one: one.submitted_at):
        found.setdefault(change.attempt, []).append(change)
    return found
