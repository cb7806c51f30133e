"""Spirals inside a session, from the tool calls and token counts that the agent reports. Pure.

The thresholds count what came to nothing new: the same call with the same result while no file was edited, the same
command with the same failure whatever was edited, an edit that takes back what another one did. None of them rests on
measurements of real agents; they are so high that people who watched would have spoken up before (and the tests show
which honest ways of working stay below them).
"""

import hashlib
import re
from collections.abc import Hashable
from typing import TypeVar

from tapeout.agents import ToolCall, Usage
from tapeout.floor.spirals.model import Spiral

REPEATS_TOLD = 4
REPEATS_CUT = 8
"""The same call with the same result, while nothing was edited. Looking twice is normal, waiting for something to end
takes a few looks."""

FAILS_TOLD = 5
FAILS_CUT = 10
"""The same command failing with the same output, but for times and line numbers, whatever was edited in between: edits
that change nothing of what is seen. One that has an effect (another value, fewer failures) starts the count anew."""

SWINGS_TOLD = 2
SWINGS_CUT = 4
"""Edits that put back what another edit had replaced, between the same two texts. Taking something back once is a
decision."""

NO_NEWS_TOLD = 16
NO_NEWS_CUT = 32
"""Calls in a row of which each had been made before with the same result: circles of more than one call."""

IDLE_SHARE_TOLD = 0.10
IDLE_SHARE_CUT = 0.20
"""Share of the context window that fills up without a call that brings anything new: an agent that only talks, or
thinks, to itself. At 200,000 tokens the second is the length of a book of 100 pages."""

LATE_REPORTS = 2
"""Reports of usage after the result of a call that may be its doing: the first may still be of the request that made
the call (codex tells it then), and only the second of the one that took the result in."""

KNOWN_RESULTS = 5_000
"""Calls that are remembered; the oldest are forgotten."""

EDITS: frozenset[str] = frozenset({"edit", "delete", "move"})
"""Kinds of calls that change files (Agent Client Protocol, `ToolKind`)."""

TITLE_CHARS = 120

_VARYING = re.compile(
    r"\b0x[0-9a-fA-F]+\b|\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|seconds?)\b|\b\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"
)
"""Parts of an output that differ from run to run although nothing else does: addresses, durations, times of day.
Counts stay: a number that moves is progress."""


_PLACE = re.compile(r"(?::\d+)+|,? \bline \d+")
"""Line numbers, which an edit moves without doing anything about the failure."""


class SessionWatch:
    """Remembers what a session did, as hashes, and says when it goes in circles."""

    def __init__(self) -> None:
        self._ended: dict[str, bool] = {}
        self._seen: dict[str, bool] = {}
        self._since_edit: dict[str, int] = {}
        self._failing: dict[str, tuple[str, int]] = {}
        self._swings: dict[frozenset[str], int] = {}
        self._edits: dict[tuple[str, str, str], bool] = {}
        self._no_news = 0
        self._late = 1
        self._used = 0
        self._baseline = 0

    def call(self, call: ToolCall) -> Spiral | None:
        """The state of a tool call; counts once it has ended."""
        if call.status not in ("completed", "failed") or call.id in self._ended:
            return None
        _keep(self._ended, call.id, True)
        found = [self._swing(call), self._fail(call), self._repeat(call)]
        seen = [one for one in found if one is not None]
        return next((one for one in seen if one.is_cut), seen[0] if seen else None)

    def usage(self, usage: Usage) -> Spiral | None:
        """How full the context is."""
        if self._late and usage.used != self._used:
            self._late -= 1
            self._baseline = usage.used
        self._used = usage.used
        self._baseline = min(self._baseline, usage.used)
        spent = usage.used - self._baseline
        if not usage.size or spent < IDLE_SHARE_TOLD * usage.size:
            return None
        share = f"{spent:,} tokens, {spent / usage.size:.0%} of the context window"
        said = f"{share}, went by without a tool call that told anything new"
        return Spiral("no news", said, is_cut=spent >= IDLE_SHARE_CUT * usage.size)

    def turn_started(self) -> None:
        """A prompt brings something new to think about."""
        self._late = max(self._late, 1)

    def _repeat(self, call: ToolCall) -> Spiral | None:
        name = _call_key(call)
        if call.kind in EDITS:
            self._since_edit.clear()
            if not call.given:  # nobody can tell whether the same edit was made before
                self._has_news()
                return None
        key = f"{name}\0{_digest(_VARYING.sub('#', call.output))}\0{call.status}"
        times = _keep(self._since_edit, key, self._since_edit.get(key, 0) + 1)
        if key not in self._seen:
            _keep(self._seen, key, True)
            self._has_news()
            return None
        self._no_news += 1
        return self._circle(call) or self._same_again(call, times)

    def _same_again(self, call: ToolCall, times: int) -> Spiral | None:
        if times < REPEATS_TOLD:
            return None
        said = f"{_shown(call)} was called {times} times with the same result, and nothing was edited in between"
        return Spiral("repeats", said, is_cut=times >= REPEATS_CUT)

    def _circle(self, call: ToolCall) -> Spiral | None:
        if self._no_news < NO_NEWS_TOLD:
            return None
        before = f"{self._no_news} tool calls in a row had all been made before, with the same results"
        return Spiral("no news", f"{before}; last {_shown(call)}", is_cut=self._no_news >= NO_NEWS_CUT)

    def _has_news(self) -> None:
        self._no_news = 0
        self._late = LATE_REPORTS

    def _fail(self, call: ToolCall) -> Spiral | None:
        if call.kind in EDITS:
            return None
        name = _call_key(call)
        if call.status != "failed":
            self._failing.pop(name, None)
            return None
        now = _digest(_PLACE.sub(":#", _VARYING.sub("#", call.output)))
        before, times = self._failing.get(name, (now, 0))
        times = times + 1 if before == now else 1
        _keep(self._failing, name, (now, times))
        if times < FAILS_TOLD:
            return None
        said = f"{_shown(call)} failed {times} times in a row with the same output, whatever was done in between"
        return Spiral("fails", said, is_cut=times >= FAILS_CUT)

    def _swing(self, call: ToolCall) -> Spiral | None:
        if call.status != "completed":
            return None
        worst = 0
        path = ""
        for edited, before, after in call.edits:
            old, new = _digest(before), _digest(after)
            if old != new and (edited, new, old) in self._edits:
                pair = frozenset((edited, old, new))
                times = _keep(self._swings, pair, self._swings.get(pair, 0) + 1)
                if times > worst:
                    worst, path = times, edited
            _keep(self._edits, (edited, old, new), True)
        if worst < SWINGS_TOLD:
            return None
        said = f"edits of {path[-TITLE_CHARS:]} went back and forth between two states {worst} times"
        return Spiral("swing", said, is_cut=worst >= SWINGS_CUT)


def _call_key(call: ToolCall) -> str:
    return _digest(f"{call.kind}\0{' '.join(call.title.split())}\0{call.given}")


def _shown(call: ToolCall) -> str:
    title = " ".join("".join(char if char.isprintable() else " " for char in call.title).split())
    return f"`{title[:TITLE_CHARS]}`" if title else f"a tool of kind {call.kind[:20]}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def _keep(known: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Put it in as the newest, and forget the oldest if there are too many."""
    known.pop(key, None)
    known[key] = value
    if len(known) > KNOWN_RESULTS:
        del known[next(iter(known))]
    return value
