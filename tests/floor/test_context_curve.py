"""Pass rate by utilisation: the statistics hold what they promise, and promise no more than the data."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.floor.context.curve import (
    BINS,
    LEAST_VERDICTS,
    JudgedContext,
    curves,
    difference,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
VERDICTS = st.builds(
    JudgedContext,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "m"]),
    st.floats(0, 3),
    st.booleans(),
    st.booleans(),
)


def judged(chance: random.Random, number: int, rate: "Sequence[float]") -> list[JudgedContext]:
    """Verdicts whose pass rate depends on the tenth of the window that is used."""
    shares = [chance.random() for _ in range(number)]
    return [JudgedContext("codex", "m", share, chance.random() < rate[int(share * 10)]) for share in shares]


@pytest.mark.parametrize(
    ("passed", "verdicts", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(passed: int, verdicts: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    assert wilson(passed, verdicts) == pytest.approx((low, high), abs=5e-5)


def test_the_difference_has_the_published_interval() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10: 56/70 - 48/80 and 10/10 - 0/10."""
    assert difference((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference((10, 10), (0, 10)) == pytest.approx((0.6075, 1.0), abs=5e-5)


@given(COUNTS, st.integers(2, 50))
def test_an_interval_holds_its_rate_and_narrows_with_more_of_the_same(count: tuple[int, int], times: int) -> None:
    low, high = wilson(*count)
    assert 0 <= low <= count[0] / count[1] <= high <= 1
    narrow = wilson(count[0] * times, count[1] * times)
    assert narrow.high - narrow.low < high - low
    mirrored = wilson(count[1] - count[0], count[1])
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high))


@given(COUNTS, COUNTS)
def test_a_difference_turned_round_is_its_own_mirror(one: tuple[int, int], other: tuple[int, int]) -> None:
    there, back = difference(one, other), difference(other, one)
    assert (-back.high, -back.low) == pytest.approx((there.low, there.high))
    assert -1 <= there.low <= there.high <= 1


@given(st.lists(VERDICTS, max_size=80), st.randoms(use_true_random=False))
def test_every_verdict_is_counted_once_in_whatever_order(verdicts: list[JudgedContext], chance: random.Random) -> None:
    found = curves(verdicts)
    assert sum(curve.verdicts for curve in found) == len(verdicts)
    for curve in found:
        assert sum(one.verdicts for one in curve.bins) == curve.verdicts
        assert len(curve.bins) == BINS
        own = [one for one in verdicts if (one.agent, one.model) == (curve.agent, curve.model)]
        assert sum(one.passed for one in curve.bins) == sum(one.passed for one in own)
        if curve.verdicts < 2 * LEAST_VERDICTS:
            assert curve.recommendation.sureness == "too few verdicts"
            assert curve.recommendation.limit is None
    shuffled = list(verdicts)
    chance.shuffle(shuffled)
    assert curves(shuffled) == found


def test_where_there_is_no_difference_none_is_claimed() -> None:
    """At 95 % at most one of twenty may be wrong; of forty seeds more than five happen once in a thousand times."""
    found = [curves(judged(random.Random(seed), 600, [0.7] * 10))[0].recommendation for seed in range(40)]
    assert sum(one.limit is not None for one in found) <= 5
    assert {one.sureness for one in found} <= {"no difference seen", "a difference is seen"}


@pytest.mark.parametrize("edge", [2, 4, 7])
def test_a_drop_is_found_where_it_is(edge: int) -> None:
    rates = [0.9] * edge + [0.4] * (10 - edge)
    advice = curves(judged(random.Random(edge), 3000, rates))[0].recommendation
    assert advice.sureness == "a difference is seen"
    assert advice.limit == pytest.approx(edge / 10)
    assert advice.drop is not None
    assert 0.3 < advice.drop.low < 0.5 < advice.drop.high + 0.1


def test_a_rise_recommends_nothing() -> None:
    advice = curves(judged(random.Random(1), 3000, [0.3] * 5 + [0.9] * 5))[0].recommendation
    assert (advice.sureness, advice.limit) == ("no difference seen", None)


def test_a_context_beyond_its_window_is_in_the_last_bin() -> None:
    curve = curves([JudgedContext("codex", "", 7.5, passed=True)])[0]
    assert curve.bins[-1].verdicts == 1
    assert math.isclose(curve.highest, 7.5)
