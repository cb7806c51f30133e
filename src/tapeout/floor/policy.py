"""What follows a verdict, a cut or the end of an attempt: refine, a fresh session, another agent, or a person. Pure.

The ladder that an issue climbs while it does not land: the same session is given the findings, and told once when it
goes in circles (`floor.guards.Tell`); a fresh session that knows the dead ends; the next agent of the lane's chain;
a person, with a report that proposes how to split the issue (`floor.report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapeout.floor.cuts import CutKind
from tapeout.tracker.model import Attempt, Outcome

if TYPE_CHECKING:
    from tapeout.config import FloorConfig  # status reads what is held, without any configuration

_FAULTLESS: tuple[Outcome, ...] = ("conflict", "interrupted")
"""Outcomes that are not the work's fault; they have a budget of their own."""

OUTCOME_OF_CUT: Mapping[CutKind, Outcome] = {
    "context": "handoff",
    "person": "handoff",
    "spiral": "failed",
    "budget": "over-budget",
    "stalled": "interrupted",
    "provider": "unavailable",
}
"""How an attempt ends that was cut. Only a spiral is the work's failure."""

WAITS_FOR_VERDICT: tuple[CutKind, ...] = ("context",)
"""Cuts that let a change which was submitted be decided on first: if it lands, no session has to go on."""

RESUMED: tuple[Outcome, ...] = ("interrupted", "stopped", "handoff", "unavailable", "over-budget")
"""Outcomes after which the next attempt goes on from the saved work."""

FRUITLESS_HANDOFFS = 2
"""Sessions in a row that may hand over without having added anything to the work: a third would not, either."""

SPIRALS_AN_AGENT = 2
"""Sessions of one agent that may be cut as spirals: one that knew the dead ends and went in circles again will not
do better a third time (repair gains fall off after two rounds, arXiv 2604.10508)."""

SPIRAL = "went in circles: "
"""What the detail of an attempt begins with that was cut as a spiral; the evidence follows."""


HELD = "held by "
"""What the reason begins with why no agent goes on with an issue that a person keeps for themselves."""


@dataclass(frozen=True)
class Refine:
    """Give the findings to the same session and let it try again."""


@dataclass(frozen=True)
class EndAttempt:
    """End the attempt; a fresh session follows unless `give_up` says why no agent should go on."""

    outcome: Outcome
    detail: str
    give_up: str | None = None


def after_failure(
    reason: str,
    rounds: int,
    earlier: Sequence[Attempt],
    limits: FloorConfig,
    *,
    agent: str = "",
    chain: Sequence[str] = (),
) -> Refine | EndAttempt:
    """What follows a failed verdict or a turn without a change.

    Args:
        reason: what failed, one line.
        rounds: prompts given in this session so far.
        earlier: the issue's attempts before this one that count against its budget.
        agent: whose session it is.
        chain: the agents that may work on the issue, in order; `floor.sessions` holds for each.
    """
    if rounds <= limits.refine_rounds:
        return Refine()
    return EndAttempt("failed", reason, _sessions_limit(reason, earlier, limits, agent, chain))


def after_cut(
    kind: CutKind,
    evidence: str,
    earlier: Sequence[Attempt],
    limits: FloorConfig,
    *,
    agent: str = "",
    chain: Sequence[str] = (),
    fruitless: bool = False,
) -> EndAttempt:
    """What follows when a guard ended the session.

    Args:
        evidence: what the guard saw, one line. Whether an issue goes on that reached a budget is `budgets.accounts`'
            to say.
        earlier: as for `after_failure`; `agent` and `chain`, too.
        fruitless: the session is known to have added nothing to the work. A person who cut it may have had a reason.
    """
    outcome = OUTCOME_OF_CUT[kind]
    match outcome:
        case "failed":
            detail = SPIRAL + evidence
            return EndAttempt(outcome, detail, _sessions_limit(detail, earlier, limits, agent, chain))
        case "interrupted":
            return after_interruption(evidence, earlier, limits)
        case "handoff":
            give_up = _fruitless_limit(evidence, earlier) if fruitless and kind == "context" else None
            give_up = give_up or _limit("handed over", "handoff", evidence, earlier, limits.handoffs)
            return EndAttempt(outcome, evidence, give_up)
    return EndAttempt(outcome, evidence)


def after_cut_turn(kind: CutKind, decided: Refine | EndAttempt | None) -> EndAttempt | None:
    """What the verdict on a turn says in spite of a cut; None if the cut decides (`after_cut`).

    Args:
        decided: what would follow the verdict if nobody had cut; None if there was none.
    """
    if not isinstance(decided, EndAttempt):
        return None
    over = decided.outcome in ("landed", "stopped")  # whatever a guard saw, there is nothing left to do
    return decided if over or kind in WAITS_FOR_VERDICT else None


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
        if attempt.outcome not in RESUMED:
            return None
        if attempt.head is not None and attempt.head != attempt.base:
            return attempt
    return None


def agents_left(chain: Sequence[str], counted: Sequence[Attempt], limits: FloorConfig) -> tuple[str, ...]:
    """The agents of the chain that may still work on an issue; the first of them is next.

    Args:
        chain: the agents that may work on the issue, in order.
        counted: the issue's attempts that count against its budget.
    """
    return tuple(agent for agent in chain if not _is_spent(agent, counted, limits))


def is_spiral(attempt: Attempt) -> bool:
    """Whether it was cut because it went in circles."""
    return attempt.outcome == "failed" and attempt.detail.startswith(SPIRAL)


def _is_spent(agent: str, counted: Sequence[Attempt], limits: FloorConfig) -> bool:
    failed = [attempt for attempt in counted if attempt.agent == agent and attempt.outcome == "failed"]
    return len(failed) >= limits.sessions or sum(map(is_spiral, failed)) >= SPIRALS_AN_AGENT


def _sessions_limit(
    reason: str, earlier: Sequence[Attempt], limits: FloorConfig, agent: str, chain: Sequence[str]
) -> str | None:
    """Why no agent should go on after one more failed session."""
    failed = [attempt for attempt in earlier if attempt.outcome == "failed"]
    spirals = sum(map(is_spiral, failed)) + reason.startswith(SPIRAL)
    said = f"{_count(1 + len(failed), 'session')} failed; last: {reason}"
    if not chain:
        return said if 1 + len(failed) >= limits.sessions or spirals >= SPIRALS_AN_AGENT else None
    own = [attempt for attempt in failed if attempt.agent == agent]
    own_spirals = sum(map(is_spiral, own)) + reason.startswith(SPIRAL)
    if 1 + len(own) < limits.sessions and own_spirals < SPIRALS_AN_AGENT:
        return None
    others = agents_left([one for one in chain if one != agent], earlier, limits)
    # Others may not be installed: then it was its turn again, which must not go on for ever.
    has_turns = 1 + len(failed) < limits.sessions * len(chain)
    return None if others and has_turns else said


def _faultless_limit(reason: str, earlier: Sequence[Attempt], limits: FloorConfig) -> str | None:
    times = 1 + sum(attempt.outcome in _FAULTLESS for attempt in earlier)
    return f"cut off {_count(times, 'time')}; last: {reason}" if times >= limits.interruptions else None


def _fruitless_limit(reason: str, earlier: Sequence[Attempt]) -> str | None:
    """Why nobody should go on when one more session hands over that added nothing to the work."""
    times = 1
    for number in range(len(earlier) - 1, -1, -1):
        if earlier[number].outcome != "handoff" or not _added_nothing(earlier[number], earlier[:number]):
            break
        times += 1
    if times < FRUITLESS_HANDOFFS:
        return None
    return f"{_count(times, 'session')} in a row handed over without adding anything; last: {reason}"


def _added_nothing(attempt: Attempt, before: Sequence[Attempt]) -> bool:
    """Whether an attempt ended where it had started."""
    resumed = resume_from(before)
    return attempt.head in (None, attempt.base, resumed.head if resumed is not None else None)


def _limit(what: str, outcome: Outcome, reason: str, earlier: Sequence[Attempt], most: int) -> str | None:
    times = 1 + sum(attempt.outcome == outcome for attempt in earlier)
    return f"{what} {_count(times, 'time')}; last: {reason}" if times >= most else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
