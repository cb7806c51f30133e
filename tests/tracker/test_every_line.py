"""Law 8, line by line: a writer is killed at one line after the other of what a write, a flush or a merge executes."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pygit2  # noqa: F401 - loaded before the fork, so that children do not spend their lines on importing it
import pytest

import tapeout.tracker
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, merge
from tests.tracker.exchange import operations
from tests.tracker.tools import contents, delete_index, logged, receive

PACKAGE = os.path.dirname(os.path.abspath(tapeout.tracker.__file__))
STRIDE = 7
"""Every seventh line: all of them take minutes."""


def killed_at(line: int, act: Callable[[Callable[[str], None]], None]) -> tuple[bool, list[str]]:
    """Fork, let the child act, and kill it at its `line`-th line of the tracker's code.

    Returns:
        Whether it was killed before its end, and what it had said by then.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            _trace(line)
            act(lambda text: void(os.write(writer, f"{text}\n".encode())))
        finally:
            sys.settrace(None)
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        lines = said.read().splitlines()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), lines


def void(_: object) -> None: ...


def _trace(line: int) -> None:
    left = line

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(PACKAGE) else None

    sys.settrace(enter)


@pytest.fixture
def issue(paths: StatePaths) -> str:
    with Tracker.open(paths, "ada") as tracker:
        one = tracker.create(Draft("first", labels=("x",)))
        tracker.create(Draft("second", depends_on=(one.id,)))
        tracker.flush()
        return one.id


def test_a_write_is_there_or_not_there_and_what_was_acknowledged_is_there(paths: StatePaths, issue: str) -> None:
    def act(say: Callable[[str], None]) -> None:
        with Tracker.open(paths, "ben") as tracker:
            say(f"created {tracker.create(Draft('third')).id}")
            say(f"commented {tracker.comment(issue, 'hello').id}")
            say(f"claimed {tracker.claim(issue, 'a-1').token}")
            tracker.close_issue(issue)
            say("closed")
            tracker.reopen(issue)
            tracker._wrote = False

    line, running = 1, True
    while running:
        running, said = killed_at(line, act)
        line += STRIDE
        check(paths, issue, said)
    assert line > 100
    with Tracker.open(paths, "ada") as tracker:
        tracker.flush()
        assert len(logged(paths)) == len(set(logged(paths))) == len(operations(tracker))
    before = contents(paths)
    delete_index(paths)
    Tracker.open(paths, "ada").close()
    assert contents(paths) == before


def check(paths: StatePaths, issue: str, said: list[str]) -> None:
    """What the writer was told is written is there, and what is derived fits."""
    with Tracker.open(paths, "ada") as tracker:
        facts = dict(line.partition(" ")[::2] for line in said)
        if "created" in facts:
            assert tracker.issue(facts["created"]).title == "third"
        if "commented" in facts:
            assert facts["commented"] in [comment.id for comment in tracker.comments(issue)]
        found = tracker.issue(issue)
        if "claimed" in facts:
            assert found.lease_token >= int(facts["claimed"])
        for waiter in tracker.issues():
            if waiter.title == "second":
                assert waiter.open_blockers == (1 if found.status == "open" else 0)
        if found.status == "closed":
            tracker.reopen(issue)
        if tracker.issue(issue).lease_owner:
            tracker.release_issue(issue, "ada", force=True)
        tracker._wrote = False  # closing it flushes nothing: the disk would be most of the time


def test_a_flush_writes_every_operation_once(paths: StatePaths, issue: str) -> None:
    def act(say: Callable[[str], None]) -> None:
        with Tracker.open(paths, "ben") as tracker:
            tracker.flush()

    line, running = 1, True
    while running:
        with Tracker.open(paths, "ada") as tracker:
            tracker.flush()
            tracker.comment(issue, "hello")
            tracker._wrote = False  # closing it flushes nothing
        running, _ = killed_at(line, act)
        line += STRIDE
    assert line > 30
    with Tracker.open(paths, "ada") as tracker:
        tracker.flush()
        assert sorted(logged(paths)) == sorted(operation.id for operation in operations(tracker))


def test_a_merge_is_whole_or_not_there(paths: StatePaths, issue: str, tmp_path: Path) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "other")), "cleo") as other, Tracker.open(paths, "ada") as tracker:
        receive(other, operations(tracker), 4e9)
        added = other.create(Draft("of cleo", depends_on=(issue,)))
        other.edit(issue, {"title": "by cleo"})
        other.comment(issue, "hello")
        sent = operations(other)

    def act(say: Callable[[str], None]) -> None:
        with Tracker.open(paths, "ben") as tracker:
            receive(tracker, sent, 4e9)
            say("merged")

    line, running, said = 1, True, list[str]()
    while running and not said:
        running, said = killed_at(line, act)
        line += STRIDE
        with Tracker.open(paths, "ada") as tracker:
            titles = [one.title for one in tracker.issues()]
            assert ("of cleo" in titles) == ("by cleo" in titles)
            if "of cleo" in titles:
                assert tracker.issue(added.id).open_blockers == 1
    assert line > 30
    assert "of cleo" in titles
    before = contents(paths)
    rebuilt = StatePaths(str(tmp_path / "rebuilt"))
    with Tracker.open(rebuilt, "x") as fresh, Tracker.open(paths, "ada") as tracker, fresh._writing():
        merge.fill(fresh._connection, sorted(operations(tracker), key=lambda one: one.order), 4e9)
    assert contents(rebuilt) == before
