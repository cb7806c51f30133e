"""What a session tells while it runs, and how an ACP message becomes that. Pure data, no I/O.

Everything here comes from an untrusted program: whatever the shape of a message, reading it never raises.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

TEXT_LIMIT = 64 * 1024
"""Characters kept of one text or tool output; the middle of a longer one is cut."""

EDITS_KNOWN = 50
"""Edits of one tool call that are told of."""

TOOL_CALLS_KNOWN = 500
"""Tool calls whose title and kind are remembered for later updates."""


@dataclass(frozen=True)
class Prompt:
    """What we asked."""

    text: str


@dataclass(frozen=True)
class Text:
    """What the agent says; a part, to be joined with its neighbours."""

    text: str


@dataclass(frozen=True)
class Thought:
    """What the agent thinks; a part, to be joined with its neighbours."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """The present state of one use of a tool; later ones with the same id replace it."""

    id: str
    title: str
    kind: str
    status: str
    """`pending`, `in_progress`, `completed` or `failed`."""
    output: str
    given: str = ""
    """Digest of what the tool was called with; empty if the agent does not tell."""
    edits: tuple[tuple[str, str, str], ...] = ()
    """Of each edit that it tells of: path, and digests of the old and of the new text."""


@dataclass(frozen=True)
class Plan:
    """The agent's plan; a later one replaces it."""

    entries: tuple[tuple[str, str], ...]
    """What is to be done, and its status: `pending`, `in_progress` or `completed`."""


@dataclass(frozen=True)
class Usage:
    """How full the context window is, by the agent's own report."""

    used: int
    """Tokens now in the context."""
    size: int
    """Tokens that it can hold."""
    cost: float | None = None
    """What the session has cost so far, in the agent's currency (US dollars, so far as known)."""
    estimated: bool = False
    """Whether the agent did not report it: an estimate from the length of the transcript."""


@dataclass(frozen=True)
class Compacted:
    """The agent shortened its own context: what it knew of the task may be lost."""

    before: int
    """Tokens in the context, at most, before it did."""
    after: int
    """Tokens after it."""


@dataclass(frozen=True)
class Spent:
    """What the session has spent so far, since we opened it; a later one replaces it."""

    input_tokens: int
    """Tokens that went into the model, those read from its cache included: each request sends the whole context."""
    output_tokens: int
    """Tokens that it wrote. 0 while only an estimate of the input is known."""
    cost: float | None = None
    """In the agent's currency (US dollars, so far as known); None if nobody says."""
    estimated: bool = False
    """Whether the tokens are an estimate, at least for a part: the agent reports none, or the turn still runs."""


@dataclass(frozen=True)
class Permission:
    """A permission that the agent asked for, and our answer."""

    title: str
    options: tuple[str, ...]
    decision: str
    """The kind of the chosen option, such as `allow_always`, or `cancelled`."""


@dataclass(frozen=True)
class Notice:
    """Something a reader of the transcript should know."""

    text: str


@dataclass(frozen=True)
class TurnEnded:
    """A turn is over."""

    stop_reason: str


@dataclass(frozen=True)
class Failure:
    """The session failed."""

    text: str


Update = Text | Thought | ToolCall | Plan | Usage | Compacted | Spent | Permission | Notice
"""What a session reports."""

Entry = Update | Prompt | TurnEnded | Failure
"""What a transcript holds."""


def join(earlier: Entry, later: Entry) -> Entry | None:
    """One entry in place of two neighbours, or None if both must be kept."""
    if isinstance(earlier, (Text, Thought)) and type(earlier) is type(later):
        text = earlier.text + later.text
        return None if len(text) > TEXT_LIMIT else replace(earlier, text=text)
    if isinstance(earlier, ToolCall) and isinstance(later, ToolCall) and earlier.id == later.id:
        return later
    return later if isinstance(earlier, (Plan, Usage, Spent)) and type(earlier) is type(later) else None


def clip(text: str, limit: int = TEXT_LIMIT) -> str:
    """The text, with the middle cut out if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"


def spent_in_turn(sent: object, written: object, total: object = None, cost: object = None) -> Spent | None:
    """What a turn has spent, of an agent's figures; None if they are none.

    Some count tokens read from the cache into the input, some apart and into the total only.
    """
    tokens_in, tokens_out, tokens = _number(sent), _number(written), _number(total)
    if tokens_in is None or tokens_out is None:
        return None
    return Spent(int(max(tokens_in, (tokens or 0) - tokens_out)), int(tokens_out), _number(cost))


def replayed_prompt(update: object) -> str:
    """The text of an earlier prompt that a session which is loaded replays; empty if the update is something else."""
    if not isinstance(update, Mapping) or update.get("sessionUpdate") != "user_message_chunk":
        return ""
    return _content(update.get("content"))


class UpdateReader:
    """Turns the `update` part of ACP `session/update` notifications into updates, in the order they come.

    Tool call updates carry only what changed, so it remembers the calls.
    """

    def __init__(self) -> None:
        self._calls: dict[str, ToolCall] = {}

    def read(self, update: object) -> Update | None:
        """The update, or None if it holds nothing of interest or is not valid."""
        if not isinstance(update, Mapping):
            return None
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                return _chunk(update, Text)
            case "agent_thought_chunk":
                return _chunk(update, Thought)
            case "tool_call" | "tool_call_update":
                return self.tool_call(update)
            case "plan":
                return _plan(update)
            case "usage_update":
                return _usage(update)
            case "current_mode_update":
                return Notice(f"the agent changed its mode to {_text(update, 'currentModeId')}")
        return None

    def title(self, call: str) -> str:
        """The title of a known tool call, or nothing."""
        known = self._calls.get(call)
        return known.title if known is not None else ""

    def tool_call(self, update: Mapping[str, object]) -> ToolCall:
        """The state of a call after this update of it."""
        name = _text(update, "toolCallId")
        known = self._calls.pop(name, ToolCall(name, "", "other", "pending", ""))
        call = ToolCall(
            name,
            clip(_text(update, "title"), 1000) or known.title,
            _text(update, "kind") or known.kind,
            _text(update, "status") or known.status,
            clip(_output(update)) or known.output,
            _given(update) or known.given,
            _edits(update) or known.edits,
        )
        self._calls[name] = call
        if len(self._calls) > TOOL_CALLS_KNOWN:
            del self._calls[next(iter(self._calls))]
        return call


def _chunk(update: Mapping[str, object], kind: type[Text] | type[Thought]) -> Update | None:
    text = _content(update.get("content"))
    return kind(clip(text)) if text else None


def _plan(update: Mapping[str, object]) -> Plan:
    entries = update.get("entries")
    found = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    return Plan(tuple((clip(_text(entry, "content"), 1000), _text(entry, "status")) for entry in found[:200]))


def _usage(update: Mapping[str, object]) -> Usage | None:
    used, size, cost = _number(update.get("used")), _number(update.get("size")), update.get("cost")
    if used is None or size is None:
        return None
    amount = _number(cost.get("amount")) if isinstance(cost, Mapping) else None
    return Usage(int(used), int(size), amount)


def _number(value: object) -> float | None:
    """A number from 0, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) and 0 <= value < 1e15 else None


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _content(block: object) -> str:
    """The text of an ACP content block; other kinds are named."""
    if not isinstance(block, Mapping):
        return ""
    kind = _text(block, "type")
    if kind == "text":
        return _text(block, "text")
    return f"[{kind} {_text(block, 'uri')}".rstrip() + "]" if kind else ""


def _output(update: Mapping[str, object]) -> str:
    """What a tool call shows: its content, else its raw output."""
    blocks = update.get("content")
    parts = [_tool_content(block) for block in blocks] if isinstance(blocks, list) else []
    text = "\n".join(part for part in parts if part)
    raw = update.get("rawOutput")
    if text or raw is None:
        return text
    return raw if isinstance(raw, str) else _as_json(raw)


def _tool_content(block: object) -> str:
    if not isinstance(block, Mapping):
        return ""
    if block.get("type") == "diff":
        return f"[edit of {_text(block, 'path')}]"
    return _content(block.get("content")) if block.get("type") == "content" else ""


def _given(update: Mapping[str, object]) -> str:
    given = update.get("rawInput")
    return "" if given is None or given in ({}, "") else _digest(_as_json(given))


def _edits(update: Mapping[str, object]) -> tuple[tuple[str, str, str], ...]:
    blocks = update.get("content")
    diffs = [block for block in blocks if isinstance(block, Mapping)] if isinstance(blocks, list) else []
    return tuple(
        (clip(_text(block, "path"), 1000), _digest(_text(block, "oldText")), _digest(_text(block, "newText")))
        for block in diffs[:EDITS_KNOWN]
        if block.get("type") == "diff"
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest() if text else ""


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return ""
