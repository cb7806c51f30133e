"""Every good change lands exactly once, no bad one lands, and there is always a next step."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.gate.queue import Combination, Situation, Waiting, after_landing, in_order, pass_rate, plan
from tapeout.gate.queue.batching import cuts, first_culprit
from tapeout.gate.queue.order import rank
from tapeout.gate.queue.simulation import Judge, Simulation, numbered

AGING = 600.0


@st.composite
def queues(draw: st.DrawFn) -> tuple[list[Waiting], set[str], list[frozenset[str]]]:
    """Changes, those that are bad by themselves, and pairs that are bad together."""
    number = draw(st.integers(1, 14))
    names = [f"c{one}" for one in range(number)]
    waiting = [
        Waiting(name, draw(st.integers(0, 4)), float(draw(st.integers(0, 5000))), last=draw(st.integers(0, 9)) == 0)
        for name in names
    ]
    bad = draw(st.sets(st.sampled_from(names), max_size=number))
    pairs = draw(st.lists(st.sets(st.sampled_from(names), min_size=2, max_size=2), max_size=3)) if number > 1 else []
    return waiting, bad, [frozenset(pair) for pair in pairs]


def judge_of(bad: set[str], pairs: list[frozenset[str]]) -> Judge:
    def judge(tree: Combination) -> bool:
        return not bad.intersection(tree) and not any(pair <= set(tree) for pair in pairs)

    return judge


@settings(max_examples=200, deadline=None)
@given(queue=queues(), slots=st.integers(1, 6), data=st.data())
def test_every_good_change_lands_once_and_no_bad_one(
    queue: tuple[list[Waiting], set[str], list[frozenset[str]]], slots: int, data: st.DataObject
) -> None:
    """Whatever happens meanwhile: kills, others that move main, conflicts, withdrawals, changes that come later."""
    waiting, bad, pairs = queue
    judge = judge_of(bad, pairs)
    later = data.draw(st.integers(0, len(waiting) - 1))
    simulation = Simulation(waiting[: len(waiting) - later], judge, slots=slots)
    pending, withdrawn, steps, disturbances = waiting[len(waiting) - later :], set(), 0, 0
    while simulation.waiting or pending:
        steps += 1
        assert steps < 60 * len(waiting) + 60 * disturbances + 200, "no progress"
        event = data.draw(st.sampled_from(["step"] * 6 + ["arrive", "kill", "clash", "withdraw", "resize"]))
        if event != "step":
            disturbances += 1
        if pending and (event == "arrive" or not simulation.waiting):
            one = pending.pop(0)
            simulation.waiting[one.id] = one
        elif event == "kill" and disturbances < 10:
            simulation.restart()
        elif event == "clash" and len(simulation.waiting) > 1:
            pair = data.draw(st.sets(st.sampled_from(sorted(simulation.waiting)), min_size=2, max_size=2))
            simulation.clashes.add(frozenset(pair))
        elif event == "withdraw" and disturbances < 10:
            withdrawn.add(gone := data.draw(st.sampled_from(sorted(simulation.waiting))))
            simulation.drop(gone)
        elif event == "resize":
            simulation.resize(data.draw(st.integers(1, 6)))
        else:
            simulation.step()

    outcome = simulation.outcome
    assert len(outcome.landed) == len(set(outcome.landed)), "landed twice"
    assert not bad & set(outcome.landed), "a bad one landed"
    assert not any(pair <= set(outcome.landed) for pair in pairs), "bad together, and both landed"
    for main in outcome.mains:
        assert main in outcome.passed_trees, "main moved to what did not pass"
    everyone = {change.id for change in waiting}
    assert set(outcome.landed) | set(outcome.refused) | withdrawn == everyone
    assert not set(outcome.landed) & set(outcome.refused)
    for refused in outcome.refused:
        alone_bad = refused in bad
        assert alone_bad or any(refused in pair for pair in pairs), "an innocent was refused"


def test_of_two_that_are_bad_only_together_the_later_one_is_refused() -> None:
    simulation = Simulation(numbered(6), judge_of(set(), [frozenset({"c1", "c4"})]), slots=3)
    outcome = simulation.run()
    assert outcome.refused == ["c4"]
    assert sorted(outcome.landed) == ["c0", "c1", "c2", "c3", "c5"]


def test_a_line_is_judged_at_the_quantiles_of_its_first_culprit() -> None:
    now = Situation(numbered(32), slots=2, pass_rate=0.9, aging=AGING)
    assert [len(run) for run in plan(now).start] == [4, 10]
    assert [len(run) for run in plan(replace(now, slots=1)).start] == [7]
    assert [len(run) for run in plan(replace(now, slots=1, pass_rate=0.5)).start] == [1]
    assert [len(run) for run in plan(replace(now, slots=2, pass_rate=0.5)).start] == [1, 2]


def test_a_failure_ends_what_stands_on_it_and_nothing_else() -> None:
    line = tuple(f"c{number}" for number in range(10))
    now = Situation(numbered(12), 3, 0.9, AGING, running=(line[:2], line[:10]), failed=(line[:6],))
    planned = plan(now)
    assert planned.cancel == (line[:10],)
    assert planned.start == (line[:4], line[:1]), "where the culprit is most probable, then next to it"


def test_the_culprit_stands_alone_before_it_is_refused() -> None:
    line = ("c0", "c1")
    now = Situation(numbered(4), 2, 0.9, AGING, failed=(line,))
    assert plan(now).refuse is None
    assert ("c0",) in plan(now).start
    assert plan(replace(now, passed=(("c0",),))).land == ("c0",)
    renamed = after_landing([line], ("c0",))
    assert renamed == {line: ("c1",)}
    assert plan(replace(now, waiting=numbered(4)[1:], failed=(("c1",),))).refuse == "c1"


def test_a_guess_about_the_culprit_does_not_land_before_the_line_has_spoken() -> None:
    now = Situation(
        numbered(4), 2, 0.9, AGING, running=(("c0",),), failed=(("c0", "c1"),), passed=(("c0", "c2", "c3"),)
    )
    assert plan(now).land == ("c0", "c2", "c3"), "it contains what is judged, so nothing is lost"
    other = replace(now, passed=(("c1", "c2"),))
    assert plan(other).land is None
    assert plan(replace(other, running=(), failed=(("c0",),))).refuse == "c0"


def test_nothing_is_stacked_on_a_change_of_the_gate_itself() -> None:
    waiting = [replace(one, last=one.id == "c1") for one in numbered(5)]
    assert {run[:2] for run in plan(Situation(waiting, 4, 0.9, AGING)).start if len(run) > 1} == {("c0", "c1")}
    assert all(len(run) <= 2 for run in plan(Situation(waiting, 4, 0.9, AGING)).start)


def test_changes_that_clash_are_not_stacked() -> None:
    now = Situation(numbered(4), 1, 0.9, AGING, clashes=(frozenset({"c0", "c2"}),))
    assert plan(now).start == (("c0", "c1", "c3"),)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1e6, allow_nan=False)), min_size=1, max_size=40),
    st.floats(0, 1e6, allow_nan=False), st.integers(0, 4),
)  # fmt: skip
def test_who_is_queued_long_enough_after_a_change_never_goes_before_it(
    others: list[tuple[int, float]], queued_at: float, priority: int
) -> None:
    mine = Waiting("mine", priority, queued_at)
    waiting = [mine, *(Waiting(f"o{number}", *other) for number, other in enumerate(others))]
    before = in_order(waiting, AGING)
    ahead = before[: before.index(mine)]
    assert all(one.queued_at <= queued_at + (priority - one.priority) * AGING for one in ahead)
    assert before == sorted(before, key=lambda one: rank(one, AGING))


def test_nothing_starves_under_a_stream_of_urgent_changes() -> None:
    """Each second an urgent change comes in; the least urgent one lands once it is 4 steps of priority old."""
    simulation = Simulation([Waiting("patient", 4, 0.0)], lambda _: True, slots=2)
    number = 0
    while "patient" in simulation.waiting:
        now = simulation.outcome.seconds
        assert now <= 4 * AGING + 10
        while number <= now:
            for one in range(20):
                name = f"u{number}-{one}"
                simulation.waiting[name] = Waiting(name, 0, float(number))
            number += 1
        simulation.step()


def test_the_pass_rate_follows_what_was_measured() -> None:
    assert pass_rate(0, 0) == 0.9
    assert pass_rate(100, 0) > 0.98
    assert pass_rate(0, 100) < 0.1


@given(
    st.lists(st.floats(0.01, 0.999), min_size=1, max_size=30), st.sets(st.integers(1, 29)), st.integers(1, 8),
    st.booleans(),
)  # fmt: skip
def test_cuts_are_new_places_within_the_line(odds: list[float], boundaries: set[int], count: int, failed: bool) -> None:
    boundaries = {one for one in boundaries if one < len(odds)}
    found = cuts(first_culprit(odds), boundaries, count, failed=failed)
    room = len(odds) - failed - len(boundaries)
    assert len(found) == len(set(found)) == min(count, max(room, 0))
    assert all(1 <= one <= len(odds) - failed for one in found)
    assert not boundaries & set(found)


@pytest.mark.parametrize(("slots", "most"), [(1, 0.55), (2, 0.38), (4, 0.27)])
def test_few_runs_find_the_culprits(slots: int, most: float) -> None:
    """Rounds of runs a change, 10 % bad: one run a change takes 1 / slots."""
    total = 0.0
    for seed in range(20):
        bad = set(random.Random(seed).sample([f"c{number}" for number in range(100)], 10))
        total += Simulation(numbered(100), judge_of(bad, []), slots=slots).run().seconds / 100
    assert total / 20 < most
