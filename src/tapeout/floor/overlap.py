"""Keeping apart issues that will touch the same files, before work on them starts. Pure.

An issue whose declared scope overlaps with what somebody works on already waits while there is other work for the free
workers: 40 % of changes that are made side by side collide (Uber, EuroSys 2019). It never waits in vain: with nothing
else to start it is started, and after `MOST_PASSED_OVER` times it keeps its place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from tapeout.tracker.model import Issue

MOST_PASSED_OVER = 8
"""How often later issues may be started before one that overlaps."""

LOOK_AHEAD = 32
"""How many more ready issues than workers are looked at, to find some that do not overlap."""


def in_starting_order(
    ready: Sequence[Issue], busy: Iterable[Sequence[str]], passed_over: Mapping[str, int], count: int
) -> tuple[list[Issue], list[str]]:
    """Which issues to start now, and which ones that were before some of them are passed over by that.

    Args:
        ready: most urgent first.
        busy: scopes of what is being worked on.
        passed_over: how often that has happened to issues before.
        count: most issues to start.
    """
    scopes = [scope for scope in busy if scope]
    chosen: list[Issue] = []
    postponed: list[Issue] = []
    for issue in ready:
        if len(chosen) == count:
            break
        free = passed_over.get(issue.id, 0) >= MOST_PASSED_OVER
        if free or not any(scopes_overlap(issue.scope, scope) for scope in scopes):
            chosen.append(issue)
            scopes.append(issue.scope)
        else:
            postponed.append(issue)
    kept = postponed[: count - len(chosen)]
    chosen += kept
    place = {issue.id: number for number, issue in enumerate(ready)}
    last = max((place[issue.id] for issue in chosen), default=-1)
    return chosen, [issue.id for issue in postponed if issue not in kept and place[issue.id] < last]


def scopes_overlap(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether some path could fit a glob of both; an empty scope is unknown, and overlaps with nothing."""
    return any(globs_overlap(one, other) for one in first for other in second)


@lru_cache(maxsize=4096)
def globs_overlap(first: str, second: str) -> bool:
    """Whether some path could fit both globs (`**` is any number of folders, `*` and `?` are within one name).

    It may say yes for sets of characters that have none in common.
    """
    return _folders_overlap(_parts(first), _parts(second))


def _parts(glob: str) -> tuple[str, ...]:
    return tuple(part for part in glob.split("/") if part not in ("", "."))


def _folders_overlap(first: Sequence[str], second: Sequence[str]) -> bool:
    return _meet(first, second, "**", _names_overlap)


def _names_overlap(first: str, second: str) -> bool:
    return _meet(_tokens(first), _tokens(second), "*", lambda one, other: one == other or "?" in (one, other))


def _meet(first: Sequence[str], second: Sequence[str], any_number: str, fits: Callable[[str, str], bool]) -> bool:
    """Whether two patterns have a text in common: walk through both at once; `reached` holds pairs of places at which
    both can be after the same text."""
    reached, looked = {(0, 0)}, set[tuple[int, int]]()
    while reached:
        place = reached.pop()
        if place == (len(first), len(second)):
            return True
        looked.add(place)
        reached |= set(_onward(first, second, place, any_number, fits)) - looked
    return False


def _onward(
    first: Sequence[str],
    second: Sequence[str],
    place: tuple[int, int],
    any_number: str,
    fits: Callable[[str, str], bool],
) -> Iterator[tuple[int, int]]:
    one, other = place
    here, there = first[one : one + 1], second[other : other + 1]
    repeats = any_number in here or any_number in there
    if any_number in here or (repeats and here):
        yield one + 1, other  # the repeating part of the one ends, or that of the other takes this part in
    if any_number in there or (repeats and there):
        yield one, other + 1
    if here and there and not repeats and fits(here[0], there[0]):
        yield one + 1, other + 1


def _tokens(name: str) -> list[str]:
    """Characters; a set such as `[ab]` counts as any one character, `**` within a name as `*`."""
    tokens: list[str] = []
    position = 0
    while position < len(name):
        end = name.find("]", position + 2) if name[position] == "[" else -1
        if end > 0:
            tokens.append("?")
            position = end + 1
            continue
        if not (name[position] == "*" and tokens[-1:] == ["*"]):
            tokens.append(name[position])
        position += 1
    return tokens
