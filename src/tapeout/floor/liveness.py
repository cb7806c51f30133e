"""Whether an attempt is alive, without asking a model: from what its processes, its output, its files and its lease
show. Pure; `vitals` looks at the machine.

A turn is **stalled** when for `stall_after` seconds the session reported nothing, the terminal showed nothing, the
process tree used less than `BUSY_SHARE` of a processor core, and the work tree's git files did not change. A long quiet
tool, such as a test run of twenty minutes, uses the processor and so is not. What waits on purpose (for the gate, a
permission, a person) is not either. An agent that stalls is told so once, its turn being cancelled; if it stalls again
the attempt is replaced.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tapeout.agents import Update
from tapeout.floor.cuts import Answer, Cut, Tell
from tapeout.floor.guards import Quiet
from tapeout.floor.health import State

BUSY_SHARE = 0.01
"""Share of a processor core that a process tree at work uses at least. Chosen, not measured for every agent: one that
only waits for an answer uses next to nothing, its timers included; a build or test run keeps a core busy."""

LOOKS = 4
"""How often the machine is looked at within `stall_after`."""


@dataclass(frozen=True)
class Signs:
    """Signs of life at one moment."""

    cpu: float
    """Processor seconds that the process tree has used so far."""
    output: int
    """Bytes of the terminal recording."""
    tree: float
    """When the work tree's git files were changed last."""


def is_alive(before: Signs, after: Signs, seconds: float) -> bool:
    """Whether anything happened between two looks that were `seconds` apart."""
    busy = after.cpu - before.cpu >= BUSY_SHARE * seconds
    return busy or after.output != before.output or after.tree != before.tree


class Liveness(Quiet):
    """Watches that a session's turns go on, and end in time."""

    def __init__(
        self,
        look: Callable[[], Signs],
        show: Callable[[State], None],
        *,
        stall_after: float,
        turn_timeout: float,
    ) -> None:
        """
        Args:
            look: looks for signs of life.
            show: told when the state of a running turn changes: working or stalled.
            stall_after: seconds.
            turn_timeout: seconds that one turn may take.
        """
        self._look = look
        self._show = show
        self._stall_after = stall_after
        self._turn_timeout = turn_timeout
        self._waiting = 0
        self._told = False
        self._stalled = False
        self._signs = Signs(0.0, 0, 0.0)
        self._looked_at = 0.0
        self._alive_at = 0.0
        self._begun_at: float | None = None

    @property
    def wake(self) -> float | None:
        """At the next look, or when the turn's time is over; never while no turn runs."""
        if self._begun_at is None:
            return None
        over = self._begun_at + self._turn_timeout
        return over if self._waiting else min(over, self._looked_at + self._stall_after / LOOKS)

    def update(self, update: Update, now: float) -> Answer:
        """The session reported something, so it lives."""
        self._lives(now)
        return None

    def turn_started(self, prompt: str, now: float) -> Answer:
        """A turn begins; what went before does not count."""
        self._begun_at = self._looked_at = self._alive_at = now
        self._signs = self._look()
        self._stalled = False
        self._show("working")
        return None

    def turn_stopped(self, now: float) -> None:
        """Nothing is expected of the agent now."""
        self._begun_at = None

    def waits(self, *, begins: bool, now: float) -> None:
        """The session begins or stops to wait for somebody's answer: meanwhile it cannot stall."""
        self._waiting += 1 if begins else -1
        self._looked_at = self._alive_at = now
        self._signs = self._look()

    def tick(self, now: float) -> Answer:
        """Look for signs of life, and at the clock."""
        if self._begun_at is None:
            return None
        if now >= self._begun_at + self._turn_timeout:
            self._begun_at = None
            return Cut("stalled", f"the turn took longer than {self._turn_timeout:.0f} s")
        if self._waiting or now < self._looked_at + self._stall_after / LOOKS:
            return None
        signs, before = self._look(), self._signs
        if is_alive(before, signs, now - self._looked_at):
            self._lives(now)
        self._signs, self._looked_at = signs, now
        return self._stall(now) if now - self._alive_at >= self._stall_after else None

    def _lives(self, now: float) -> None:
        self._alive_at = now
        if self._stalled:
            self._stalled = False
            self._show("working")

    def _stall(self, now: float) -> Answer:
        quiet = f"no output, no change of files and no use of the processor for {self._stall_after:.0f} s"
        self._stalled, self._alive_at = True, now
        self._show("stalled")
        if self._told:
            self._begun_at = None
            return Cut("stalled", f"stalled again: {quiet}")
        self._told = True
        return Tell(
            f"Your turn was cancelled because nothing happened in it: {quiet}. If a command of yours waits for input or"
            " for something that will not come, do without it, or run it with a timeout. Look at the state of your work"
            " and go on.",
            f"stalled: {quiet}",
            when="now",
        )
