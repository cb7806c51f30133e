"""The index can be lost, damaged, outdated or replaced at any time: nothing that was acknowledged is."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3 as index
from tapeout.tracker import Draft, Tracker, gitlog, rebuild, schema
from tapeout.tracker.tables import SCHEMA_VERSION
from tests.tracker.tools import FILES, contents, delete_index, finish, logged, python

OPENERS = 6
OPENER = """
import sys
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
import pygit2
print("ready", flush=True)
sys.stdin.readline()
with Tracker.open(StatePaths(sys.argv[1]), "ben") as tracker:
    tracker.create(Draft(sys.argv[2]))
"""


def fill(paths: StatePaths, count: int = 30) -> None:
    with Tracker.open(paths, "ada") as tracker:
        first = tracker.create(Draft("first"))
        for number in range(count):
            issue = tracker.create(Draft(f"{number}", labels=("x",), body="b" * 2000))
            tracker.add_dependency(issue.id, first.id)
            tracker.comment(issue.id, "hello")
            lease = tracker.claim(issue.id, f"a-{number}")
            tracker.start_attempt(lease, f"a-{number}", agent="codex", host="h", pid=1, pid_started=0.5)
            tracker.submit(lease, f"a-{number}", commit="c", base="b")


def titles(paths: StatePaths) -> list[str]:
    with Tracker.open(paths, "ada") as tracker:
        return [issue.title for issue in tracker.issues()]


def test_a_lost_index_is_made_again_from_git(paths: StatePaths) -> None:
    fill(paths)
    before = contents(paths)
    delete_index(paths)
    assert len(titles(paths)) == 31
    assert contents(paths) == before


def test_a_lost_index_is_made_again_when_the_refs_are_packed(paths: StatePaths) -> None:
    fill(paths, 1)
    subprocess.run(["git", "-C", paths.tracker_git, "pack-refs", "--all"], check=True)
    delete_index(paths)
    assert titles(paths) == ["first", "0"]


def test_what_is_written_after_a_rebuild_goes_to_git_too(paths: StatePaths) -> None:
    for title in ("one", "two", "three"):
        with Tracker.open(paths, "ada") as tracker:
            tracker.create(Draft(title))
        delete_index(paths)
    assert titles(paths) == ["one", "two", "three"]


def test_the_outbox_works_after_a_rebuild_from_an_empty_log(paths: StatePaths) -> None:
    assert rebuild.rebuild(paths) == 0
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("one"))
        assert tracker.has_outbox()
    assert len(logged(paths)) == 1


def test_a_rebuild_brings_the_outbox_to_git_first(paths: StatePaths, tracker: Tracker) -> None:
    tracker.create(Draft("one"))
    assert tracker.has_outbox()
    assert rebuild.rebuild(paths) == 1
    assert titles(paths) == ["one"]
    assert len(logged(paths)) == 1


def test_a_rebuild_keeps_that_the_floor_is_paused(paths: StatePaths, tracker: Tracker) -> None:
    tracker.rest_floor()
    said = tracker.floor_rests()
    rebuild.rebuild(paths)
    assert said
    assert tracker.floor_rests() == said


def test_an_open_tracker_goes_on_with_the_new_index(paths: StatePaths, tracker: Tracker) -> None:
    tracker.create(Draft("one"))
    rebuild.rebuild(paths)
    tracker.create(Draft("two"))
    assert [issue.title for issue in tracker.issues()] == ["one", "two"]
    rebuild.rebuild(paths)
    assert [issue.title for issue in tracker.issues()] == ["one", "two"]
    assert titles(paths) == ["one", "two"]


def test_an_open_tracker_survives_that_somebody_deletes_the_index(paths: StatePaths, tracker: Tracker) -> None:
    tracker.create(Draft("one"))
    delete_index(paths)
    tracker.create(Draft("two"))
    assert titles(paths) == ["one", "two"]


def test_a_lease_outlives_the_index_and_its_token_still_counts(paths: StatePaths, tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    old = tracker.claim(issue.id, "a-1", 0)
    lease = tracker.claim(issue.id, "a-2", 60)
    tracker.flush()
    delete_index(paths)
    assert tracker.renew(lease).token == lease.token > old.token


@pytest.mark.parametrize("lost", [("",), ("", "-shm")])
def test_a_log_that_a_lost_index_left_behind_is_not_replayed(paths: StatePaths, lost: tuple[str, ...]) -> None:
    fill(paths, 5)
    before = contents(paths)
    # What a killed process leaves: beside the index a write-ahead log that was not merged.
    keeper = sqlite3.connect(paths.tracker_db, isolation_level=None)
    keeper.execute("PRAGMA wal_autocheckpoint = 0")
    keeper.execute("UPDATE issues SET title = 'from the old log'")
    left = [ending for ending in FILES if ending not in lost]
    for ending in left:
        shutil.copy(paths.tracker_db + ending, f"{paths.root}/copy{ending}")
    keeper.close()
    delete_index(paths)
    for ending in left:
        os.rename(f"{paths.root}/copy{ending}", paths.tracker_db + ending)
    assert "from the old log" not in titles(paths)
    with Tracker.open(paths, "ada") as tracker:
        tracker.check()
    assert contents(paths) == before


def damage_garbage(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"no database " * 1000)


def damage_empty(path: str) -> None:
    with open(path, "wb"):
        pass


def damage_middle(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (os.path.getsize(path) - 8192))


def damage_truncated(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


@pytest.mark.parametrize("damage", [damage_garbage, damage_empty, damage_middle, damage_truncated])
def test_a_damaged_index_is_named_and_repaired(paths: StatePaths, damage: object) -> None:
    assert callable(damage)
    fill(paths)
    before = contents(paths)
    damage(paths.tracker_db)
    with pytest.raises(EnvironmentProblem) as caught, Tracker.open(paths, "ada") as tracker:
        tracker.check()
    assert caught.value.message.startswith(f"the index {paths.tracker_db} is damaged: ")
    assert "\n" not in caught.value.message
    assert "tapeout doctor --rebuild" in (caught.value.hint or "")
    assert rebuild.rebuild(paths) == len(before["operations"])
    assert contents(paths) == before
    with Tracker.open(paths, "ada") as tracker:
        tracker.check()
    assert os.path.exists(f"{paths.tracker_db}.damaged")


def test_a_damaged_index_is_salvaged_as_far_as_it_can_be_read(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("in git"))
        tracker.flush()
        tracker.create(Draft("not in git"))
        tracker._wrote = False  # as if killed: nothing brings it to git
    connection = sqlite3.connect(paths.tracker_db)
    connection.execute("DROP TABLE issues")
    connection.execute("DROP TABLE meta")
    connection.commit()
    connection.close()
    rebuild.rebuild(paths)
    assert titles(paths) == ["in git", "not in git"]


def test_an_index_of_an_older_version_is_made_again(paths: StatePaths) -> None:
    fill(paths, 3)
    before = contents(paths)
    with sqlite3.connect(paths.tracker_db) as connection:
        connection.execute("ALTER TABLE issues DROP COLUMN landed_commit")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    connection.close()
    assert len(titles(paths)) == 4
    assert contents(paths) == before


def test_an_index_of_a_newer_version_is_left_alone(paths: StatePaths) -> None:
    fill(paths, 1)
    with sqlite3.connect(paths.tracker_db) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(EnvironmentProblem, match="schema version") as caught:
        Tracker.open(paths, "ada")
    assert caught.value.hint == "install the newer version of tapeout"


def test_a_damaged_log_is_named_and_the_old_index_stays(paths: StatePaths) -> None:
    fill(paths, 1)
    before = contents(paths)
    gitlog.append(paths, "zz", [])
    objects = os.path.join(paths.tracker_git, "objects")
    for folder, _, names in os.walk(objects):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
            with open(os.path.join(folder, name), "r+b") as file:
                file.write(b"garbage")
    with pytest.raises(EnvironmentProblem, match="the log in"):
        rebuild.rebuild(paths)
    assert contents(paths) == before


@pytest.mark.parametrize("state", ["new", "lost", "outdated"])
def test_many_may_open_it_for_the_first_time_at_once(paths: StatePaths, state: str) -> None:
    expected = 0
    if state != "new":
        fill(paths, 4)
        expected = 5
    if state == "lost":
        delete_index(paths)
    if state == "outdated":
        with sqlite3.connect(paths.tracker_db) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
        connection.close()
    openers = []
    for number in range(OPENERS):
        opener = subprocess.Popen(
            [sys.executable, "-c", OPENER, paths.root, f"new {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
        openers.append(opener)
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    for opener in openers:
        opener.communicate(timeout=60)
    assert [opener.returncode for opener in openers] == [0] * OPENERS
    with Tracker.open(paths, "ada") as tracker:
        tracker.flush()
        assert len(tracker.issues()) == expected + OPENERS
        before = contents(paths)
        delete_index(paths)
        assert len(tracker.issues()) == expected + OPENERS
    assert contents(paths) == before


def test_an_index_is_not_replaced_while_somebody_opens_it(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else he would open the old index and then, by its name, the new one's write-ahead log."""
    fill(paths, 1)
    connect, looked = sqlite3.connect, []

    def look(*arguments: Any, **options: Any) -> sqlite3.Connection:
        with open(f"{paths.tracker_db}.create") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        looked.append(arguments)
        connection: sqlite3.Connection = connect(*arguments, **options)
        return connection

    monkeypatch.setattr(index, "connect", look)
    Tracker.open(paths, "ada").close()
    assert looked


REBUILDER = """
import sys
from tapeout.base.paths import StatePaths
from tapeout.tracker import rebuild
for _ in range(40):
    rebuild.rebuild(StatePaths(sys.argv[1]))
"""
BUSY = """
import sys, pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
with Tracker.open(StatePaths(sys.argv[1]), "ben") as tracker:
    print(tracker.create(Draft("x")).id, flush=True)
    while sys.argv[2] not in (issue.title for issue in tracker.issues(limit=1)):
        print(tracker.create(Draft("x")).id, flush=True)
"""


def test_rebuilding_under_writers_loses_nothing(paths: StatePaths) -> None:
    writers = [python(BUSY, paths.root, "stop") for _ in range(3)]
    acknowledged = [writer.stdout.readline().strip() for writer in writers if writer.stdout is not None]
    rebuilder = python(REBUILDER, paths.root)
    finish(rebuilder)
    with Tracker.open(paths, "ada") as tracker:
        tracker.create(Draft("stop", priority=0))
        acknowledged += [identity for writer in writers for identity in finish(writer).split()]
        assert [one.returncode for one in (*writers, rebuilder)] == [0] * 4
        tracker.flush()
        found = {issue.id for issue in tracker.issues()}
        assert found >= set(acknowledged)
        delete_index(paths)
        assert {issue.id for issue in tracker.issues()} == found


def test_what_was_written_to_an_index_that_was_deleted_is_in_the_one_that_another_process_made(
    paths: StatePaths,
) -> None:
    with Tracker.open(paths, "ada") as ada:
        ada.create(Draft("in git"))
        ada.flush()
        ada.create(Draft("not in git"))
        delete_index(paths)
        with Tracker.open(paths, "ben") as ben:
            assert [issue.title for issue in ben.issues()] == ["in git"]
            ada.create(Draft("after"))
            assert {issue.title for issue in ben.issues()} == {"in git", "not in git", "after"}
        ada.flush()
        before = contents(paths)
        rebuild.rebuild(paths)
        assert contents(paths) == before


def test_who_only_closes_a_deleted_index_loses_nothing_of_it(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as ada:
        ada.create(Draft("in git"))
        ada.flush()
        ada.create(Draft("not in git"))
        delete_index(paths)
        Tracker.open(paths, "ben").close()
    with Tracker.open(paths, "ben") as ben:
        assert {issue.title for issue in ben.issues()} == {"in git", "not in git"}


def test_whoever_brings_the_outbox_to_git_makes_no_empty_index_in_place_of_a_lost_one(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as ada:
        ada.create(Draft("in git"))
    delete_index(paths)
    finish(python("import sys; from tapeout.base.paths import StatePaths; from tapeout.tracker import outbox;"
                  " outbox._flush_alone(StatePaths(sys.argv[1]))", paths.root))  # fmt: skip
    with Tracker.open(paths, "ada") as ada:
        assert [issue.title for issue in ada.issues()] == ["in git"]


@pytest.mark.parametrize("name", ["tracker", "od d%41?x#y"])
def test_an_index_that_is_deleted_while_it_is_opened_leaves_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    paths = StatePaths(str(tmp_path / name))
    with Tracker.open(paths, "ada") as ada:
        ada.create(Draft("in git"))
    opened = schema.existing
    to_delete = [paths]

    def deleted_and_opened(path: str) -> Any:
        while to_delete:
            delete_index(to_delete.pop())
        return opened(path)

    monkeypatch.setattr(schema, "existing", deleted_and_opened)
    with Tracker.open(paths, "ada") as ada:
        assert [issue.title for issue in ada.issues()] == ["in git"]
