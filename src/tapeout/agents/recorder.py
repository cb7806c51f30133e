"""Where everything that happens in a session goes: to the caller, the transcript and the terminal recording."""

from collections.abc import Callable, Iterable
from typing import Protocol

from tapeout.agents.meter import Meter
from tapeout.agents.render import render, tool_head, tool_output
from tapeout.agents.transcript import Transcript
from tapeout.agents.updates import Entry, Prompt, Spent, Text, Thought, ToolCall, TurnEnded, Update, Usage

LINE_LIMIT = 4096
"""Characters after which text without a newline is shown."""


class Terminal(Protocol):
    """A terminal recording."""

    def write(self, data: bytes) -> None:
        """Add raw terminal output."""
        ...

    def line(self, text: str) -> None:
        """Add a line of text; ends it as a terminal does."""
        ...


class Recorder:
    """Hands entries on, in order. Text reaches the terminal line by line, a tool call when it starts and ends."""

    def __init__(
        self, on_update: Callable[[Update], None], transcript: Transcript, terminal: Terminal, meter: Meter
    ) -> None:
        self.terminal = terminal
        self.meter = meter
        self._on_update = on_update
        self._transcript = transcript
        self._partial: Text | Thought | None = None
        self._announced: str | None = None
        self._usage: Usage | None = None

    def update(self, update: Update) -> None:
        """Something that the session reports; what the meter makes of it follows."""
        self._report(self.meter.read(update))

    def prompted(self, text: str) -> None:
        """A prompt is about to be given."""
        self.meter.prompted(text)
        self.note(Prompt(text))

    def turn_ended(self, stop_reason: str, spent: Spent | None = None) -> None:
        """A turn is over; `spent` is what it has spent, if the agent says so."""
        self._report(self.meter.turn_ended(spent))
        if self.meter.spent is not None:
            self.note(self.meter.spent)
        self.note(TurnEnded(stop_reason))

    def note(self, entry: Entry) -> None:
        """Something for the records alone."""
        self._transcript.add(entry)
        self._show(entry)

    def flush(self) -> None:
        """Write what waits for more."""
        self._transcript.flush()
        self._end_line()

    def _report(self, updates: Iterable[Update]) -> None:
        for update in updates:
            if not isinstance(update, Spent):  # it changes with every report: noted at the end of a turn
                self.note(update)
            self._on_update(update)

    def _show(self, entry: Entry) -> None:
        if isinstance(entry, (Text, Thought)):
            self._show_text(entry)
            return
        self._end_line()
        if isinstance(entry, ToolCall):
            self._show_call(entry)
        elif not isinstance(entry, Usage) or entry != self._usage:
            self._line(render(entry))
        if isinstance(entry, Usage):
            self._usage = entry

    def _show_text(self, entry: Text | Thought) -> None:
        kind = type(entry)
        if self._partial is not None and type(self._partial) is not kind:
            self._end_line()
        text = (self._partial.text if self._partial is not None else "") + entry.text
        complete, newline, rest = text.rpartition("\n")
        if newline:
            for line in complete.split("\n"):
                self.terminal.line(render(kind(line)))
        self._partial = kind(rest) if rest else None
        if len(rest) > LINE_LIMIT:
            self._end_line()

    def _end_line(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            self._line(render(partial))

    def _show_call(self, call: ToolCall) -> None:
        if call.status in ("completed", "failed"):
            self._line(tool_head(call))
            self._line(tool_output(call))
            self._announced = None
        elif call.title and call.id != self._announced:
            self._line(tool_head(call))
            self._announced = call.id

    def _line(self, text: str) -> None:
        if text:
            self._lines(text)

    def _lines(self, text: str) -> None:
        for line in text.split("\n"):
            self.terminal.line(line)
