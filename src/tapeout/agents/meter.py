"""The usage meter: what a session's own reports say about its context and its spending, and what is estimated where
they say nothing. Pure.

Estimates are labelled. Characters become tokens at four each, the rule of thumb of the models' makers for English and
code. An agent's system prompt and tool descriptions are not in the transcript: they are counted at `HIDDEN_TOKENS`.
"""

from dataclasses import replace

from tapeout.agents.updates import Compacted, Notice, Permission, Plan, Spent, Text, Thought, ToolCall, Update, Usage

CHARACTERS_PER_TOKEN = 4

HIDDEN_TOKENS = 10_000
"""Tokens of an agent's first request besides our prompt: measured 8,700 with vibe-acp, 10,900 with codex-acp, 11,800
with claude-agent-acp."""

ESTIMATE_STEP = 0.01
"""An estimate is reported anew when it has moved by this part of the window."""

COMPACTED_TO = 0.6
"""A context that falls below this part of what it held was compacted. What agents drop otherwise (reasoning of earlier
turns, an old tool result) is less; summaries leave 5-30 %."""

COMPACTED_BY = 0.05
"""It must also fall by this part of the window: small contexts change by much for little reason."""


class Meter:
    """Reads the updates of one session and adds what follows from them."""

    def __init__(
        self, window: int, *, fixed: bool = False, hidden: int = HIDDEN_TOKENS, remembers: bool = True
    ) -> None:
        """
        Args:
            window: tokens that the context holds, for estimates.
            fixed: the window counts even where the agent reports another.
            hidden: tokens that are in the context from the start, for estimates.
            remembers: whether a turn's context holds the earlier turns.
        """
        self.usage: Usage | None = None
        """The last usage, reported or estimated."""
        self.spent: Spent | None = None
        """What the session has spent, reported or estimated."""
        self._window = window
        self._fixed = fixed
        self._hidden = hidden
        self._remembers = remembers
        self._characters = 0
        self._peak = 0
        self._earlier = Spent(0, 0)
        self._asked = 0
        self._answering = False

    def prompted(self, text: str) -> None:
        """A prompt is about to be given."""
        self._characters = len(text) + (self._characters if self._remembers else 0)
        self._answering = True

    def replayed(self, update: Update | None, characters: int = 0) -> None:
        """Something that was in the context before, or so many characters of it, unless it was counted then."""
        if self._answering or self._earlier.input_tokens:
            return
        self._characters += characters + (_characters(update) if update is not None else 0)

    def read(self, update: Update) -> list[Update]:
        """The update as it is to be taken, and what follows from it."""
        if isinstance(update, Usage):
            return self._reported(update)
        if isinstance(update, Compacted):  # it says so itself: its next report is no second time
            self._peak = 0
        self._follow(update)
        self._characters += _characters(update)
        known = self.usage.used if self.usage is not None else self._hidden
        moved = abs(self._context() - known) >= ESTIMATE_STEP * self._window
        return [update, *(self._estimate() if moved else ())]

    def turn_ended(self, turn: Spent | None = None) -> list[Update]:
        """What is known at the end of a turn; `turn` is what the agent says that the turn has spent."""
        estimate = self._estimate()
        counted, before = turn or self._guess(), self._earlier
        costs = [one.cost for one in (before, counted) if one.cost is not None]
        reported = self.usage.cost if self.usage is not None else None
        self._earlier = Spent(
            before.input_tokens + counted.input_tokens,
            before.output_tokens + counted.output_tokens,
            reported if reported is not None else sum(costs) if costs else None,
            before.estimated or counted.estimated,
        )
        self._asked, self._answering = 0, False
        self.spent = self._earlier
        return [*estimate, self.spent]

    def _reported(self, usage: Usage) -> list[Update]:
        if usage.cost is None and self.usage is not None:  # some reports leave it out
            usage = replace(usage, cost=self.usage.cost)
        if self._fixed:
            usage = replace(usage, size=self._window)
        self.usage = usage
        found: list[Update] = [usage]
        if usage.used <= COMPACTED_TO * self._peak and self._peak - usage.used >= COMPACTED_BY * usage.size:
            found.append(Compacted(self._peak, usage.used))
            self._peak = 0
        self._peak = max(self._peak, usage.used)
        guess = self._guess()
        spent = Spent(
            self._earlier.input_tokens + guess.input_tokens, self._earlier.output_tokens, usage.cost, estimated=True
        )
        if spent != self.spent:
            self.spent = spent
            found.append(spent)
        return found

    def _follow(self, update: Update) -> None:
        """Count the requests to the model: each sends the whole context, and ends when tools have run."""
        if isinstance(update, ToolCall) and update.status in ("completed", "failed"):
            self._asked = self._guess().input_tokens
            self._answering = False
        elif isinstance(update, (Text, Thought, ToolCall)):
            self._answering = True

    def _guess(self) -> Spent:
        """What the running turn has spent, for an agent that does not say."""
        return Spent(self._asked + (self._context() if self._answering else 0), 0, estimated=True)

    def _context(self) -> int:
        """Tokens in the context, by the agent's report or by our estimate."""
        if self.usage is not None and not self.usage.estimated:
            return self.usage.used
        return self._hidden + self._characters // CHARACTERS_PER_TOKEN

    def _estimate(self) -> list[Update]:
        """An estimate of the context, if the agent does not report it and it is another than before."""
        estimate = Usage(self._context(), self._window, estimated=True)
        if self.usage == estimate or (self.usage is not None and not self.usage.estimated):
            return []
        self.usage = estimate
        return [estimate]


def _characters(update: Update) -> int:
    if isinstance(update, (Text, Thought)):
        return len(update.text)
    if isinstance(update, ToolCall):
        return len(update.title) + len(update.output) if update.status in ("completed", "failed") else 0
    if isinstance(update, Plan):
        return sum(len(text) for text, _ in update.entries)
    assert isinstance(update, (Notice, Permission, Compacted, Spent, Usage))  # not part of the context
    return 0
