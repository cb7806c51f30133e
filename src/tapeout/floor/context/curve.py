"""How often changes pass the gate, by how full the context was when they were handed in. Pure statistics.

Intervals of a pass rate are Wilson's (1927), which keep their promise for small numbers and for rates near 0 and 1
(Brown, Cai and DasGupta, Statistical Science 16, 2001). The interval of a difference of two rates is Newcombe's hybrid
score interval (Statistics in Medicine 17, 1998, method 10), which is made of two Wilson intervals. Because each edge
between bins is tried as a limit, each comparison is held to a stricter level (Bonferroni).

It is an observation and no experiment: sessions that get far are those with the harder issues, so a lower pass rate in
full contexts need not be the context's fault. Beyond the limit that was in force there is next to nothing to see.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple

LEVEL = 0.95
"""Of confidence."""

BINS = 10
"""Of a tenth of the window each; the last holds all that is above."""

LEAST_VERDICTS = 30
"""Verdicts on either side of an edge before the sides are compared: the usual rule of thumb for two proportions."""


class JudgedContext(NamedTuple):
    """One verdict."""

    agent: str
    model: str
    """Empty if nobody says."""
    share: float
    """Part of the context window that was used."""
    passed: bool
    estimated: bool = False
    """Whether the share is an estimate."""


class Interval(NamedTuple):
    """Bounds of a rate or of a difference."""

    low: float
    high: float


class Bin(NamedTuple):
    """Verdicts at about the same utilisation."""

    start: float
    """Part of the window, included."""
    end: float
    """Part of the window, not included."""
    verdicts: int
    passed: int
    rate: float | None
    """Share of the verdicts that passed; None without verdicts."""
    interval: Interval | None
    """Of the rate."""


Sureness = Literal["too few verdicts", "no difference seen", "a difference is seen"]


class Recommendation(NamedTuple):
    """What the data say about a limit."""

    sureness: Sureness
    limit: float | None
    """None: nothing to recommend, whatever is configured stays."""
    drop: Interval | None
    """By how much the pass rate is lower above the limit than below it."""
    compared: int
    """How many edges had enough verdicts on either side."""


class Curve(NamedTuple):
    """One agent with one model."""

    agent: str
    model: str
    bins: tuple[Bin, ...]
    verdicts: int
    estimated: int
    """Verdicts whose utilisation is an estimate."""
    highest: float
    """Utilisation of the fullest context."""
    recommendation: Recommendation


def curves(verdicts: Iterable[JudgedContext]) -> list[Curve]:
    """The curve of each agent and model, those with most verdicts first."""
    groups: dict[tuple[str, str], list[JudgedContext]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.agent, verdict.model), []).append(verdict)
    found = [_curve(agent, model, group) for (agent, model), group in groups.items()]
    return sorted(found, key=lambda one: (-one.verdicts, one.agent, one.model))


def wilson(passed: int, verdicts: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of a rate.

    Args:
        verdicts: at least 1.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = passed / verdicts
    spread = 1 + z * z / verdicts
    centre = (rate + z * z / (2 * verdicts)) / spread
    half = z / spread * math.sqrt(rate * (1 - rate) / verdicts + z * z / (4 * verdicts * verdicts))
    return Interval(max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half)))


def difference(one: tuple[int, int], other: tuple[int, int], level: float = LEVEL) -> Interval:
    """Newcombe's interval of the difference of two rates, each given as passed and verdicts."""
    rate, other_rate = one[0] / one[1], other[0] / other[1]
    mine, its = wilson(*one, level), wilson(*other, level)
    apart = rate - other_rate
    low = apart - math.hypot(rate - mine.low, its.high - other_rate)
    high = apart + math.hypot(mine.high - rate, other_rate - its.low)
    return Interval(max(-1.0, low), min(1.0, high))


def recommend(bins: Sequence[Bin]) -> Recommendation:
    """The edge between bins above which the pass rate is lower for certain, and by most."""
    edges = []
    for cut in range(1, len(bins)):
        below, above = _sum(bins[:cut]), _sum(bins[cut:])
        if min(below[1], above[1]) >= LEAST_VERDICTS:
            edges.append((bins[cut].start, below, above))
    if not edges:
        return Recommendation("too few verdicts", None, None, 0)
    level = 1 - (1 - LEVEL) / len(edges)
    drops = [(edge, difference(below, above, level)) for edge, below, above in edges]
    edge, drop = max(drops, key=lambda one: (one[1].low, -one[0]))
    if drop.low <= 0:
        return Recommendation("no difference seen", None, drop, len(edges))
    return Recommendation("a difference is seen", edge, drop, len(edges))


def _sum(bins: Sequence[Bin]) -> tuple[int, int]:
    return sum(one.passed for one in bins), sum(one.verdicts for one in bins)


def _bin(number: int, passed: int, verdicts: int) -> Bin:
    rate, interval = (passed / verdicts, wilson(passed, verdicts)) if verdicts else (None, None)
    return Bin(number / BINS, (number + 1) / BINS, verdicts, passed, rate, interval)


def _curve(agent: str, model: str, group: Sequence[JudgedContext]) -> Curve:
    counts = [[0, 0] for _ in range(BINS)]
    for verdict in group:
        count = counts[min(int(verdict.share * BINS + 1e-9), BINS - 1)]
        count[0] += verdict.passed
        count[1] += 1
    bins = tuple(_bin(number, passed, verdicts) for number, (passed, verdicts) in enumerate(counts))
    return Curve(
        agent=agent,
        model=model,
        bins=bins,
        verdicts=len(group),
        estimated=sum(verdict.estimated for verdict in group),
        highest=max(verdict.share for verdict in group),
        recommendation=recommend(bins),
    )
