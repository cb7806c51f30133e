"""The log in git: flushing, batches, and who may flush."""

import os
import signal

import pygit2
import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.faults import CRASH_VARIABLE
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, outbox
from tests.tracker.tools import contents, delete_index, finish, logged, python

WRITER = """
import sys, pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
tracker = Tracker.open(StatePaths(sys.argv[1]), sys.argv[2])
print("open", flush=True)
for number in range(int(sys.argv[3])):
    tracker.create(Draft(f"{sys.argv[2]} {number}"))
    tracker.flush()
tracker.close()
"""


def test_operations_go_to_git_in_order_and_once(paths: StatePaths, tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    assert tracker.has_outbox()
    assert tracker.flush() == 1
    for number in range(5):
        tracker.comment(issue.id, f"{number}")
    assert tracker.flush() == 5
    assert not tracker.has_outbox()
    assert tracker.flush() == 0
    assert [identity.rpartition(".")[2] for identity in logged(paths)] == ["1", "2", "3", "4", "5", "6"]


def test_closing_flushes(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("one"))
    assert len(logged(paths)) == 1


def test_reading_alone_makes_no_repository(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        assert tracker.issues() == []
    assert not os.path.exists(paths.tracker_git)


def test_a_batch_is_bounded_in_number_and_in_bytes(
    paths: StatePaths, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH_LIMIT", 4)
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1000)
    tracker.create_many([Draft("x", body="b" * size) for size in (0,) * 9 + (5000, 5000, 0, 600, 600)])
    assert tracker.flush() == 14
    repository = pygit2.Repository(paths.tracker_git)
    (name,) = [name for name in repository.references if name.startswith("refs/tapeout/log/")]
    messages = [commit.message for commit in repository.walk(repository.references[name].target)]
    assert sorted(int(message.split()[0]) for message in messages) == [1, 1, 1, 1, 2, 4, 4]
    delete_index(paths)
    assert len(tracker.issues()) == 14


def test_only_a_newline_ends_an_operation(paths: StatePaths, tracker: Tracker) -> None:
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\rh\ni"
    issue = tracker.create(Draft("one", body=odd))
    tracker.flush()
    tracker.comment(issue.id, odd)
    tracker.flush()
    delete_index(paths)
    assert tracker.issue(issue.id).body == odd
    assert [comment.text for comment in tracker.comments(issue.id)] == [odd]


def test_a_flush_that_was_killed_before_it_took_note_is_not_repeated(paths: StatePaths) -> None:
    killed = python(WRITER, paths.root, "ben", "1", env={CRASH_VARIABLE: "flush.written"})
    finish(killed)
    assert killed.returncode == -signal.SIGKILL
    assert len(logged(paths)) == 1
    with Tracker.open(paths, "ada") as tracker:
        assert tracker.has_outbox()
        tracker.create(Draft("two"))
        tracker.flush()
        assert not tracker.has_outbox()
        assert len(logged(paths)) == len(set(logged(paths))) == 2
        before = contents(paths)
        delete_index(paths)
        assert [issue.title for issue in tracker.issues()] == ["ben 0", "two"]
    assert contents(paths) == before


def test_many_flushers_at_once_write_everything_once(paths: StatePaths) -> None:
    writers = [python(WRITER, paths.root, f"w{number}", "15") for number in range(4)]
    for writer in writers:
        finish(writer)
    assert [writer.returncode for writer in writers] == [0] * 4
    with Tracker.open(paths, "ada") as tracker:
        tracker.flush()
        assert len(tracker.issues()) == 60
    assert len(logged(paths)) == len(set(logged(paths))) == 60


def test_whoever_finds_the_lock_taken_leaves_the_work_to_its_holder(paths: StatePaths, tracker: Tracker) -> None:
    tracker.create(Draft("one"))
    with outbox._flush_lock(paths) as held:
        assert held
        assert tracker.flush() == 0
    assert tracker.flush() == 1


def test_a_flusher_that_was_overtaken_has_nothing_to_do(
    paths: StatePaths, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.create(Draft("one"))
    with Tracker.open(paths, "ben") as other:
        real = outbox._flush_lock

        def overtaken(where: StatePaths) -> object:
            monkeypatch.setattr(outbox, "_flush_lock", real)
            assert other.flush() == 1
            return real(where)

        monkeypatch.setattr(outbox, "_flush_lock", overtaken)
        assert tracker.flush() == 0


def test_a_log_that_somebody_else_moved_is_not_written_over(paths: StatePaths, tracker: Tracker) -> None:
    tracker.create(Draft("one"))
    tracker.flush()
    repository = pygit2.Repository(paths.tracker_git)
    (name,) = [name for name in repository.references if name.startswith("refs/tapeout/log/")]
    who = pygit2.Signature("x", "x@localhost")
    tip = repository.references[name].target
    foreign = repository.create_commit(None, who, who, "not a log", repository.TreeBuilder().write(), [tip])
    repository.references[name].set_target(foreign)
    tracker.create(Draft("two"))
    with pytest.raises(EnvironmentProblem, match="holds no file operations"):
        tracker.flush()
    with pytest.raises(EnvironmentProblem, match="holds no file operations"):
        tracker.check()
    assert tracker.has_outbox()
    assert len(tracker.issues()) == 2


def test_closing_tolerates_that_git_cannot_be_written(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("one"))
        with open(paths.tracker_git, "w") as file:
            file.write("in the way")
    os.unlink(paths.tracker_git)
    with Tracker.open(paths, "ada") as tracker:
        assert [issue.title for issue in tracker.issues()] == ["one"]
        assert tracker.flush() == 1


def test_an_error_inside_is_not_hidden_by_a_flush_that_fails(paths: StatePaths) -> None:
    def fail() -> None:
        with Tracker.open(paths, "ada") as tracker:
            tracker.create(Draft("one"))
            with open(paths.tracker_git, "w") as file:
                file.write("in the way")
            raise KeyError("mine")

    with pytest.raises(KeyError):
        fail()
