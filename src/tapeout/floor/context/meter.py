"""The context meter: a guard that ends a session when its context is as full as it may get. Pure."""

from dataclasses import dataclass

from tapeout.agents import ToolCall, Update, Usage
from tapeout.base.tokens import estimate
from tapeout.floor.context.limits import ContextLimits
from tapeout.floor.cuts import Answer, Cut
from tapeout.floor.guards import Quiet

COMPACTED_TO = 0.6
"""A context that falls below this part of what it held was compacted. What agents drop otherwise (reasoning of earlier
turns, an old tool result) is less; summaries leave 5-30 %."""

COMPACTED_BY = 0.05
"""It must also fall by this part of the window: small contexts change by much for little reason."""

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

    def __init__(self, limits: ContextLimits) -> None:
        self.limits = limits
        self._reading: Reading | None = None
        self._peak = 0
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
        if not isinstance(update, Usage):
            return None
        reading = Reading(update.used, update.size, bool(getattr(update, "estimated", False)))
        is_first, self._reading = self._reading is None, reading
        fell_from, self._peak = self._peak, max(self._peak, reading.used)
        if reading.share >= self.limits.ceiling:
            self._is_cut = True
            return Cut("context", f"over the ceiling of {self.limits.ceiling:.0%}: {reading}", hard=True)
        if self._is_cut:
            return None
        if reading.share >= self.limits.limit:
            at_once = is_first and not self._has_worked  # the next session would be, too
            return self._cut(f"at the context limit of {self.limits.limit:.0%}: {reading}", futile=at_once)
        if reading.used <= COMPACTED_TO * fell_from and fell_from - reading.used >= COMPACTED_BY * reading.window:
            return self._cut(f"the agent shortened its own context from {fell_from:,} tokens to {reading}")
        return None

    def turn_started(self, prompt: str, now: float) -> Answer:
        """A prompt that would bring the context to its limit is not given."""
        reading = self._reading
        if reading is None or self._is_cut:
            return None
        tokens = estimate(prompt)
        if reading.used + tokens < self.limits.limit * reading.window:
            return None
        return self._cut(f"the next prompt would pass the context limit of {self.limits.limit:.0%}: {reading}")

    def _cut(self, evidence: str, *, futile: bool = False) -> Cut:
        self._is_cut = True
        return Cut("context", evidence, grace=self.limits.grace, futile=futile)
