"""What solved a failure elsewhere: issues that landed after an attempt on them had failed in the same way.

That the change which landed is what mended the failure is likely, not certain: the issue may have had other failures,
too. What is told is therefore what is on record: the commit and its files.
"""

from collections.abc import Collection
from dataclasses import dataclass

from tapeout.floor.memory.model import Round, Signature, from_note
from tapeout.tracker import Tracker
from tapeout.tracker.model import FAILURES
from tapeout.tracker.reports.failures import Recurrence

MOST_SOLUTIONS = 3
"""That a session is told."""

LOOKED_AT = 50
"""Newest attempts among which they are looked for, so that a common failure costs no more than a rare one."""


@dataclass(frozen=True)
class Solution:
    """A change that landed on another issue, which had failed in the same way before."""

    signature: Signature
    issue: str
    title: str
    commit: str
    """As which it landed."""
    files: tuple[str, ...]
    gist: tuple[str, ...]
    """Its first changed lines."""


def find_solutions(tracker: Tracker, signatures: Collection[str], issue: str = "") -> tuple[Solution, ...]:
    """What landed on other issues that had failed in one of these ways, newest first, one an issue.

    Args:
        signatures: full ids.
        issue: the issue that is asked for, which is left out.
    """
    if not signatures:
        return ()
    found: dict[str, Solution] = {}
    for one in tracker.recurrences(sorted(signatures), LOOKED_AT, besides=issue, landed=True):
        if one.issue not in found and len(found) < MOST_SOLUTIONS:
            found[one.issue] = _solution(one, issue_rounds(tracker, one.issue))
    return tuple(found.values())


def issue_rounds(tracker: Tracker, issue: str) -> tuple[Round, ...]:
    """All that is remembered of an issue's attempts, oldest first."""
    notes = (tracker.attempt_notes(attempt.id).get(FAILURES) for attempt in tracker.attempts(issue))
    return tuple(one for note in notes if note for one in from_note(note))


def describe(signature: str, rounds: Collection[Round]) -> Signature:
    """The signature with this id, as the rounds have it."""
    named = (one for each in rounds for one in each.signatures if one.id == signature)
    return next(named, Signature(signature, "a check", "", "", ""))


def _solution(found: Recurrence, rounds: tuple[Round, ...]) -> Solution:
    patch = next((one.patch for one in reversed(rounds) if one.passed), None)
    return Solution(
        signature=describe(found.signature, rounds),
        issue=found.issue,
        title=found.title,
        commit=found.landed_commit or "",
        files=patch.files if patch is not None else (),
        gist=patch.gist if patch is not None else (),
    )
