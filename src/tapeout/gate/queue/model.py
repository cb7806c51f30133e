"""What the planner is given and what it answers: plain values."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

Combination = tuple[str, ...]
"""Ids of changes, in the order in which they are merged onto main: the tree that one gate run judges."""

Clash = frozenset[str]
"""Two changes that cannot be merged one onto the other."""


@dataclass(frozen=True)
class Waiting:
    """A change that is neither landed nor refused."""

    id: str
    priority: int
    """0 is the most urgent."""
    queued_at: float
    """Unix time, seconds."""
    last: bool = False
    """Nothing may be stacked on it, because what it changes is what later ones are judged by."""


@dataclass(frozen=True)
class Situation:
    """The queue at one moment. Combinations are relative to main as it is now."""

    waiting: Sequence[Waiting]
    slots: int
    """How many gate runs may go on at once; none while others have all slots, which have to let go of them."""
    pass_rate: float
    """How probable it is that a change is good."""
    aging: float
    """Seconds of waiting that weigh as much as one step of priority."""
    running: Collection[Combination] = ()
    passed: Collection[Combination] = ()
    failed: Collection[Combination] = ()
    clashes: Collection[Clash] = ()
    most: int = 64
    """Longest combination."""


@dataclass(frozen=True)
class Plan:
    """What to do now. After a landing or a refusal the situation is another one: ask again."""

    land: Combination | None = None
    """It passed: move main to it."""
    refuse: str | None = None
    """The culprit: it failed as the only change on top of main."""
    cancel: tuple[Combination, ...] = ()
    """Runs whose result is known, or of no use, already."""
    start: tuple[Combination, ...] = ()
