"""The floor's decisions, without a process: dispatch, policy, prompts, reports, the final table."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.config import FloorConfig
from tapeout.floor import policy
from tapeout.floor.admission import Admission, Room, Start
from tapeout.floor.cuts import CutKind
from tapeout.floor.dispatch import MAX_FAILURES, Snapshot, plan_dispatch
from tapeout.floor.report import give_up_report
from tapeout.floor.status import outcome_of
from tapeout.tracker.model import Attempt, Change, Issue, Outcome

LIMITS = FloorConfig()


def issue(identity: str = "i1", **fields: object) -> Issue:
    values = dict.fromkeys(Issue._fields)
    values |= {"id": identity, "title": f"Title of {identity}", "body": "", "acceptance": "", "design": ""}
    values |= {
        "type": "task",
        "priority": 2,
        "status": "open",
        "labels": (),
        "scope": (),
        "created_at": 1.0,
        "updated_at": 1.0,
    }
    values |= {"open_blockers": 0, "lease_token": 0, **fields}
    return Issue(**values)  # type: ignore[arg-type]


def attempt(identity: str = "a-1", subject: str = "i1", outcome: Outcome | None = None, **fields: object) -> Attempt:
    values = dict.fromkeys(Attempt._fields)
    values |= {"id": identity, "issue": subject, "number": 1, "agent": "codex", "detail": "", "rounds": 1}
    values |= {"state": "ended" if outcome else "working", "outcome": outcome, "host": "h", "pid": 1}
    values |= {"pid_started": 1.0, "started_at": 1.0, **fields}
    return Attempt(**values)  # type: ignore[arg-type]


def change(identity: str, owner: str, state: str, **fields: object) -> Change:
    values = dict.fromkeys(Change._fields)
    values |= {"id": identity, "issue": "i1", "attempt": owner, "commit": "c" * 40, "base": "b" * 40}
    values |= {"state": state, "submitted_at": float(len(identity)), **fields}
    return Change(**values)  # type: ignore[arg-type]


NOTHING = Snapshot(
    slots=4, ready=(), running=(), jobs=(), starting={}, salvages={}, queued=0, gate_runs=False,
    queue_stopped=None, stopping=False, publish_due=False,
)  # fmt: skip


def snapshot(**fields: object) -> Snapshot:
    return dataclasses.replace(NOTHING, **fields)  # type: ignore[arg-type]


def test_nothing_to_do_is_idle() -> None:
    assert plan_dispatch(NOTHING).idle


def test_a_paused_floor_is_idle_only_if_nothing_could_start_without_the_pause() -> None:
    paused = snapshot(ready=[issue("i1")], paused=True)
    assert (plan_dispatch(paused).start, plan_dispatch(paused).idle) == ((), False)
    assert plan_dispatch(dataclasses.replace(paused, admission=Admission(whole=Room(0)))).idle, "its budget is used up"


def test_ready_issues_fill_the_free_slots_most_urgent_first() -> None:
    ready = [issue(f"i{n}") for n in range(6)]
    plan = plan_dispatch(snapshot(ready=ready, starting={"a-9": Start(issue("i0"), "codex")}))
    assert [one.issue.id for one in plan.start] == ["i1", "i2", "i3"]


def test_an_attempt_without_a_process_is_salvaged_and_its_issue_is_not_started_again() -> None:
    plan = plan_dispatch(snapshot(ready=[issue("i1")], running=[attempt()]))
    assert [one.id for one in plan.salvage] == ["a-1"]
    assert plan.start == ()


def test_a_salvage_job_is_not_started_twice_and_not_for_ever() -> None:
    assert plan_dispatch(snapshot(running=[attempt()], jobs={"salvage-a-1"})).salvage == ()
    assert plan_dispatch(snapshot(running=[attempt()], salvages={"a-1": MAX_FAILURES})).idle


def test_a_stopped_queue_starts_neither_gate_nor_workers() -> None:
    plan = plan_dispatch(snapshot(ready=[issue()], queued=1, queue_stopped="no such tool"))
    assert (plan.start, plan.gate, plan.idle) == ((), False, True)


def test_stopping_only_salvages() -> None:
    plan = plan_dispatch(snapshot(ready=[issue()], running=[attempt()], queued=3, stopping=True))
    assert (plan.start, plan.gate) == ((), False)
    assert len(plan.salvage) == 1


@given(
    slots=st.integers(1, 5),
    ready=st.lists(st.integers(0, 9), unique=True),
    running=st.lists(st.integers(0, 9), unique=True),
    alive=st.sets(st.integers(0, 9)),
    starting=st.lists(st.integers(10, 14), unique=True),
    queued=st.integers(0, 3),
    gate_runs=st.booleans(),
    stopping=st.booleans(),
)
def test_a_plan_never_exceeds_the_slots_and_never_doubles_an_issue(
    slots: int, ready: list[int], running: list[int], alive: set[int], starting: list[int], queued: int,
    gate_runs: bool, stopping: bool,
) -> None:  # fmt: skip
    now = snapshot(
        slots=slots,
        ready=[issue(f"i{n}") for n in ready],
        running=[attempt(f"a-{n}", f"i{n}") for n in running],
        jobs={f"a-{n}" for n in alive},
        starting={f"a-{n}": Start(issue(f"i{n}"), "codex") for n in starting},
        queued=queued,
        gate_runs=gate_runs,
        stopping=stopping,
    )
    plan = plan_dispatch(now)
    started = [one.issue.id for one in plan.start]
    assert len(started) == len(set(started))
    assert not plan.start or len(started) + len(running) + len(starting) <= slots
    assert not set(started) & ({f"i{n}" for n in running} | {f"i{n}" for n in starting})
    assert not (plan.gate and gate_runs)
    assert not (plan.idle and (plan.start or plan.salvage or plan.gate))


def outcomes(*words: Outcome) -> list[Attempt]:
    return [attempt(f"a-{n}", outcome=word, number=n + 1) for n, word in enumerate(words)]


def test_two_refinements_then_a_fresh_session_then_a_person() -> None:
    for rounds in (1, 2):
        assert policy.after_failure("tests", rounds, [], LIMITS) == policy.Refine()
    first = policy.after_failure("tests", 3, [], LIMITS)
    assert isinstance(first, policy.EndAttempt)
    assert first.give_up is None
    second = policy.after_failure("tests", 3, outcomes("failed"), LIMITS)
    assert isinstance(second, policy.EndAttempt)
    assert second.give_up == "2 sessions failed; last: tests"


def test_interruptions_and_conflicts_have_a_budget_of_their_own() -> None:
    assert policy.after_interruption("died", outcomes("failed", "interrupted"), LIMITS).give_up is None
    assert policy.after_conflict(["a"], outcomes("conflict", "interrupted"), LIMITS).give_up is not None
    decision = policy.after_failure("tests", 3, outcomes("conflict", "interrupted", "stopped"), LIMITS)
    assert isinstance(decision, policy.EndAttempt)
    assert decision.give_up is None


@given(st.lists(st.sampled_from(["failed", "conflict", "interrupted"])))
def test_no_issue_is_attempted_for_ever(kinds: Sequence[Outcome]) -> None:
    """Whatever happens, an issue that never lands is given up after a bounded number of attempts."""
    earlier: list[Attempt] = []
    for kind in kinds:
        if kind == "failed":
            decision = policy.after_failure("x", LIMITS.refine_rounds + 1, earlier, LIMITS)
        elif kind == "conflict":
            decision = policy.after_conflict(["x"], earlier, LIMITS)
        else:
            decision = policy.after_interruption("x", earlier, LIMITS)
        assert isinstance(decision, policy.EndAttempt)
        if decision.give_up:
            break
        earlier.append(attempt(f"a-{len(earlier)}", outcome=decision.outcome))
    assert len(earlier) <= LIMITS.sessions + LIMITS.interruptions


@given(st.sampled_from(sorted(policy.OUTCOME_OF_CUT)), st.sampled_from(["failed", "landed", "conflict", "stopped"]))
def test_what_is_landed_or_unwanted_stays_so_whatever_cut_the_session(kind: CutKind, decided: Outcome) -> None:
    verdict = policy.EndAttempt(decided, "by the gate")
    stands = decided in ("landed", "stopped") or kind == "context"
    assert policy.after_cut_turn(kind, verdict) == (verdict if stands else None)
    assert policy.after_cut_turn(kind, policy.Refine()) is None
    assert policy.after_cut_turn(kind, None) is None


def test_cut_off_work_is_resumed_and_failed_work_is_not() -> None:
    saved = attempt(outcome="interrupted", head="c" * 40)
    assert policy.resume_from([saved]) == saved
    assert policy.resume_from([saved._replace(outcome="failed")]) is None
    assert policy.resume_from([saved._replace(outcome="conflict")]) is None
    assert policy.resume_from([saved._replace(head=None)]) is None
    assert policy.resume_from([]) is None


def test_an_attempt_without_work_neither_is_resumed_nor_hides_the_work_before_it() -> None:
    saved = attempt("a-1", outcome="interrupted", base="b" * 40, head="c" * 40)
    never_began = attempt("a-2", outcome="interrupted")
    did_nothing = attempt("a-3", outcome="stopped", base="d" * 40, head="d" * 40)
    assert policy.resume_from([saved, never_began, did_nothing]) == saved
    assert policy.resume_from([never_began, did_nothing]) is None
    failed = attempt("a-4", outcome="failed", base="b" * 40, head="e" * 40)
    assert policy.resume_from([saved, failed, did_nothing]) is None


def test_the_report_names_every_attempt_and_what_a_person_can_do() -> None:
    verdict = {"passed": False, "reason": "tests: 1 failed", "findings": []}
    changes = {"a-1": [change("c1", "a-1", "failed", verdict=verdict)]}
    text = give_up_report(issue(), "2 sessions failed", [attempt(outcome="failed", head="d" * 40)], changes)
    for part in ("2 sessions failed", "Attempt 1 (codex, 1 prompt): failed", "tests: 1 failed", "issue reopen i1"):
        assert part in text


@pytest.mark.parametrize(
    ("subject", "result"),
    [
        (issue(status="closed", resolution="landed"), "landed"),
        (issue(needs_person="2 sessions failed"), "given up"),
        (issue(status="closed", resolution="wontfix"), "closed"),
        (issue(), "refused"),
    ],
)
def test_the_final_table_says_what_became_of_an_issue(subject: Issue, result: str) -> None:
    assert outcome_of(subject, [attempt(outcome="landed")], []).result == result


def test_an_empty_turn_is_told_of_and_a_cut_off_one_is_not_taken_for_it() -> None:
    landed = issue(status="closed", resolution="landed")
    good = attempt("a-2", outcome="landed", rounds=1)
    changes = [change("c2", "a-2", "landed")]
    for outcome in ("stopped", "interrupted", "handoff", "unavailable", "over-budget"):
        cut_off = attempt("a-1", outcome=outcome, detail="why it ended")
        assert outcome_of(landed, [cut_off, good], changes).note == "why it ended"
    talked = attempt("a-1", outcome="failed")
    assert outcome_of(landed, [talked, good], changes).note == "a turn ended without a change"
    before_reopening = change("c1", "a-0", "failed", verdict={"passed": False, "reason": "tests"})
    assert outcome_of(landed, [good], [before_reopening, *changes]).note == ""
