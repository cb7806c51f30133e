"""Entries of a transcript as lines for a terminal: the same for the live recording and for `tapeout logs`.

What an agent says may hold escape sequences; only our own colours reach the terminal.
"""

import re
from collections.abc import Callable
from typing import Any

from tapeout.agents.updates import (
    Compacted,
    Entry,
    Failure,
    Notice,
    Permission,
    Plan,
    Prompt,
    Spent,
    Text,
    Thought,
    ToolCall,
    TurnEnded,
    Usage,
)

OUTPUT_LINES = 20
"""Lines shown of a tool's output: its end."""

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)?")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MARKS = {"pending": "○", "in_progress": "●", "completed": "✓", "failed": "✗"}
_COLOURS = {"completed": "32", "failed": "31"}


def plain(text: str) -> str:
    """Text without escape sequences and control characters, except newline and tab."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def render(entry: Entry) -> str:
    """The lines to show for an entry, without a final newline; empty: nothing to show."""
    return _RENDERERS[type(entry)](entry).rstrip("\n")


def tool_head(call: ToolCall) -> str:
    """The line that announces a tool call or says how it ended."""
    mark = _MARKS.get(call.status, "●")
    title = plain(call.title or call.kind).replace("\n", " ")
    return f"{_colour(_COLOURS.get(call.status, '36'), mark)} {_colour('1', title)}"


def tool_output(call: ToolCall) -> str:
    """The end of a tool call's output, indented."""
    lines = plain(call.output).rstrip("\n").split("\n")
    hidden = len(lines) - OUTPUT_LINES
    shown = [f"... {hidden} lines above", *lines[hidden:]] if hidden > 0 else lines
    return "\n".join(_colour("2", f"  | {line}") for line in shown) if call.output.strip() else ""


def _colour(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if text else ""


def _each_line(code: str, text: str) -> str:
    return "\n".join(_colour(code, line) for line in plain(text).split("\n"))


def _text(entry: Text) -> str:
    return plain(entry.text)


def _thought(entry: Thought) -> str:
    return _each_line("2;3", entry.text)


def _prompt(entry: Prompt) -> str:
    return _colour("1;36", "> prompt") + "\n" + plain(entry.text)


def _tool_call(entry: ToolCall) -> str:
    return f"{tool_head(entry)}\n{tool_output(entry)}"


def _plan(entry: Plan) -> str:
    return "\n".join(f"  {_MARKS.get(status, '○')} {plain(content)}" for content, status in entry.entries)


def _usage(entry: Usage) -> str:
    share = f" ({100 * entry.used / entry.size:.0f} %)" if entry.size else ""
    cost = f", cost {entry.cost:.2f}" if entry.cost is not None else ""
    about = "about " if entry.estimated else ""
    return _colour("2", f"context {about}{entry.used:,} of {entry.size:,} tokens{share}{cost}")


def _compacted(entry: Compacted) -> str:
    return _colour("33", f"! the agent compacted its context from {entry.before:,} to {entry.after:,} tokens")


def _spent(entry: Spent) -> str:
    return ""  # for budgets: what a reader wants is in the usage


def _permission(entry: Permission) -> str:
    return _colour("33", f"? {plain(entry.title)}: {plain(entry.decision)}")


def _notice(entry: Notice) -> str:
    return _each_line("33", f"! {entry.text}")


def _turn_ended(entry: TurnEnded) -> str:
    return _colour("2", f"-- {plain(entry.stop_reason)}")


def _failure(entry: Failure) -> str:
    return _each_line("31", f"! {entry.text}")


_RENDERERS: dict[type[Any], Callable[[Any], str]] = {
    Text: _text,
    Thought: _thought,
    Prompt: _prompt,
    ToolCall: _tool_call,
    Plan: _plan,
    Usage: _usage,
    Compacted: _compacted,
    Spent: _spent,
    Permission: _permission,
    Notice: _notice,
    TurnEnded: _turn_ended,
    Failure: _failure,
}
