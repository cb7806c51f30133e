"""Codex without a terminal: `codex exec --json`, as updates. Pure.

Measured with 0.169.0: `turn.completed.usage` counts from the start of the thread, over its turns and processes. How
full the context is stands nowhere in the stream, so that is estimated.
"""

from collections.abc import Mapping
from typing import Any

from tapeout.agents.choices import Permissions
from tapeout.agents.dialects import Ending, mapping, objects, tokens, words
from tapeout.agents.updates import Notice, Plan, Spent, Text, Thought, ToolCall, Update, clip, spent_in_turn

_STATUS = {"in_progress": "in_progress", "completed": "completed", "failed": "failed", "declined": "failed"}


class CodexStream:
    """A session's turns."""

    language = "the JSON lines of codex exec"

    def __init__(self, resume: str | None, model: str) -> None:
        self.session = resume or ""
        self.opened = False
        self.model = model
        self.ending: Ending | None = None
        self._counted: Spent | None = None if resume else Spent(0, 0)
        """What the thread had spent before this turn; None if that is not known."""

    def arguments(self, permissions: Permissions) -> list[str]:
        """Arguments for the next turn."""
        self.ending = None
        allowed = (
            ["--dangerously-bypass-approvals-and-sandbox"]
            if permissions == "allow"
            else ["--sandbox", "workspace-write"]
        )
        resumed = ["resume", self.session] if self.session else []
        return ["exec", "--json", "--skip-git-repo-check", *allowed, *resumed, "-"]

    def read(self, message: Mapping[str, Any]) -> list[Update]:
        """What a line reports."""
        match message.get("type"):
            case "thread.started":
                self.opened = True
                self.session = words(message.get("thread_id")) or self.session
            case "item.started" | "item.updated" | "item.completed":
                return _item(mapping(message.get("item")), done=message["type"] == "item.completed")
            case "turn.completed":
                self.ending = Ending("end_turn", spent=self._spent(mapping(message.get("usage"))))
            case "turn.failed":
                error = words(mapping(message.get("error")).get("message"))
                self.ending = Ending("error", clip(error, 2000) or "it failed without a reason")
            case "error":
                return [Notice(clip(words(message.get("message")), 1000))]
        return []

    def _spent(self, usage: Mapping[str, Any]) -> Spent | None:
        total = spent_in_turn(tokens(usage.get("input_tokens")), tokens(usage.get("output_tokens")))
        before, self._counted = self._counted, total
        if before is None or total is None:
            return None
        return Spent(
            max(0, total.input_tokens - before.input_tokens), max(0, total.output_tokens - before.output_tokens)
        )


def _item(item: Mapping[str, Any], *, done: bool) -> list[Update]:
    match item.get("type"):
        case "agent_message":
            return [Text(clip(words(item.get("text")) + "\n"))] if done else []
        case "reasoning":
            return [Thought(clip(words(item.get("text")) + "\n"))] if done else []
        case "todo_list":
            entries = objects(item.get("items"))[:200]
            return [Plan(tuple((clip(words(one.get("text")), 1000), _done(one)) for one in entries))]
        case "error":
            return [Notice(clip(words(item.get("message")), 1000))]
        case "command_execution" | "file_change" | "mcp_tool_call" | "web_search":
            return [_call(item, done=done)]
    return []


def _call(item: Mapping[str, Any], *, done: bool) -> ToolCall:
    kind, title = {
        "command_execution": ("execute", words(item.get("command"))),
        "file_change": ("edit", ", ".join(words(one.get("path")) for one in objects(item.get("changes"))[:20])),
        "mcp_tool_call": ("other", f"{words(item.get('server'))}: {words(item.get('tool'))}"),
        "web_search": ("fetch", words(item.get("query"))),
    }[item["type"]]
    status = _STATUS.get(words(item.get("status")), "completed" if done else "in_progress")
    return ToolCall(words(item.get("id")), clip(title, 1000), kind, status, clip(words(item.get("aggregated_output"))))


def _done(entry: Mapping[str, Any]) -> str:
    return "completed" if entry.get("completed") is True else "pending"
