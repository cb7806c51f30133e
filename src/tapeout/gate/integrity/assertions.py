"""Comparing what tests assert before and after a change. Pure, and the same for all languages."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple


class Weighed(NamedTuple):
    """One assertion."""

    text: str
    """By which it is known again elsewhere."""
    weight: int = 1
    """How many values it looks at."""
    weak: bool = False
    """It says that there is something, not what."""


class Facts(NamedTuple):
    """What one test asserts."""

    line: int
    assertions: tuple[Weighed, ...] = ()
    empty_lines: tuple[int, ...] = ()
    """Lines of assertions that hold whatever the code does."""
    swallowed: tuple[int, ...] = ()
    """Lines of assertions whose failure is caught."""
    unconditional: int = 0
    """How many assertions no `if` stands before."""
    broad_raises: int = 0
    """Expected exceptions that any exception is."""
    narrow_raises: int = 0
    matched_raises: int = 0
    """Expected exceptions of which the message counts too."""
    tolerances: tuple[tuple[str, float], ...] = ()
    """Names of tolerances and how lax they are."""
    cases: Counter[str] = Counter()  # noqa: RUF012 - never changed
    """Of a parametrized test."""
    times: int | None = 1
    """How often it runs: once a case. None: the cases cannot be read."""
    loops: bool = False
    """Some of it runs for each of a number of values."""

    @property
    def weight(self) -> int:
        """How many values it asserts."""
        return sum(one.weight for one in self.assertions)


Texts = Mapping[str, int]


def weakenings(before: Facts, after: Facts, moved: Texts, moved_cases: Texts) -> Iterator[tuple[int, str]]:
    """Lines of the test as it is now, and in what it got weaker.

    Args:
        moved: assertions that are new elsewhere in the change, and how often.
        moved_cases: the same of cases of parametrized tests.
    """
    yield from ((line, "asserts what is always true") for line in after.empty_lines[len(before.empty_lines) :])
    yield from ((line, "catches the failure of its own assertion") for line in after.swallowed[len(before.swallowed) :])
    fewer = _fewer(before, after, moved)
    if fewer:
        yield after.line, fewer
    elif before.unconditional and after.assertions and not after.unconditional:
        yield after.line, "asserts only under a condition now"
    yield from ((after.line, text) for text in _laxer(before, after))
    if _has_fewer_cases(before, after) and before.cases - after.cases - Counter(moved_cases):
        yield after.line, f"has {after.cases.total()} cases, {before.cases.total()} on the target branch"


def _fewer(before: Facts, after: Facts, moved: Texts) -> str:
    if not before.weight:
        return ""
    if not after.weight:
        return "asserts nothing any more"
    lost = _without(before, {one.text for one in after.assertions} | {text for text in moved if moved[text] > 0})
    gained = _without(after, {one.text for one in before.assertions})
    times = _times(before, after)
    is_less = after.weight * times[1] < before.weight * times[0]
    if is_less and _weight(lost) * times[0] > _weight(gained) * times[1]:
        return f"asserts less than on the target branch ({after.weight} instead of {before.weight} values)"
    if _strong(lost) > _strong(gained) and len(gained) - _strong(gained) > len(lost) - _strong(lost):
        return "asserts that there is something, where it asserted what"
    return ""


def _without(facts: Facts, texts: Collection[str]) -> list[Weighed]:
    return [one for one in facts.assertions if one.text not in texts]


def _weight(assertions: Iterable[Weighed]) -> int:
    return sum(one.weight for one in assertions)


def _strong(assertions: Iterable[Weighed]) -> int:
    return sum(not one.weak for one in assertions)


def _has_fewer_cases(before: Facts, after: Facts) -> bool:
    if before.times is None or after.times is None or (after.loops and not after.cases):
        return False
    return after.cases.total() < before.cases.total()


def _times(before: Facts, after: Facts) -> tuple[int, int]:
    """How often each side runs, where only one is parametrized; cases themselves are compared elsewhere."""
    if before.times is None or after.times is None or (before.cases and after.cases) or after.loops:
        return 1, 1
    return before.times, after.times


def _laxer(before: Facts, after: Facts) -> Iterator[str]:
    if after.broad_raises > before.broad_raises and after.narrow_raises < before.narrow_raises:
        yield "expects any exception, where it expected a certain one"
    if after.matched_raises < before.matched_raises and after.narrow_raises >= before.narrow_raises:
        yield "expects any message, where it expected a certain one"
    if len(before.tolerances) == len(after.tolerances):
        pairs = zip(before.tolerances, after.tolerances, strict=True)
        if any(old[0] == new[0] and new[1] > old[1] for old, new in pairs):
            yield "tolerates more than on the target branch"
