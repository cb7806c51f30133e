"""How many changes one gate run judges: as many as make its outcome most uncertain.

A run tells pass or fail: at most one bit, and the whole bit only when both are equally probable. If each change is good
with probability p, the first k of a line pass together with p^k, so one run judges the k with p^k nearest to 1/2
(p = 0.9: 7 changes; p = 0.62 and less: one by one, where by Ungar 1960 no grouping helps). A line that failed is cut
where the probability that the first culprit lies before the cut is nearest to 1/2: for equal p, close to bisection.
This is nested group testing (Sobel and Groll 1959, Hwang 1972): some 0.48 runs a change at p = 0.9, where the entropy,
which nothing can beat, is 0.469, Dorfman's fixed batches (1943) need 0.59 and one run a change needs 1.

With several runs at once the cuts are the quantiles: s runs at the places j / (s + 1) of the distribution of the first
culprit. Their s + 1 outcomes are then equally probable, which is log2(s + 1) bits a round: the most that runs of one
line can tell. They are exactly the speculative combinations main + A, main + A + B, ...; whichever passes can land.
"""

import bisect
from collections.abc import Collection, Sequence

GOOD, BAD = 9.0, 1.0
"""What the pass rate is believed to be before anything was measured, as counts of changes (a Beta distribution)."""

_LEAST, _MOST = 0.02, 0.99


def pass_rate(landed: int, refused: int) -> float:
    """How probable it is that a change is good, from the latest decisions: the mean of the Beta posterior."""
    return min(max((landed + GOOD) / (landed + refused + GOOD + BAD), _LEAST), _MOST)


def first_culprit(odds: Sequence[float]) -> list[float]:
    """Distribution of the first bad change of a line: item k is the probability that it is among the first k.

    Args:
        odds: of each change of the line, how probable it is that it is good.
    """
    good, found = 1.0, [0.0]
    for one in odds:
        good *= min(max(one, _LEAST), _MOST)
        found.append(1.0 - good)
    return found


def cuts(found: Sequence[float], boundaries: Collection[int], count: int, *, failed: bool) -> list[int]:
    """Where to judge a line next: up to `count` numbers of first changes, most telling places first.

    Args:
        found: as `first_culprit` gives it for the line.
        boundaries: numbers that are being judged already.
        failed: whether the whole line is known to fail; then the whole is no place, and the culprit is in it.
    """
    whole = len(found) - 1
    top = whole - 1 if failed else whole
    total = found[whole] if failed else 1.0
    edges = sorted({0, *boundaries, *([whole] if failed else [])})
    gaps = [
        _Gap(low, high, found[low], found[high] if high <= whole else total)
        for low, high in zip(edges, [*edges[1:], whole + 1], strict=True)
        if low < top
    ]
    chosen: list[int] = []
    for _ in range(count):
        open_gaps = [gap for gap in gaps if gap.room(top) > gap.wanted]
        if not open_gaps:
            break
        max(open_gaps, key=lambda gap: gap.mass / (gap.wanted + 1)).wanted += 1
    for gap in sorted(gaps, key=lambda gap: -gap.mass):
        chosen += gap.places(found, top)
    return chosen


class _Gap:
    """The changes between two places that are judged."""

    def __init__(self, low: int, high: int, before: float, after: float) -> None:
        self.low, self.high, self.before = low, high, before
        self.mass = max(after - before, 0.0)
        self.wanted = 0

    def room(self, top: int) -> int:
        """How many places there are in it."""
        return min(self.high - 1, top) - self.low

    def places(self, found: Sequence[float], top: int) -> list[int]:
        """Those nearest to the wanted quantiles."""
        places: list[int] = []
        last = min(self.high - 1, top)
        for number in range(1, self.wanted + 1):
            target = self.before + self.mass * number / (self.wanted + 1)
            # Leave room for those that come after, and never take a place twice.
            low = (places[-1] if places else self.low) + 1
            high = last - (self.wanted - number)
            place = bisect.bisect_left(found, target, low, high + 1)
            if place > high or (place > low and target - found[place - 1] < found[place] - target):
                place -= 1
            places.append(min(max(place, low), high))
        return places
