"""Budgets: nothing passes one by more than what a session reports at once; what was used survives; people are told."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.agents import Spent
from tapeout.config import IssueBudget, parse_config
from tapeout.floor.admission import rate_room
from tapeout.floor.budgets.accounts import STEPS, Past, after_budgets, is_due
from tapeout.floor.budgets.guard import Allowance, BudgetGuard
from tapeout.floor.budgets.limits import Budget, amount, budget_of, reached
from tapeout.floor.budgets.spend import NOTHING, Meter, Spend, spend_of, total
from tapeout.floor.guards import Cut
from tapeout.floor.policy import EndAttempt
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes
from tests.floor.test_kills import kill, wait_for

STEP = st.integers(0, 5_000)
SESSIONS = st.lists(st.lists(STEP, max_size=8), max_size=8)


def session(allowances: Sequence[Allowance], reports: Sequence[int]) -> tuple[Spend, bool]:
    """A session that reports what it has spent, until it is cut; what it used and whether it was cut."""
    guard, context = BudgetGuard(allowances), 0
    if guard.turn_started("work", 0.0) is not None:
        return guard.spend(0.0), True
    for report in reports:
        context += report
        if guard.update(Spent(context, 0, context / 1000), 0.0) is not None:
            return guard.spend(0.0), True
    return guard.spend(0.0), False


@settings(deadline=None)
@given(SESSIONS, st.integers(1, 20_000), st.integers(1, 20_000))
def test_no_sequence_of_attempts_passes_a_budget_by_more_than_a_report(
    sessions: list[list[int]], own: int, shared: int
) -> None:
    attempt, issue = Budget("attempt", tokens=own), Budget("issue", tokens=shared, attempts=5)
    used = NOTHING
    for reports in sessions:
        spend, cut = session([Allowance(attempt), Allowance(issue, used)], reports)
        largest = max(reports, default=0)
        assert spend.tokens < own + max(largest, 1)
        before = used
        used += spend
        assert used.tokens < shared + max(largest, 1) or spend.tokens == 0
        assert spend.tokens == 0 or before.attempts < 5, "no attempt is given a prompt beyond the fifth"
        assert cut == (reached(attempt, spend) is not None or used.tokens >= shared or before.attempts >= 5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), STEP), max_size=60), st.integers(100, 50_000))
def test_sessions_side_by_side_pass_a_budget_by_at_most_a_note_and_a_report_each(
    reports: list[tuple[int, int]], limit: int
) -> None:
    """Each notes what it has used by steps; whoever sums the notes ends them all."""
    budget = Budget("run", tokens=limit)
    used, noted = [NOTHING] * 4, [NOTHING] * 4
    for who, more in reports:
        used[who] += Spend(tokens=more)
        if is_due([budget], noted[who], used[who], 0.0):
            noted[who] = used[who]
        if reached(budget, total(noted)):
            break
    largest = max((more for _, more in reports), default=0)
    assert total(used).tokens < limit + 4 * (limit / STEPS + largest) + 1


def test_time_in_which_the_agent_waits_for_a_person_is_not_used() -> None:
    guard = BudgetGuard([Allowance(Budget("attempt", time=100.0))])
    assert guard.turn_started("work", 0.0) is None
    guard.waits(begins=True, now=60.0)
    guard.waits(begins=True, now=70.0)
    guard.waits(begins=False, now=500.0)
    assert (guard.wake, guard.tick(500.0)) == (None, None), "it waits for another answer still"
    guard.waits(begins=False, now=1060.0)
    assert (guard.wake, guard.spend(1060.0).seconds) == (1100.0, 60.0)
    assert guard.tick(1100.0) is not None


def test_a_turn_that_ends_while_a_person_is_asked_uses_no_time_after_it() -> None:
    guard = BudgetGuard([Allowance(Budget("attempt", time=100.0))])
    guard.turn_started("work", 0.0)
    guard.waits(begins=True, now=60.0)
    guard.turn_stopped(90.0)
    guard.waits(begins=False, now=95.0)
    assert guard.wake is None
    assert guard.spend(1000.0).seconds == 60.0


@settings(deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=20))
def test_no_report_takes_back_what_was_used(reports: list[int]) -> None:
    meter = Meter()
    for tokens in reports:
        meter.report(tokens, tokens / 1000, estimated=False)
    spend = meter.spend(0.0)
    assert (spend.tokens, spend.cost) == (max(reports, default=0), max(reports, default=0) / 1000)


def test_time_runs_only_while_the_agent_is_at_its_turn() -> None:
    guard = BudgetGuard([Allowance(Budget("attempt", time=10.0)), Allowance(Budget("issue", time=100.0), Spend(95.0))])
    assert guard.turn_started("work", 1000.0) is None
    assert guard.wake == pytest.approx(1005.0)
    guard.turn_stopped(1003.0)
    assert guard.wake is None, "the gate may take its time"
    assert guard.turn_started("more", 2000.0) is None
    assert guard.wake == pytest.approx(2002.0)
    cut = guard.tick(2002.1)
    assert isinstance(cut, Cut)
    assert cut.evidence == "the issue's budget of 100 s is used up: 100 s"
    assert guard.wake is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["seconds", "tokens", "cost"]), st.one_of(st.floats(), st.text(), st.none())))
def test_a_note_is_read_whatever_it_holds(data: dict[str, object]) -> None:
    spend = spend_of(data)
    assert spend.seconds >= 0
    assert spend.tokens >= 0
    assert spend.attempts == 1


@settings(deadline=None)
@given(st.lists(st.floats(0, 5000), max_size=30), st.integers(1, 10), st.floats(3600, 5000))
def test_a_rate_leaves_room_exactly_when_it_says_so(began: list[float], limit: int, now: float) -> None:
    room = rate_room(limit, 3600.0, began, now)
    assert room.free == max(0, limit - sum(at > now - 3600 for at in began))
    if room.later is not None:
        assert rate_room(limit, 3600.0, began, now + room.later + 0.001).free > 0


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [("tokens", 1, "1 token"), ("tokens", 12_500, "12,500 tokens"), ("cost", 0.004, "$0.0040"),
     ("cost", 1500, "$1,500.00"),
     ("time", 4.25, "4.2 s"), ("time", 600, "10 min"), ("time", 9000, "2.5 h"), ("attempts", 2, "2 attempts")],
)  # fmt: skip
def test_amounts_are_readable(measure: str, value: float, text: str) -> None:
    assert amount(measure, value) == text


def test_what_follows_a_budget_depends_on_whose_it_is() -> None:
    issue = IssueBudget(tokens=1000)
    failed = EndAttempt("failed", "tests")
    past = Past(Spend(tokens=600, attempts=1), NOTHING, NOTHING, over=0)
    assert after_budgets(failed, None, past, Spend(tokens=300), issue, 2) == failed
    assert "1,000 tokens" in (after_budgets(failed, None, past, Spend(tokens=400), issue, 2).give_up or "")
    over = reached(Budget("attempt", tokens=10), Spend(tokens=10))
    ended = EndAttempt("over-budget", "x")
    assert after_budgets(ended, over, past, NOTHING, issue, 2).give_up is None
    again = Past(past.issue, NOTHING, NOTHING, over=1)
    assert "2 attempts ended at their budget" in (after_budgets(ended, over, again, NOTHING, issue, 2).give_up or "")
    lane = reached(Budget("lane", "docs", tokens=10), Spend(tokens=10))
    assert after_budgets(ended, lane, again, NOTHING, issue, 2).give_up is None
    landed = EndAttempt("landed", "landed")
    assert after_budgets(landed, None, past, Spend(tokens=10**6), issue, 2) == landed


def test_lanes_take_what_they_do_not_say_from_the_floor() -> None:
    config = parse_config(
        '[budget]\ntokens = 5\ncost = 3\n[budget.issue]\nattempts = 7\n[lane.x.budget.attempt]\ntime = "1m"\n' + CHECK
    )
    assert budget_of("run", config.budget).cost == 3
    attempt = config.lane["x"].budget.attempt
    assert attempt is not None
    assert attempt.time == 60
    assert config.lane["x"].budget.issue is None


CHECK = '[[check]]\nname = "sound"\nrun = "true"\n'


def spends(name: str, *tokens: int, cost: float = 0.0) -> str:
    """A script that reports tokens, one report after the other, and then writes a file."""
    reports = [step(usage=used, cost=cost) for used in tokens]
    return script(turn(*reports, step(write=name, text="1\n"), step(commit=f"Write {name}"), step(sleep=30.0)))


def configure(bench: Workbench, extra: str, **replaced: str) -> None:
    text = CONFIG
    for old, new in replaced.items():
        text = text.replace(old, new)
    bench.commit({"tapeout.toml": text + extra}, "Configure")


def test_an_attempt_over_its_budget_ends_with_its_work_kept_and_the_issue_asks_a_person(bench: Workbench) -> None:
    configure(bench, "[budget.attempt]\ncost = 1\n[budget.issue]\ncost = 2\n")
    steps = (step(write="f", text="1"), step(commit="F"), step(usage=1200, cost=1.5), step(hang=True))
    issue = bench.new("Costly", script(turn(*steps)))

    bench.up()

    shown = bench.issue(issue)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["over-budget", "over-budget"]
    assert shown["attempts"][0]["detail"] == "the attempt's budget of $1.00 is used up: $1.50"
    assert shown["attempts"][0]["head"] != shown["attempts"][0]["base"], "its work is kept"
    assert "the issue's budget of $2.00 is used up: $3.00" in shown["needs_person"]
    assert "needs a person" in shown["comments"][-1]["text"]


def test_the_run_ends_at_its_budget_and_goes_on_with_the_next(bench: Workbench) -> None:
    """A worker that has used it up alone is cut; one that runs beside it is ended, too; the rest waits."""
    slow = [
        bench.new(f"Slow {n}", script(turn(step(usage=100), step(sleep=60.0)), turn()), "--priority", "1")
        for n in range(2)
    ]
    costly = bench.new(
        "Costly", script(turn(step(usage=5000), step(sleep=60.0), session=1), turn(step(usage=50))), "--priority", "2"
    )
    later = [bench.new(f"Later {n}", writes(f"later{n}")) for n in range(4)]

    done = bench.up("--budget-tokens", "5000", "--json")

    assert '"over_budget": "the run\'s budget of 5,000 tokens is used up' in done.stdout
    ended = {one: bench.issue(one) for one in [*slow, costly, *later]}
    outcomes = {one: [attempt["outcome"] for attempt in shown["attempts"]] for one, shown in ended.items()}
    assert outcomes[costly] == ["over-budget"]
    assert all(outcomes[one] in (["over-budget"], []) for one in slow)
    assert not any(shown["needs_person"] for shown in ended.values()), "nobody's failure"
    assert "over budget: the run's budget of 5,000 tokens" in bench.run("status").stdout

    bench.run("issue", "close", *slow, costly, "--as", "wontfix")
    assert bench.data("up", "--until-idle")["over_budget"] is None
    assert all(bench.issue(one)["resolution"] == "landed" for one in later)


def test_a_lane_over_its_budget_starts_nothing_more_and_others_go_on(bench: Workbench) -> None:
    configure(
        bench, '[lane.docs]\nlabels = ["docs"]\n[lane.docs.budget]\nattempts = 2\n', **{"workers = 4": "workers = 1"}
    )
    docs = [bench.new(f"Doc {n}", writes(f"doc{n}"), "--label", "docs", "--priority", "0") for n in range(3)]
    other = bench.new("Other", writes("other"))

    bench.up()

    assert [bench.issue(one)["status"] for one in docs] == ["closed", "closed", "open"]
    assert bench.issue(other)["resolution"] == "landed"
    assert "the budget of lane docs of 2 attempts is used up" in bench.run("status").stdout
    assert bench.issue(docs[2])["attempts"] == []


def test_a_floor_that_was_killed_goes_on_in_the_same_run(bench: Workbench) -> None:
    """Being started again does not renew a budget; a new run does."""
    configure(bench, "[budget]\nattempts = 1\n")
    first, second = (bench.new(f"Issue {n}", writes(f"f{n}")) for n in range(2))
    floor = bench.start("up", TAPEOUT_CRASH_AT="floor.dispatched")
    floor.communicate()
    bench.up()
    assert {bench.issue(one)["status"] for one in (first, second)} == {"open", "closed"}

    bench.up()

    assert {bench.issue(one)["resolution"] for one in (first, second)} == {"landed"}


def test_the_time_of_a_run_ends_it_without_a_report(bench: Workbench) -> None:
    issue = bench.new("Endless", script(turn(step(write="f", text="1"), step(hang=True))))
    assert "the run's budget of 3.0 s is used up" in bench.data("up", "--budget-time", "3s")["over_budget"]
    assert [attempt["outcome"] for attempt in bench.issue(issue)["attempts"]] == ["over-budget"]


def test_an_hour_has_so_many_attempts(bench: Workbench) -> None:
    """It ends nothing: what is ready waits, and a floor that is started again remembers."""
    configure(bench, "[budget]\nattempts_per_hour = 2\n")
    for n in range(3):
        bench.new(f"Issue {n}", writes(f"f{n}"))
    for _ in range(2):
        floor = bench.start("up", "--until-idle")
        with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
            wait_for(bell, lambda: tracker.counts().landed == 2 and not tracker.attempts(running=True))
        assert floor.poll() is None, "it waits for the hour to pass"
        kill(floor.pid)
        floor.communicate()
    with bench.tracker() as tracker:
        assert len(tracker.attempts()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget-time", "soon"), '--budget-time should be a duration such as "90m", above 0'),
        (("--budget-tokens", "0"), "--budget-tokens should be a number of tokens, above 0"),
        (("--budget-cost", "-1"), "--budget-cost should be a number of US dollars, above 0"),
    ],
)
def test_a_limit_that_is_none_is_refused(bench: Workbench, words: tuple[str, ...], message: str) -> None:
    assert message in bench.run("up", *words, code=2).stderr


def test_what_a_revision_of_a_setting_sees_is_what_is_there(bench: Workbench) -> None:
    with bench.tracker() as one, Tracker.open(bench.paths, "other") as other:
        one.revise_setting("count", lambda text: text + "a")
        other.revise_setting("count", lambda text: text + "b")
        assert one.setting("count") == "ab"
