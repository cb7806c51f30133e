"""What follows a verdict or the end of an attempt: refine, a fresh session, or a person. Pure functions of data."""

from collections.abc import Sequence
from dataclasses import dataclass

from tapeout.config import FloorConfig
from tapeout.tracker.model import Attempt, Outcome

_FAULTLESS: tuple[Outcome, ...] = ("conflict", "interrupted")
"""Outcomes that are not the work's fault; they have a budget of their own."""


@dataclass(frozen=True)
class Refine:
    """Give the findings to the same session and let it try again."""


@dataclass(frozen=True)
class EndAttempt:
    """End the attempt; a fresh session follows unless `give_up` says why no agent should go on."""

    outcome: Outcome
    detail: str
    give_up: str | None = None


def after_failure(reason: str, rounds: int, earlier: Sequence[Attempt], limits: FloorConfig) -> Refine | EndAttempt:
    """What follows a failed verdict or a turn without a change.

    Args:
        reason: what failed, one line.
        rounds: prompts given in this session so far.
        earlier: the issue's attempts before this one that count against its budget.
    """
    if rounds <= limits.refine_rounds:
        return Refine()
    failed = 1 + sum(attempt.outcome == "failed" for attempt in earlier)
    give_up = f"{_count(failed, 'session')} failed; last: {reason}" if failed >= limits.sessions else None
    return EndAttempt("failed", reason, give_up)


def after_conflict(paths: Sequence[str], earlier: Sequence[Attempt], limits: FloorConfig) -> EndAttempt:
    """What follows a merge conflict: a fresh session that starts from the new main."""
    reason = f"merge conflict in {', '.join(paths)}"
    return EndAttempt("conflict", reason, _faultless_limit(reason, earlier, limits))


def after_interruption(reason: str, earlier: Sequence[Attempt], limits: FloorConfig) -> EndAttempt:
    """What follows when an agent or its worker died, hung or could not be started."""
    return EndAttempt("interrupted", reason, _faultless_limit(reason, earlier, limits))


def resume_from(earlier: Sequence[Attempt]) -> Attempt | None:
    """The attempt whose saved work the next one continues, or None to start from main.

    Work that was cut off goes on where it was. Work that failed its verdicts is left behind: a fresh session that is
    told what was tried does better than one that inherits it. Work that conflicts must be done again on the new main.
    An attempt that was cut off before it did anything hides no work of the one before it.
    """
    for attempt in reversed(earlier):
        if attempt.outcome not in ("interrupted", "stopped"):
            return None
        if attempt.head is not None and attempt.head != attempt.base:
            return attempt
    return None


def _faultless_limit(reason: str, earlier: Sequence[Attempt], limits: FloorConfig) -> str | None:
    times = 1 + sum(attempt.outcome in _FAULTLESS for attempt in earlier)
    return f"cut off {_count(times, 'time')}; last: {reason}" if times >= limits.interruptions else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
