"""What is kept and shown of a session: updates read from messages, the transcript, its rendering."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.agents import (
    Entry,
    Failure,
    Notice,
    Permission,
    Plan,
    Prompt,
    Text,
    Thought,
    ToolCall,
    Transcript,
    TurnEnded,
    Update,
    Usage,
    read_transcript,
    render,
)
from tapeout.agents.meter import Meter
from tapeout.agents.recorder import Recorder
from tapeout.agents.render import plain
from tapeout.agents.updates import TEXT_LIMIT, UpdateReader, join
from tapeout.base.errors import EnvironmentProblem

from .conftest import FakeTerminal, relaxed

CALL = ToolCall("c", "run tests", "execute", "in_progress", "")

text = st.text(max_size=20) | st.text(st.sampled_from("a \n\r\t\x1b[]m0;\x07\x08\x9b\u202e"), max_size=20)
number = st.integers(0, 10**9)
calls = st.builds(ToolCall, st.sampled_from("ab"), text, text, st.sampled_from(["pending", "completed", "x"]), text)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Prompt, text),
    st.builds(Text, text),
    st.builds(Thought, text),
    calls,
    st.builds(Plan, st.lists(st.tuples(text, text)).map(tuple)),
    st.builds(Usage, number, number, st.none() | st.floats(0, 1e6)),
    st.builds(Permission, text, st.lists(text).map(tuple), text),
    st.builds(Notice, text),
    st.builds(TurnEnded, text),
    st.builds(Failure, text),
)


def joined(given: list[Entry]) -> list[Entry]:
    result: list[Entry] = []
    for entry in given:
        one = join(result[-1], entry) if result else None
        result[-1:] = [one] if one is not None else [*result[-1:], entry]
    return result


# Updates


def content(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("message", "update"),
    [
        ({"sessionUpdate": "agent_message_chunk", "content": content("Hi")}, Text("Hi")),
        ({"sessionUpdate": "agent_thought_chunk", "content": content("Hm")}, Thought("Hm")),
        (
            {"sessionUpdate": "agent_message_chunk", "content": {"type": "resource_link", "uri": "file:///x"}},
            Text("[resource_link file:///x]"),
        ),
        ({"sessionUpdate": "agent_message_chunk", "content": content("")}, None),
        ({"sessionUpdate": "user_message_chunk", "content": content("Hi")}, None),
        ({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "x"}, ToolCall("c", "x", "other", "pending", "")),
        (
            {"sessionUpdate": "tool_call", "toolCallId": "c", "content": [{"type": "diff", "path": "/a"}]},
            ToolCall("c", "", "other", "pending", "[edit of /a]", edits=(("/a", "", ""),)),
        ),
        (
            {"sessionUpdate": "tool_call", "toolCallId": "c", "rawOutput": {"exit": 1}},
            ToolCall("c", "", "other", "pending", '{"exit": 1}'),
        ),
        (
            {"sessionUpdate": "plan", "entries": [{"content": "a", "status": "pending", "priority": "low"}, 1]},
            Plan((("a", "pending"),)),
        ),
        ({"sessionUpdate": "usage_update", "used": 5, "size": 10}, Usage(5, 10)),
        (
            {"sessionUpdate": "usage_update", "used": 5.0, "size": 10, "cost": {"amount": 1, "currency": "USD"}},
            Usage(5, 10, 1),
        ),
        ({"sessionUpdate": "usage_update", "used": -5, "size": 10}, None),
        ({"sessionUpdate": "usage_update", "used": True, "size": 10}, None),
        ({"sessionUpdate": "usage_update", "used": float("nan"), "size": 10}, None),
        ({"sessionUpdate": "current_mode_update", "currentModeId": "x"}, Notice("the agent changed its mode to x")),
        ({"sessionUpdate": "available_commands_update"}, None),
        ("rubbish", None),
        (None, None),
    ],
)
def test_messages_become_updates(message: object, update: Update | None) -> None:
    assert UpdateReader().read(message) == update


def test_a_tool_call_is_put_together_from_its_updates() -> None:
    reader = UpdateReader()
    reader.read({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "run tests", "kind": "execute"})
    reader.read({"sessionUpdate": "tool_call", "toolCallId": "d", "title": "other"})
    update = {"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress"}
    assert reader.read(update) == CALL
    output = [{"type": "content", "content": content("ok")}]
    reader.read({"sessionUpdate": "tool_call_update", "toolCallId": "c", "content": output})
    assert reader.read({**update, "status": "completed"}) == replace(CALL, status="completed", output="ok")


def test_what_a_tool_was_given_and_changed_is_known_by_digests() -> None:
    def call(text: str, old: str, new: str) -> ToolCall:
        diff = {"type": "diff", "path": "/a", "oldText": old, "newText": new}
        update = {"sessionUpdate": "tool_call", "toolCallId": text, "rawInput": {"command": text}, "content": [diff]}
        found = UpdateReader().read(update)
        assert isinstance(found, ToolCall)
        return found

    one, same, other, back = call("x", "a", "b"), call("x", "a", "b"), call("y", "a", "b"), call("y", "b", "a")
    assert one == same
    assert one.given != other.given
    (path, old, new), (_, before, after) = other.edits[0], back.edits[0]
    assert (path, old, new) == ("/a", after, before)


def test_long_text_is_cut_in_the_middle() -> None:
    message = {"sessionUpdate": "agent_message_chunk", "content": content("a" * TEXT_LIMIT + "b" * TEXT_LIMIT)}
    update = UpdateReader().read(message)
    assert isinstance(update, Text)
    assert len(update.text) < TEXT_LIMIT + 100
    assert update.text.startswith("aaa")
    assert update.text.endswith("bbb")


KEYS = ["sessionUpdate", "content", "type", "text", "toolCallId", "title", "kind", "status", "rawOutput"]
KINDS = ["agent_message_chunk", "tool_call", "tool_call_update", "plan", "usage_update", "current_mode_update"]
keys = st.sampled_from([*KEYS, "entries", "used", "size", "cost", "amount"])
names = st.sampled_from(KINDS)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | names | st.sampled_from(["diff", "content"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=6,
)


@settings(relaxed, max_examples=40)
@given(st.lists(st.builds(lambda kind, rest: {**rest, "sessionUpdate": kind}, names, st.dictionaries(keys, values))))
def test_no_message_makes_reading_fail(messages: list[dict[str, Any]]) -> None:
    reader = UpdateReader()
    for message in messages:
        update = reader.read(message)
        if update is not None:
            assert "\x1b" not in render(update).replace("\x1b[", "").replace("m", "")


# Transcript


def test_parts_are_joined_and_states_replaced() -> None:
    done = replace(CALL, status="completed", output="ok")
    given: list[Entry] = [
        Text("a"), Text("b"), Thought("c"), Thought("d"), Text("e"), CALL, done,
        replace(CALL, id="d"), Usage(1, 9), Usage(2, 9), Notice("x"), Notice("x"), Plan(()), Plan((("p", "pending"),)),
    ]  # fmt: skip
    assert joined(given) == [
        Text("ab"), Thought("cd"), Text("e"), done, replace(CALL, id="d"), Usage(2, 9), Notice("x"), Notice("x"),
        Plan((("p", "pending"),)),
    ]  # fmt: skip


@relaxed
@given(st.lists(entries, max_size=20), st.integers(0, 20))
def test_what_was_added_is_read_again_over_restarts(
    tmp_path_factory: pytest.TempPathFactory, given: list[Entry], restart: int
) -> None:
    path = str(tmp_path_factory.mktemp("transcripts") / "deep" / "t.jsonl")
    for part in (given[:restart], given[restart:]):
        with Transcript(path) as transcript:
            for entry in part:
                transcript.add(entry)
    assert [entry for _, entry in read_transcript(path)] == joined(given[:restart]) + joined(given[restart:])


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Transcript(str(path), clock=lambda: 12.3456) as transcript:
        transcript.add(Notice("one"))
        transcript.add(Notice("two"))
    path.write_bytes(path.read_bytes()[:-5])
    with Transcript(str(path), clock=lambda: 99.0) as transcript:
        transcript.add(Notice("three"))
    assert list(read_transcript(str(path))) == [(12.346, Notice("one")), (99.0, Notice("three"))]


def test_strange_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    lines = [
        "",
        "1",
        "{}",
        '{"at": 1, "type": "x"}',
        '{"at": 1, "type": "text"}',
        '{"at": 1, "type": "plan", "entries": 3}',
    ]
    good = '{"at": 1, "type": "text", "text": "x"}'
    path.write_text("\n".join([*lines, good, "[" * 100_000]))
    assert list(read_transcript(str(path))) == [(1.0, Text("x"))]


def test_no_file_has_no_entries(tmp_path: Path) -> None:
    assert list(read_transcript(str(tmp_path / "none"))) == []


def test_a_full_transcript_holds_only_the_outline(tmp_path: Path) -> None:
    path = str(tmp_path / "t.jsonl")
    for _ in range(2):
        with Transcript(path, limit=1000) as transcript:
            for n in range(50):
                transcript.add(Notice(f"a notice of some length, number {n}"))
            transcript.add(Failure("the end"))
    found = [entry for _, entry in read_transcript(path)]
    assert os.path.getsize(path) < 1500
    assert [entry for entry in found if isinstance(entry, Failure)] == [Failure("the end")] * 2
    assert sum("transcript is full" in str(entry) for entry in found) == 1


def test_it_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    Transcript(str(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot write the transcript"):
        Transcript(str(tmp_path / "file" / "t.jsonl"))


def test_it_is_json_a_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Transcript(str(path), clock=lambda: 1.0) as transcript:
        transcript.add(CALL)
    assert json.loads(path.read_text()) == {
        "at": 1.0, "type": "tool_call", "id": "c", "title": "run tests", "kind": "execute", "status": "in_progress",
        "output": "", "given": "", "edits": [],
    }  # fmt: skip


# Terminal


@relaxed
@given(entries)
def test_only_our_own_colours_reach_the_terminal(entry: Entry) -> None:
    shown = render(entry)
    assert not shown.endswith("\n")
    shown = re.sub(r"\x1b\[[0-9;]+m", "", shown)
    assert not set(shown) & set("\x1b\r\x07\x08\x9b\u202e")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[31mb\x1b[0m", "ab"),
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]52;c;aGk=\x1b\\a", "a"),
        ("\x1bcclear", "clear"),
        ("\x1b", ""),
        ("a\r\nb\tc\rd", "a\nb\tcd"),
        ("\x9b2Ja\u202eb", "2Jab"),
    ],
)
def test_escape_sequences_are_removed(raw: str, shown: str) -> None:
    assert plain(raw) == shown


def record(tmp_path: Path, *given: Update) -> list[str]:
    terminal = FakeTerminal()
    with Transcript(str(tmp_path / "t.jsonl")) as transcript:
        recorder = Recorder(lambda _: None, transcript, terminal, Meter(10**9))
        for update in given:
            recorder.update(update)
        recorder.flush()
    return plain(terminal.text).splitlines()


def test_text_is_shown_line_by_line(tmp_path: Path) -> None:
    shown = record(tmp_path, Text("a"), Text("b\n\nc"), Text("d"), Thought("e"), Text("f\n"))
    assert shown == ["ab", "", "cd", "e", "f"]


def test_text_without_a_newline_is_shown_in_the_end(tmp_path: Path) -> None:
    assert "".join(record(tmp_path, *[Text("x" * 1000)] * 10)) == "x" * 10_000


def test_a_tool_call_is_shown_when_it_starts_and_ends(tmp_path: Path) -> None:
    output = "".join(f"{n}\n" for n in range(30))
    shown = record(
        tmp_path, replace(CALL, status="pending"), CALL, replace(CALL, output="0\n"),
        replace(CALL, status="failed", output=output),
    )  # fmt: skip
    assert shown[:4] == ["○ run tests", "✗ run tests", "  | ... 10 lines above", "  | 10"]
    assert len(shown) == 23


def test_the_same_usage_is_shown_once(tmp_path: Path) -> None:
    shown = record(tmp_path, Usage(5, 10), Notice("x"), Usage(5, 10), Usage(6, 10, 0.5), Usage(7, 0))
    assert shown == [
        "context 5 of 10 tokens (50 %)",
        "! x",
        "context 6 of 10 tokens (60 %), cost 0.50",
        "context 7 of 0 tokens, cost 0.50",
    ]
