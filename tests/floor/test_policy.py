"""What follows the end of a session: the ladder from a fresh session to another agent to a person."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.config import FloorConfig
from tapeout.floor import policy
from tapeout.floor.cuts import SEVERITY, CutKind
from tapeout.tracker.model import Attempt, Outcome
from tests.floor.test_decisions import attempt

LIMITS = FloorConfig()
PATIENT = FloorConfig(sessions=10)


def history(*ended: tuple[Outcome, str], agent: str = "codex") -> list[Attempt]:
    return [attempt(f"a-{n}", outcome=outcome, detail=detail, agent=agent) for n, (outcome, detail) in enumerate(ended)]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("context", "handoff"),
        ("person", "handoff"),
        ("spiral", "failed"),
        ("budget", "over-budget"),
        ("stalled", "interrupted"),
        ("provider", "unavailable"),
    ],
)
def test_a_cut_ends_the_attempt_with_its_evidence(kind: CutKind, outcome: Outcome) -> None:
    decision = policy.after_cut(kind, "seen", [], LIMITS)
    assert (decision.outcome, decision.give_up) == (outcome, None)
    assert "seen" in decision.detail
    assert policy.is_spiral(attempt(outcome=decision.outcome, detail=decision.detail)) == (kind == "spiral")


@pytest.mark.parametrize("outcome", ["handoff", "unavailable", "over-budget"])
def test_what_is_nobodys_failure_uses_up_no_session_and_its_work_goes_on(outcome: Outcome) -> None:
    saved = attempt(outcome=outcome, base="b" * 40, head="c" * 40)
    decision = policy.after_failure("tests", 3, [saved], LIMITS)
    assert isinstance(decision, policy.EndAttempt)
    assert decision.give_up is None
    assert policy.after_interruption("died", [saved, saved], LIMITS).give_up is None
    assert policy.resume_from([saved]) == saved


def test_who_takes_sessions_away_that_did_nothing_is_not_told_that_it_is_hopeless() -> None:
    idle = history(("handoff", "handed over by ada"))
    assert policy.after_cut("context", "full", idle, LIMITS, fruitless=True).give_up is not None
    assert policy.after_cut("person", "handed over by ada", idle, LIMITS, fruitless=True).give_up is None


def test_a_second_spiral_is_enough_however_many_sessions_there_could_be() -> None:
    first = policy.after_cut("spiral", "the same fix", [], PATIENT)
    assert first.give_up is None
    second = policy.after_cut("spiral", "the same fix", history((first.outcome, first.detail)), PATIENT)
    assert second.give_up is not None
    assert "the same fix" in second.give_up


def test_the_next_agent_of_the_chain_has_its_own_sessions_before_a_person_is_asked() -> None:
    chain = ("codex", "claude")
    failed = history(("failed", "tests"))
    decision = policy.after_failure("tests", 3, failed, LIMITS, agent="codex", chain=chain)
    assert isinstance(decision, policy.EndAttempt)
    assert decision.give_up is None
    counted = history(("failed", "tests"), ("failed", "tests"))
    assert policy.agents_left(chain, failed, LIMITS) == ("codex", "claude")
    assert policy.agents_left(chain, counted, LIMITS) == ("claude",)
    spent = [*counted, *history(("failed", "tests"), agent="claude")]
    last = policy.after_failure("tests", 3, spent, LIMITS, agent="claude", chain=chain)
    assert isinstance(last, policy.EndAttempt)
    assert last.give_up == "4 sessions failed; last: tests"


def test_an_agent_whose_successor_is_never_there_is_not_tried_for_ever() -> None:
    failed = history(("failed", "tests"), ("failed", "tests"), ("failed", "tests"))
    decision = policy.after_failure("tests", 3, failed, LIMITS, agent="codex", chain=("codex", "missing"))
    assert isinstance(decision, policy.EndAttempt)
    assert decision.give_up is not None


EVENTS = st.one_of(
    st.just("failed"), st.just("conflict"), st.sampled_from(SEVERITY).filter(lambda one: one != "provider")
)


@given(st.lists(EVENTS, min_size=60, max_size=60), st.sampled_from([(), ("codex",), ("codex", "claude", "vibe")]))
def test_no_issue_is_attempted_for_ever(events: Sequence[str], chain: Sequence[str]) -> None:
    """Whatever happens, but for a provider that is down, which costs nothing: somebody is asked in the end."""
    earlier: list[Attempt] = []
    for event in events:
        agent = policy.agents_left(chain, earlier, LIMITS)[0] if chain else "codex"
        if event == "failed":
            decision = policy.after_failure("x", 3, earlier, LIMITS, agent=agent, chain=chain)
        elif event == "conflict":
            decision = policy.after_conflict(["x"], earlier, LIMITS)
        else:
            decision = policy.after_cut(event, "x", earlier, LIMITS, agent=agent, chain=chain)  # type: ignore[arg-type]
        assert isinstance(decision, policy.EndAttempt)
        if decision.give_up:
            return
        earlier.append(attempt(f"a-{len(earlier)}", outcome=decision.outcome, detail=decision.detail, agent=agent))
    raise AssertionError("it was never given up")
