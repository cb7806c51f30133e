"""The context meter: a guard that ends a session when its context is as full as it may get. Pure."""

from dataclasses import dataclass, replace

from tapeout.agents import Compacted, ToolCall, Update, Usage
from tapeout.base.tokens import estimate
from tapeout.floor.context.limits import ContextLimits
from tapeout.floor.cuts import Answer, Cut
from tapeout.floor.guards import Quiet

HANDOFF_TOKENS = 6_000
"""What writing a handoff may add to a context: the question, some thought, and the answer."""


@dataclass(frozen=True)
class Reading:
    """How full a context is."""

    used: int
    """Tokens in it."""
    window: int
    """Tokens that it can hold."""
    estimated: bool
    """Whether the agent does not say, and its driver guesses."""

    @property
    def share(self) -> float:
        """The part of the window that is used; a window of no size is full."""
        return self.used / self.window if self.window > 0 else float(self.used > 0)

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        return f"{about}{self.used:,} of {self.window:,} tokens ({self.share:.0%})"


class ContextMeter(Quiet):
    """Cuts a session at its limit with a grace, and at its ceiling at once. Once it has cut it only ever asks for
    more."""

    def __init__(self, limits: ContextLimits, window: int) -> None:
        """
        Args:
            window: tokens that the context holds, so far as is known before the agent says so.
        """
        self.limits = limits
        """May be replaced when the model becomes known."""
        self._window = window
        self._reading: Reading | None = None
        self._has_worked = False
        self._is_cut = False

    @property
    def reading(self) -> Reading | None:
        """The newest report; None before the first."""
        return self._reading

    @property
    def has_room(self) -> bool:
        """Whether a handoff can be written below the ceiling."""
        reading = self._reading
        return reading is None or reading.used + HANDOFF_TOKENS <= self.limits.ceiling * reading.window

    def update(self, update: Update, now: float) -> Answer:
        """Read a report."""
        if isinstance(update, ToolCall):
            self._has_worked = True
        if isinstance(update, Compacted):
            return self._cut(f"the agent shortened its own context from {update.before:,} to {update.after:,} tokens")
        return self._read(Reading(update.used, update.size, update.estimated)) if isinstance(update, Usage) else None

    def turn_started(self, prompt: str, now: float) -> Answer:
        """A prompt that would bring the context to its limit is not given."""
        reading = self._reading or Reading(0, self._window, estimated=True)
        filled = replace(reading, used=reading.used + estimate(prompt), estimated=True)
        if filled.share < self.limits.limit:
            return None
        evidence = f"the prompt would bring the context to its limit of {self.limits.limit:.0%}: {filled}"
        return self._cut(evidence, futile=self._reading is None)

    def _read(self, reading: Reading) -> Cut | None:
        is_first, self._reading = self._reading is None, reading
        if reading.share >= self.limits.ceiling:
            self._is_cut = True
            return Cut("context", f"over the ceiling of {self.limits.ceiling:.0%}: {reading}", hard=True)
        if reading.share < self.limits.limit:
            return None
        at_once = is_first and not self._has_worked  # the next session would be, too
        return self._cut(f"at the context limit of {self.limits.limit:.0%}: {reading}", futile=at_once)

    def _cut(self, evidence: str, *, futile: bool = False) -> Cut | None:
        if self._is_cut:
            return None
        self._is_cut = True
        return Cut("context", evidence, grace=self.limits.grace, futile=futile)
