"""The headless drivers against programs that print what the real ones print, and what they should not."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents import (
    AgentDied,
    AgentError,
    AgentProtocolError,
    AgentSpec,
    CannotResume,
    Compacted,
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
from tapeout.agents.claude_stream import ClaudeStream
from tapeout.agents.codex_stream import CodexStream

from .conftest import Bench, relaxed

pytestmark = pytest.mark.anyio

CLAUDE_INIT = {"type": "system", "subtype": "init", "session_id": "S", "model": "claude-opus-5-5"}
CLAUDE_TURN: list[dict[str, Any]] = [
    {
        "type": "assistant",
        "parent_tool_use_id": None,
        "message": {
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "I will."},
                {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "make"}},
                {"type": "tool_use", "id": "c2", "name": "Edit", "input": {"file_path": "a.py"}},
            ],
            "usage": {"input_tokens": 9, "cache_read_input_tokens": 10_000, "output_tokens": 1},
        },
    },
    {"type": "assistant", "parent_tool_use_id": "c9", "message": {"content": [], "usage": {"input_tokens": 5}}},
    {
        "type": "user",
        "message": {
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "ok"},
                {"type": "tool_result", "tool_use_id": "c2", "is_error": True, "content": [{"text": "no"}]},
            ]
        },
    },
    {"type": "system", "subtype": "compact_boundary", "compact_metadata": {"pre_tokens": 10_010, "post_tokens": 900}},
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": "I will.",
        "total_cost_usd": 0.25,
        "usage": {"input_tokens": 20, "cache_creation_input_tokens": 20_000, "output_tokens": 300},
        "modelUsage": {"claude-opus-5-5": {"contextWindow": 500_000}},
        "permission_denials": [{"tool_name": "WebFetch"}],
    },
]
CODEX_TURN: list[dict[str, Any]] = [
    {"type": "item.completed", "item": {"id": "i0", "type": "error", "message": "Model metadata not found."}},
    {"type": "turn.started"},
    {
        "type": "item.started",
        "item": {"id": "i1", "type": "command_execution", "command": "make", "status": "in_progress"},
    },
    {
        "type": "item.completed",
        "item": {
            "id": "i1",
            "type": "command_execution",
            "command": "make",
            "aggregated_output": "no rule",
            "exit_code": 2,
            "status": "failed",
        },
    },
    {
        "type": "item.completed",
        "item": {"id": "i2", "type": "file_change", "changes": [{"path": "a.py"}], "status": "completed"},
    },
    {
        "type": "item.updated",
        "item": {"id": "i3", "type": "todo_list", "items": [{"text": "build", "completed": True}]},
    },
    {"type": "item.completed", "item": {"id": "i4", "type": "agent_message", "text": "I will."}},
    {"type": "turn.completed", "usage": {"input_tokens": 5000, "cached_input_tokens": 100, "output_tokens": 70}},
]

PROGRAM = """
import json, os, signal, sys, time
arguments, prompt = sys.argv[1:], sys.stdin.read()
with open("calls.jsonl", "a") as calls:
    print(json.dumps([arguments, prompt]), file=calls)
"""


def program(bench: Bench, kind: str, *lines: dict[str, Any], last: str = "") -> AgentSpec:
    """A headless agent that prints these lines at each turn, and then does `last`."""
    path = bench.folder.parent / "headless.py"
    path.write_text(
        f"{PROGRAM}\nfor line in json.loads({json.dumps(lines)!r}):\n    print(json.dumps(line), flush=True)\n{last}\n"
    )
    return AgentSpec("coder", f"{kind}-headless", (sys.executable, "-I", str(path)))  # type: ignore[arg-type]


def calls(bench: Bench) -> list[tuple[list[str], str]]:
    return [tuple(json.loads(line)) for line in Path(bench.folder, "calls.jsonl").read_text().splitlines()]


async def test_a_turn_of_claude(bench: Bench) -> None:
    async with bench.open(program(bench, "claude", CLAUDE_INIT, *CLAUDE_TURN)) as session:
        assert session.can_resume
        results = [await session.prompt("one \u2713"), await session.prompt("two")]
        assert (session.id, session.model) == ("S", "claude-opus-5-5")
    assert [(result.stop_reason, result.text) for result in results] == [("end_turn", "I will.\n")] * 2
    assert results[0].usage == Usage(10_010, 500_000, 0.25)
    (first, one), (second, two) = calls(bench)
    assert (one, two) == ("one \u2713", "two")
    assert first[:5] == ["-p", "--output-format", "stream-json", "--verbose", "--session-id"]
    assert second[4:6] == ["--resume", "S"]
    assert first[-2:] == second[-2:] == ["--permission-mode", "bypassPermissions"]
    heard = bench.updates[: len(bench.updates) // 2]
    assert [update for update in heard if not isinstance(update, Spent)] == [
        Thought("hm\n"),
        Text("I will.\n"),
        ToolCall("c1", "make", "execute", "in_progress", ""),
        ToolCall("c2", "Edit: a.py", "edit", "in_progress", ""),
        Usage(10_010, 1_000_000),
        ToolCall("c1", "make", "execute", "completed", "ok"),
        ToolCall("c2", "Edit: a.py", "edit", "failed", "no"),
        Compacted(10_010, 900),
        Usage(10_010, 500_000, 0.25),
        Permission("WebFetch", (), "denied"),
    ]
    spent = [entry for entry in bench.entries() if isinstance(entry, Spent)]
    assert spent == [Spent(20_020, 300, 0.25), Spent(40_040, 600, 0.25)]


async def test_a_turn_of_codex(bench: Bench) -> None:
    started = {"type": "thread.started", "thread_id": "T"}
    async with bench.open(program(bench, "codex", started, *CODEX_TURN), permissions="deny") as session:
        assert not session.can_resume
        result = await session.prompt("one")
        await session.prompt("two")
        assert (session.id, session.can_resume) == ("T", True)
    assert (result.stop_reason, result.text) == ("end_turn", "I will.\n")
    assert result.usage is not None
    assert result.usage.estimated
    (first, _), (second, _) = calls(bench)
    assert first == ["exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write", "-"]
    assert second == [*first[:-1], "resume", "T", "-"]
    heard = [update for update in bench.updates if not isinstance(update, (Spent, Usage))]
    assert heard[: len(heard) // 2] == [
        Notice("Model metadata not found."),
        ToolCall("i1", "make", "execute", "in_progress", ""),
        ToolCall("i1", "make", "execute", "failed", "no rule"),
        ToolCall("i2", "a.py", "edit", "completed", ""),
        Plan((("build", "completed"),)),
        Text("I will.\n"),
    ]
    # What it tells is counted from the start of the thread: the second turn added nothing.
    assert [entry for entry in bench.entries() if isinstance(entry, Spent)] == [Spent(5000, 70), Spent(5000, 70)]


@pytest.mark.parametrize(
    ("kind", "lines", "last", "error", "said"),
    [
        (
            "claude",
            [CLAUDE_INIT, {"type": "result", "is_error": True, "result": "API Error: 529 Overloaded"}],
            "sys.exit(1)",
            AgentError,
            "coder: API Error: 529 Overloaded",
        ),
        (
            "codex",
            [{"type": "turn.failed", "error": {"message": "exceeded retry limit,\nlast status: 429"}}],
            "sys.exit(1)",
            AgentError,
            "coder: exceeded retry limit, last status: 429",
        ),
        ("claude", [CLAUDE_INIT], "sys.exit('oh\\x1b[2J dear')", AgentDied, "before its turn had ended: oh dear"),
        ("codex", [], "os.kill(os.getpid(), signal.SIGKILL)", AgentDied, "coder was killed by SIGKILL before"),
        ("codex", [], "sys.exit(0)", AgentDied, "coder ended with exit code 0 before its turn had ended"),
        ("claude", [], "print('x\\n' * 100)", AgentProtocolError, "does not speak the stream-json of claude"),
    ],
)  # fmt: skip
async def test_a_turn_that_fails(
    bench: Bench, kind: str, lines: list[dict[str, Any]], last: str, error: type[AgentError], said: str
) -> None:
    with pytest.raises(error) as caught:
        async with bench.open(program(bench, kind, *lines, last=last)) as session:
            await session.prompt("one")
    assert type(caught.value) is error
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert bench.entries()[0] == Prompt("one")
    assert bench.entries()[-1] == Failure(caught.value.message)


@pytest.mark.parametrize(
    ("kind", "lines", "last", "said"),
    [
        ("codex", [], "sys.exit('Error: thread/resume failed: no rollout found')", "no rollout found"),
        (
            "claude",
            [
                {
                    "type": "result",
                    "subtype": "error_during_execution",
                    "is_error": True,
                    "errors": ["No conversation found"],
                }
            ],
            "sys.exit(1)",
            "No conversation found",
        ),
    ],
)
async def test_a_conversation_that_is_gone(
    bench: Bench, kind: str, lines: list[dict[str, Any]], last: str, said: str
) -> None:
    with pytest.raises(CannotResume, match=said):
        async with bench.open(program(bench, kind, *lines, last=last), resume="gone") as session:
            await session.prompt("one")
    assert "gone" in calls(bench)[0][0]


async def test_a_killed_turn_goes_on_in_another_process(bench: Bench) -> None:
    died = program(bench, "claude", CLAUDE_INIT, last="os.kill(os.getpid(), signal.SIGKILL)")
    async with bench.open(died) as session:
        with pytest.raises(AgentDied, match="SIGKILL"):
            await session.prompt("one")
    async with bench.open(program(bench, "claude", CLAUDE_INIT, *CLAUDE_TURN), resume=session.id) as again:
        assert (await again.prompt("two")).stop_reason == "end_turn"
    assert calls(bench)[1][0][4:6] == ["--resume", "S"]


async def test_cancel_ends_the_process_and_the_session_goes_on(bench: Bench) -> None:
    hanging = "if prompt == 'hang':\n    time.sleep(600)\nprint(json.dumps({'type': 'result', 'subtype': 'success'}))"
    running = anyio.Event()
    bench.listeners.append(lambda update: running.set() if isinstance(update, Text) else None)
    said = {"type": "assistant", "message": {"content": [{"type": "text", "text": "wait"}]}}
    async with bench.open(program(bench, "claude", CLAUDE_INIT, said, last=hanging)) as session:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await running.wait()
                await session.cancel()

            tasks.start_soon(cancel)
            result = await session.prompt("hang")
        assert (result.stop_reason, result.text) == ("cancelled", "wait\n")
        assert (await session.prompt("go on")).stop_reason == "end_turn"
    assert [entry for entry in bench.entries() if isinstance(entry, TurnEnded)] == [
        TurnEnded("cancelled"),
        TurnEnded("end_turn"),
    ]


async def test_a_cancelled_caller_leaves_no_process(bench: Bench) -> None:
    with anyio.move_on_after(0.5):
        async with bench.open(program(bench, "codex", last="time.sleep(600)")) as session:
            await session.prompt("one")
    assert bench.entries()[-1] == TurnEnded("interrupted")


WORDS = st.sampled_from(
    ["type", "system", "assistant", "user", "result", "init", "compact_boundary", "message", "content", "usage", "item",
     "item.completed", "turn.completed", "turn.failed", "error", "text", "tool_use", "tool_result", "command_execution",
     "todo_list", "items", "changes", "file_change", "subtype", "modelUsage", "permission_denials", "input", "id"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(WORDS, VALUES, max_size=6), max_size=4))
@relaxed
def test_nothing_that_is_printed_raises(messages: list[dict[str, Any]]) -> None:
    for stream in (ClaudeStream(None, ""), CodexStream(None, "")):
        for message in messages:
            stream.read(message)
        stream.arguments("allow")
