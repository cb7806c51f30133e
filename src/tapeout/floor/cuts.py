"""What a guard can ask for: to tell the agent something, or to end its session. Pure data."""

from dataclasses import dataclass
from typing import Literal

CutKind = Literal["person", "budget", "spiral", "context", "provider", "stalled"]
"""Why a session is ended: a person wants it to, it reached a budget, it goes round in circles, its context is full, its
provider is not to be had, nothing comes of it any more."""


@dataclass(frozen=True)
class Tell:
    """Say something to the agent, once."""

    text: str
    evidence: str
    """What was seen, one line, for people and the record."""
    when: Literal["next", "after", "now"] = "next"
    """`next`: with its next prompt, if there is one. `after`: in a prompt of its own, as soon as the running turn has
    ended. `now`: the running turn is cancelled for it."""
    unheard: CutKind = "stalled"
    """Of `now`: why the session is ended if the agent does not end its turn to hear it."""


@dataclass(frozen=True)
class Cut:
    """End the session."""

    kind: CutKind
    evidence: str
    """What was seen, one line: for people, the record and the next session."""
    grace: float = 0.0
    """Seconds that the running turn may still take to end by itself before it is cancelled."""
    hard: bool = False
    """Kill the agent at once instead of asking it to end its turn."""
    futile: bool = False
    """A fresh session would only be cut again: a person has to see to it."""


Answer = Tell | Cut | None
"""What a guard says to what it is told."""


SEVERITY: tuple[CutKind, ...] = ("person", "budget", "spiral", "context", "provider", "stalled")
"""Which of several cuts counts: what a person wants first, what ends more before what ends less."""


def first_cut(one: Cut | None, other: Cut | None) -> Cut | None:
    """The cut that counts of two: a hard one, then by kind, then the earlier one."""
    found = [cut for cut in (one, other) if cut is not None]
    return min(found, key=lambda cut: (not cut.hard, SEVERITY.index(cut.kind)), default=None)
