"""Claude Code without a terminal: `claude -p --output-format stream-json`, as updates. Pure.

Measured with 2.1.318: an answer's usage is that of its beginning, so its own tokens are counted from the next request
on; `result.usage` is of the turn, `total_cost_usd` of the session; the window stands in `modelUsage` at the end of a
turn, so the first turn's reports go by the table in `windows.py`. A tool that was not allowed leaves the exit code at 0
and stands in `permission_denials`.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from tapeout.agents.choices import Permissions
from tapeout.agents.dialects import Ending, mapping, objects, tokens, words
from tapeout.agents.updates import (
    Compacted,
    Notice,
    Permission,
    Text,
    Thought,
    ToolCall,
    Update,
    Usage,
    clip,
    spent_in_turn,
)
from tapeout.agents.windows import window_of

_KINDS = {
    "Bash": "execute",
    "Edit": "edit",
    "Write": "edit",
    "NotebookEdit": "edit",
    "Read": "read",
    "Glob": "search",
    "Grep": "search",
    "WebFetch": "fetch",
    "WebSearch": "fetch",
}
_REASONS = {"error_max_turns": "max_turn_requests", "error_max_budget_usd": "max_turn_requests"}
_TITLES = ("command", "file_path", "notebook_path", "pattern", "url", "query", "description", "prompt")


class ClaudeStream:
    """A session's turns."""

    language = "the stream-json of claude"

    def __init__(self, resume: str | None, model: str) -> None:
        self.session = resume or str(uuid.uuid4())
        self.model = model
        self.ending: Ending | None = None
        self.opened = False
        self._taken_up = resume is not None
        self._window = 0
        self._usage: Usage | None = None
        self._calls: dict[str, ToolCall] = {}

    def arguments(self, permissions: Permissions) -> list[str]:
        """Arguments for the next turn."""
        self.ending = None
        chosen = ["--resume", self.session] if self._taken_up or self.opened else ["--session-id", self.session]
        mode = ["--permission-mode", "bypassPermissions"] if permissions == "allow" else []
        return ["-p", "--output-format", "stream-json", "--verbose", *chosen, *mode]

    def read(self, message: Mapping[str, Any]) -> list[Update]:
        """What a line reports."""
        match message.get("type"):
            case "system":
                return self._system(message)
            case "assistant":
                return self._assistant(message)
            case "user":
                return [self._result(part) for part in objects(mapping(message.get("message")).get("content"))
                        if part.get("type") == "tool_result"]  # fmt: skip
            case "result":
                return self._ended(message)
        return []

    def _system(self, message: Mapping[str, Any]) -> list[Update]:
        match message.get("subtype"):
            case "init":
                self.opened = True
                self.session = words(message.get("session_id")) or self.session
                self.model = words(message.get("model"))[:100] or self.model
            case "compact_boundary":
                data = mapping(message.get("compact_metadata"))
                return [Compacted(tokens(data.get("pre_tokens")), tokens(data.get("post_tokens")))]
            case "api_retry":
                status, seconds = tokens(message.get("error_status")), tokens(message.get("retry_delay_ms")) / 1000
                return [Notice(f"the model's API failed with status {status}: asked again in {seconds:g} s")]
        return []

    def _assistant(self, message: Mapping[str, Any]) -> list[Update]:
        answer = mapping(message.get("message"))
        found: list[Update] = []
        for block in objects(answer.get("content")):
            match block.get("type"):
                case "text":
                    found.append(Text(clip(words(block.get("text")) + "\n")))
                case "thinking":
                    found.append(Thought(clip(words(block.get("thinking")) + "\n")))
                case "tool_use":
                    found.append(self._call(block))
        usage = mapping(answer.get("usage"))
        # What a helper of the agent reads is not in the agent's own context; API errors come as answers of no model.
        if usage and message.get("parent_tool_use_id") is None and not message.get("is_api_error_message"):
            found.append(self._context(usage))
        return found

    def _call(self, block: Mapping[str, Any]) -> ToolCall:
        name, given = words(block.get("name")), mapping(block.get("input"))
        what = next((words(given.get(key)) for key in _TITLES if words(given.get(key))), "")
        title = what if name == "Bash" else f"{name}: {what}" if what else name
        call = ToolCall(words(block.get("id")), clip(title, 1000), _KINDS.get(name, "other"), "in_progress", "")
        self._calls[call.id] = call
        return call

    def _result(self, part: Mapping[str, Any]) -> ToolCall:
        name = words(part.get("tool_use_id"))
        known = self._calls.pop(name, ToolCall(name, "", "other", "", ""))
        status = "failed" if part.get("is_error") is True else "completed"
        return ToolCall(name, known.title, known.kind, status, clip(_content(part.get("content"))))

    def _context(self, usage: Mapping[str, Any]) -> Usage:
        self._usage = Usage(_input(usage) + tokens(usage.get("output_tokens")), self._window or window_of(self.model))
        return self._usage

    def _ended(self, message: Mapping[str, Any]) -> list[Update]:
        found: list[Update] = []
        windows = [tokens(one.get("contextWindow")) for one in mapping(message.get("modelUsage")).values()
                   if isinstance(one, Mapping)]  # fmt: skip
        self._window = max(windows, default=0) or self._window
        cost = message.get("total_cost_usd")
        known = spent_in_turn(0, 0, cost=cost)
        if self._usage is not None:
            found.append(Usage(self._usage.used, self._window or self._usage.size, known.cost if known else None))
        found.extend(
            Permission(clip(words(one.get("tool_name")) or "a tool", 1000), (), "denied")
            for one in objects(message.get("permission_denials"))[:50]
        )
        usage = mapping(message.get("usage"))
        self.ending = Ending(
            _stop_reason(message), _error(message), spent_in_turn(_input(usage), tokens(usage.get("output_tokens")))
        )
        return found


def _stop_reason(result: Mapping[str, Any]) -> str:
    subtype = words(result.get("subtype"))
    failed = result.get("is_error") is True or subtype.startswith("error")
    return _REASONS.get(subtype, "error" if failed else "end_turn")


def _error(result: Mapping[str, Any]) -> str:
    """What a turn failed with; empty if it did not."""
    if _stop_reason(result) != "error":
        return ""
    errors = result.get("errors")
    told = [words(one) for one in errors] if isinstance(errors, list) else []
    return clip(words(result.get("result")) or "; ".join(told) or words(result.get("subtype")), 2000)


def _content(content: object) -> str:
    """The text of a tool's result."""
    return words(content) or "\n".join(words(block.get("text")) for block in objects(content))


def _input(usage: Mapping[str, Any]) -> int:
    """Tokens that went into the model, from its cache or not."""
    fields = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(tokens(usage.get(field)) for field in fields)
