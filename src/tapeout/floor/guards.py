"""What may end a session, or have its agent told something: guards, each with one concern. Pure, no I/O.

A guard watches one session: the context meter, a detector of spirals, a budget, a person's word. It is told what the
session reports and when a turn ended, and answers with nothing, with something to tell the agent, or with a cut. It
keeps what it has seen; `supervision` runs a turn under all guards and does what they ask.
"""

from dataclasses import dataclass
from typing import Protocol

from tapeout.agents import Update
from tapeout.floor.cuts import SEVERITY, CutKind


@dataclass(frozen=True)
class Tell:
    """Say something to the agent, once, at the start of its next turn."""

    text: str
    evidence: str
    """What was seen, one line, for people and the record."""


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


Answer = Tell | Cut | None
"""What a guard says to what it is told."""


@dataclass(frozen=True)
class TurnFacts:
    """What a turn came to, as git and the gate have it."""

    round: int
    """Which prompt of the session it was, from 1."""
    commit: str
    """What the workspace held at its end."""
    tree: str
    changed: bool
    """Whether there was anything to submit."""
    reason: str = ""
    """Why the gate refused it, one line; empty if it did not."""
    findings: tuple[tuple[str, str, str], ...] = ()
    """Of a failed verdict: check, reason and excerpt of each finding."""


class Guard(Protocol):
    """One concern about one session. `now` is monotonic, in seconds."""

    @property
    def wake(self) -> float | None:
        """When `tick` is to be called next, which must move it on; None for not at all."""
        ...

    def update(self, update: Update, now: float) -> Answer:
        """The session reported something."""
        ...

    def turn_started(self, prompt: str, now: float) -> Answer:
        """A prompt is about to be given; a cut keeps it from being given."""
        ...

    def turn_ended(self, facts: TurnFacts, now: float) -> Answer:
        """A turn is over and the gate has spoken."""
        ...

    def tick(self, now: float) -> Answer:
        """Time has passed."""
        ...


class Quiet:
    """A guard that says nothing: what most of them are in most respects."""

    @property
    def wake(self) -> float | None:
        """Never."""
        return None

    def update(self, update: Update, now: float) -> Answer:
        """Nothing to say."""
        return None

    def turn_started(self, prompt: str, now: float) -> Answer:
        """Nothing to say."""
        return None

    def turn_ended(self, facts: TurnFacts, now: float) -> Answer:
        """Nothing to say."""
        return None

    def tick(self, now: float) -> Answer:
        """Nothing to say."""
        return None


def first_cut(one: Cut | None, other: Cut | None) -> Cut | None:
    """The cut that counts of two: a hard one, then by kind, then the earlier one."""
    found = [cut for cut in (one, other) if cut is not None]
    return min(found, key=lambda cut: (not cut.hard, SEVERITY.index(cut.kind)), default=None)
