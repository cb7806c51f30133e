"""An older index in the place of a newer one gives numbers out again that git has: both lines of operations stay."""

import os
import shutil
import signal
import sqlite3
import tempfile
from pathlib import Path

import pygit2
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tapeout.base.faults import CRASH_VARIABLE
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, gitlog, rebuild, schema
from tapeout.tracker.sharing.audit import audit
from tapeout.tracker.tables import SCHEMA_VERSION
from tests.tracker.tools import FILES, contents, delete_index, finish, logged, python


def back_up(paths: StatePaths) -> bytes:
    """The bytes of an index that nobody has open."""
    assert not any(os.path.exists(paths.tracker_db + ending) for ending in FILES[1:])
    with open(paths.tracker_db, "rb") as file:
        return file.read()


def put_back(paths: StatePaths, backup: bytes) -> None:
    """Write a backup into the file of the index: the file stays the same one."""
    before = os.stat(paths.tracker_db).st_ino
    with open(paths.tracker_db, "r+b") as file:
        file.write(backup)
        file.truncate()
    assert os.stat(paths.tracker_db).st_ino == before


def killed(tracker: Tracker) -> None:
    """End as if killed: nothing is brought to git."""
    tracker._wrote = False
    tracker.close()


def titles(paths: StatePaths) -> list[str]:
    with Tracker.open(paths, "ada") as tracker:
        return sorted(issue.title for issue in tracker.issues())


def assert_sound(paths: StatePaths) -> None:
    """Every log is one that other clones believe, nothing is there twice, and a rebuild changes nothing."""
    repository = pygit2.Repository(paths.tracker_git)
    for name in repository.references:
        tip = str(repository.references[name].target)
        assert audit(repository, name.removeprefix(gitlog.LOG_REFS), tip, None).problem is None
    assert len(logged(paths)) == len(set(logged(paths)))
    before = contents(paths)
    delete_index(paths)
    Tracker.open(paths, "ada").close()
    assert contents(paths) == before


@pytest.fixture
def backup(paths: StatePaths) -> bytes:
    """An index of an issue; another issue was filed after it was backed up."""
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("before"))
    saved = back_up(paths)
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("of the newer index"))
    return saved


def test_what_is_filed_in_an_index_that_was_put_back_stays_beside_what_git_has(
    paths: StatePaths, backup: bytes
) -> None:
    put_back(paths, backup)
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("of the older index"))
        tracker.flush()
        assert not tracker.has_outbox()
        tracker.create(Draft("after"))
    assert titles(paths) == ["after", "before", "of the newer index", "of the older index"]
    assert_sound(paths)


def test_every_reference_to_a_renamed_operation_is_kept(paths: StatePaths, backup: bytes) -> None:
    put_back(paths, backup)
    with Tracker.open(paths, "ada") as tracker:
        (issue,) = [one.id for one in tracker.issues()]
        tracker.comment(issue, "stays")
        tracker.comment(issue, "is taken back")
        tracker.undo()
        tracker.attach(issue, "stays.txt", b"stays")
        tracker.attach(issue, "goes.txt", b"goes")
        tracker.detach(issue, "goes.txt")
        lease = tracker.claim(issue, "a-1", 60)
        tracker.start_attempt(lease, "a-1", agent="codex", host="h", pid=1, pid_started=0.5)
        tracker.submit(lease, "a-1", commit="c", base="b")
        other, _ = tracker.create_many([Draft("other", name="x", labels=("api",)), Draft("child", parent="x")])
        tracker.add_dependency(issue, other.id)
        tracker.renew(lease, 3600)

        def seen() -> list[object]:
            return [
                [(one.text, one.at) for one in tracker.comments(issue)],
                [(one.name, tracker.attachment_content(one)) for one in tracker.attachments(issue)],
                [one for one in tracker.issues() if one.title != "of the newer index"],
                [attempt._replace(replica="") for attempt in tracker.attempts(issue)],
                [change._replace(replica="") for change in tracker.all_changes(issue)],
                tracker.blockers(issue),
                [(entry.kind, entry.at, entry.undoes is None) for entry in tracker.history(issue)],
                [(act.at, act.issues, act.kinds, act.obstacle) for act in tracker.acts() if issue in act.issues],
            ]

        before = seen()
        tracker.flush()
        assert seen() == before
        assert len([one for one in tracker.issues() if one.title == "of the newer index"]) == 1
        assert [one.id for one in tracker.attempts(running=True)] == ["a-1"]
        (undone,) = [entry for entry in tracker.history(issue) if entry.undone_by is not None]
        assert undone.undone_by in {entry.id for entry in tracker.history(issue) if entry.undoes == undone.act}
        tracker.release(lease)
    assert_sound(paths)


def test_who_wrote_in_an_older_index_knew_what_was_in_it(paths: StatePaths) -> None:
    """Else a later edit would be told of as one that overwrote an earlier one unseen."""
    with Tracker.open(paths, "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        tracker.edit(issue, {"title": "before the backup"})
    saved = back_up(paths)
    with Tracker.open(paths, "ada") as tracker:
        tracker.edit(issue, {"body": "of the newer index"})
    put_back(paths, saved)
    with Tracker.open(paths, "ada") as tracker:
        tracker.edit(issue, {"title": "in the older index", "body": "of the older index"})
        tracker.flush()
        tracker.edit(issue, {"priority": 0, "body": "in knowledge of both"})
        told = {entry.data.get("body", entry.data.get("title")): entry for entry in tracker.history(issue)}
        assert not told["before the backup"].overwritten
        assert [one.field for one in told["of the newer index"].overwritten] == ["body"]
        assert not told["of the older index"].overwritten
        assert tracker.issue(issue).body == "in knowledge of both"


@pytest.mark.parametrize("way", ["flush", "rebuild", "outdated", "check", "delete"])
def test_it_is_also_noticed_by_whoever_comes_next(paths: StatePaths, backup: bytes, way: str) -> None:
    put_back(paths, backup)
    tracker = Tracker.open(paths, "ada")
    tracker.create(Draft("of the older index"))
    if way != "delete":
        killed(tracker)
    if way == "flush":
        with Tracker.open(paths, "ben") as ben:
            ben.flush()
    if way == "rebuild":
        rebuild.rebuild(paths)
    if way == "check":
        with Tracker.open(paths, "ben") as ben:
            ben.check()
    if way == "outdated":
        with sqlite3.connect(paths.tracker_db) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
        connection.close()
    if way == "delete":  # and another process makes it again from git, before the outbox is there
        delete_index(paths)
        Tracker.open(paths, "ben").close()
        tracker.issues()
        tracker.close()
    assert titles(paths) == ["before", "of the newer index", "of the older index"]
    assert_sound(paths)


def test_an_index_made_again_takes_over_what_was_numbered_twice(
    paths: StatePaths, backup: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back(paths, backup)
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("of the older index"))
        delete_index(paths)
        Tracker.open(paths, "ben").close()
        with monkeypatch.context() as patch:
            patch.setattr("tapeout.tracker.outbox.flush", lambda *_: 0)  # another process holds the lock
            assert len(tracker.issues()) == 3
        tracker.flush()
    assert titles(paths) == ["before", "of the newer index", "of the older index"]
    assert_sound(paths)


def test_looking_alone_notices_that_git_is_ahead(paths: StatePaths, backup: bytes) -> None:
    put_back(paths, backup)
    with Tracker.open(paths, "ada") as tracker:
        assert [issue.title for issue in tracker.issues()] == ["before"]
        tracker.check()
        assert [issue.title for issue in tracker.issues()] == ["before", "of the newer index"]
        tracker.create(Draft("after"))
    assert titles(paths) == ["after", "before", "of the newer index"]
    assert_sound(paths)


def test_a_database_that_is_restored_while_it_is_open(paths: StatePaths) -> None:
    """SQLite's own way to restore, as in `.restore` of its shell: the others go on with what the file holds now."""
    copy = sqlite3.connect(":memory:")
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("before"))
        tracker.flush()
        with sqlite3.connect(paths.tracker_db) as connection:
            connection.backup(copy)
        connection.close()
        tracker.create(Draft("of the newer index"))
        tracker.flush()
        connection = sqlite3.connect(paths.tracker_db)
        copy.backup(connection)
        connection.close()
        copy.close()
        assert [issue.title for issue in tracker.issues()] == ["before"]
        tracker.create(Draft("of the older index"))
        tracker.flush()
        tracker.create(Draft("after"))
    assert titles(paths) == ["after", "before", "of the newer index", "of the older index"]
    assert_sound(paths)


def test_the_same_backup_twice_and_one_with_an_outbox(paths: StatePaths, backup: bytes) -> None:
    put_back(paths, backup)
    tracker = Tracker.open(paths, "ada")
    tracker.create(Draft("of the older index"))
    killed(tracker)
    with_outbox = back_up(paths)
    for number, saved in enumerate([with_outbox, backup, with_outbox, with_outbox, backup]):
        put_back(paths, saved)
        with Tracker.open(paths, "ada") as tracker:
            tracker.create(Draft(f"{number}"))
    assert titles(paths) == ["0", "1", "2", "3", "4", "before", "of the newer index", "of the older index"]
    assert_sound(paths)


WRITER = """
import sys, pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
with Tracker.open(StatePaths(sys.argv[1]), "ben") as tracker:
    tracker.create(Draft("of the older index"))
    tracker.flush()
"""


@pytest.mark.parametrize("point", ["flush.reconciled", "flush.written"])
def test_killed_in_the_middle_nothing_is_there_twice(paths: StatePaths, backup: bytes, point: str) -> None:
    put_back(paths, backup)
    writer = python(WRITER, paths.root, env={CRASH_VARIABLE: point})
    finish(writer)
    assert writer.returncode == -signal.SIGKILL
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("after"))
    assert titles(paths) == ["after", "before", "of the newer index", "of the older index"]
    assert_sound(paths)


def test_a_rebuild_that_fails_after_it_saved_what_was_numbered_twice_can_be_repeated(
    paths: StatePaths, backup: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back(paths, backup)
    tracker = Tracker.open(paths, "ada")
    tracker.create(Draft("of the older index"))
    killed(tracker)

    def fail(*_: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "build", fail)
        with pytest.raises(OSError, match="killed"):
            rebuild.rebuild(paths)
    tracker = Tracker.open(paths, "ada")
    tracker.create(Draft("written meanwhile"))
    killed(tracker)
    rebuild.rebuild(paths)
    assert titles(paths) == ["before", "of the newer index", "of the older index", "written meanwhile"]
    assert_sound(paths)


def test_followers_and_the_search_see_what_came_from_git(paths: StatePaths, backup: bytes) -> None:
    put_back(paths, backup)
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("of the older index"))
        assert [hit.issue.title for hit in tracker.search("newer")] == []
        seen = tracker.events(limit=1)[0].sequence
        tracker.flush()
        assert {"of the newer index"} <= {one.data.get("title") for one in tracker.events(after=seen)}
        assert [hit.issue.title for hit in tracker.search("newer")] == ["of the newer index"]
        assert [hit.issue.title for hit in tracker.search("older")] == ["of the older index"]


@pytest.mark.parametrize("notices", ["write", "check", "rebuild"])
@pytest.mark.parametrize("back_to", [0, 1, 2])
def test_what_a_log_lacks_that_was_set_back_is_written_again(paths: StatePaths, back_to: int, notices: str) -> None:
    with Tracker.open(paths, "ada") as tracker:
        for number in range(4):
            tracker.create(Draft(f"{number}"))
            tracker.flush()
    repository = pygit2.Repository(paths.tracker_git)
    (name,) = [name for name in repository.references if name.startswith(gitlog.LOG_REFS)]
    commits = list(repository.walk(repository.references[name].target))[::-1]
    if back_to:
        repository.references.create(name, commits[back_to - 1].id, force=True)
    else:
        repository.references.delete(name)
    assert len(logged(paths)) == back_to
    if notices == "rebuild":
        rebuild.rebuild(paths)
    with Tracker.open(paths, "ada") as tracker:
        if notices == "check":
            tracker.check()
            assert len(logged(paths)) == 4
        tracker.create(Draft("4"))
        tracker.flush()
    assert titles(paths) == ["0", "1", "2", "3", "4"]
    assert_sound(paths)


class Machine(RuleBasedStateMachine):
    """Writing, being killed, backing up, putting back and rebuilding, in any order."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.paths = StatePaths(str(Path(self.folder) / "tracker"))
        with Tracker.open(self.paths, "ada") as tracker:
            self.issue = tracker.create(Draft("one")).id
        self.backups = [(back_up(self.paths), {""})]
        self.flushed: set[str] = set()
        self.waiting: set[str] = set()
        self.count = 0

    @rule(number=st.integers(1, 4), flushes=st.booleans())
    def write(self, number: int, flushes: bool) -> None:
        tracker = Tracker.open(self.paths, "ada")
        for _ in range(number):
            self.count += 1
            tracker.comment(self.issue, f"{self.count}")
            self.waiting.add(f"{self.count}")
        if flushes:
            tracker.close()
            self.flushed |= self.waiting
            self.waiting = set()
        else:
            killed(tracker)

    @rule()
    def back_up(self) -> None:
        self.backups.append((back_up(self.paths), set(self.waiting)))

    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """What only the index had is lost with it; what a backup had not flushed is there again."""
        saved, waiting = data.draw(st.sampled_from(self.backups))
        put_back(self.paths, saved)
        self.waiting = waiting - {""}

    @rule()
    def rebuild(self) -> None:
        rebuild.rebuild(self.paths)
        self.flushed |= self.waiting
        self.waiting = set()

    @invariant()
    def nothing_is_lost(self) -> None:
        if not self.waiting:
            with Tracker.open(self.paths, "ada") as tracker:
                tracker.check()
                found = [comment.text for comment in tracker.comments(self.issue)]
            assert sorted(found) == sorted(self.flushed)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            with Tracker.open(self.paths, "ada") as tracker:
                tracker.check()
                found = [comment.text for comment in tracker.comments(self.issue)]
            assert sorted(found) == sorted(self.flushed | self.waiting)
            assert_sound(self.paths)
            shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
