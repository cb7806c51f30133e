"""What may end a session, or have its agent told something: guards, each with one concern. Pure, no I/O.

A guard watches one session: the context meter, a detector of spirals, a budget, a person's word. It is told what the
session reports and when a turn ended, and answers with nothing, with something to tell the agent, or with a cut. It
keeps what it has seen; `supervision` runs a turn under all guards and does what they ask.
"""

from typing import Protocol

from tapeout.agents import Update
from tapeout.floor.cuts import SEVERITY, Answer, Cut, CutKind, Tell, first_cut
from tapeout.floor.memory.model import Round

__all__ = ["SEVERITY", "Answer", "Cut", "CutKind", "Guard", "Quiet", "Tell", "first_cut"]


class Guard(Protocol):
    """One concern about one session. `now` is monotonic, in seconds, and stands still while the attempt is paused."""

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

    def turn_stopped(self, now: float) -> None:
        """The agent has ended its turn, and waits for what comes."""
        ...

    def turn_ended(self, judged: Round | None, now: float) -> Answer:
        """A turn is over, and the gate has spoken of its change; None if there was none, or no verdict."""
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

    def turn_stopped(self, now: float) -> None:
        """Nothing to do."""

    def turn_ended(self, judged: Round | None, now: float) -> Answer:
        """Nothing to say."""
        return None

    def tick(self, now: float) -> Answer:
        """Nothing to say."""
        return None
