"""What the tracker remembers of an issue's attempts."""

from tapeout.floor.memory.model import Round, from_note
from tapeout.tracker import Tracker
from tapeout.tracker.model import FAILURES


def recall(tracker: Tracker, issue: str, *, before: int | None = None) -> tuple[Round, ...]:
    """What is remembered of an issue's attempts that count against its budget, oldest first.

    Args:
        before: number of an attempt: only of those before it.
    """
    found: list[Round] = []
    for attempt in tracker.budget_attempts(issue):
        if before is None or attempt.number < before:
            note = tracker.attempt_notes(attempt.id).get(FAILURES)
            found += from_note(note) if note else ()
    return tuple(found)
