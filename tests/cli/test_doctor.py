"""`tapeout doctor` finds what is wrong and mends what can be mended."""

import os
from pathlib import Path

import pygit2
import pytest

from tapeout.base.packing import linking, loose_objects
from tapeout.base.paths import StatePaths
from tapeout.cli.parser import parse
from tapeout.gate.runs import run_folder
from tapeout.tracker import Draft, Tracker
from tests.cli.conftest import Cli
from tests.tracker.exchange import exchange
from tests.tracker.tools import FILES


def damage(cli: Cli) -> None:
    with open(cli.paths.tracker_db, "r+b") as file:
        file.write(b"no database " * 2000)


def test_a_sound_state_directory(cli: Cli) -> None:
    cli.new("one")
    cli("issue", "close", cli.new("two"))
    lines = cli("doctor").out.split("\n")
    assert lines[:2] == [f"state directory {cli.paths.root}", "1 open, 1 closed issues; index sound"]
    assert lines[2].startswith("sandbox: ")
    data = cli("doctor", "--json").data
    assert (data["state"], data["open"], data["closed"], data["unflushed"]) == (cli.paths.root, 1, 1, False)


def test_a_damaged_index_is_named_by_every_command_and_rebuilt(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("doctor").code == 0
    damage(cli)
    for words in (
        ["issue", "list"],
        ["issue", "new", "x"],
        ["issue", "show", identity],
        ["claim", identity],
        ["doctor"],
    ):
        done = cli(*words)
        assert (done.code, done.err.count("\n")) == (7, 1)
        assert f"the index {cli.paths.tracker_db} is damaged" in done.err
        assert "`tapeout doctor --rebuild`" in done.err
    assert cli("doctor", "--rebuild").out == "the index was made again from 1 operation\n"
    assert [issue["id"] for issue in cli("issue", "list", "--json").data] == [identity]


def test_damage_in_the_middle_is_found(cli: Cli) -> None:
    for number in range(20):
        cli.new(f"{number}", "--body", "x" * 3000)
    assert cli("doctor").code == 0
    with open(cli.paths.tracker_db, "r+b") as file:
        file.seek(40960)
        file.write(b"\xff" * 8192)
    done = cli("doctor", "--json")
    assert done.code == 7
    assert "is damaged" in done.error["message"]
    assert cli("doctor", "--rebuild", "--json").data == {"operations": 20}
    assert cli("doctor").code == 0


def test_a_lost_index_is_made_again_by_any_command(cli: Cli) -> None:
    identity = cli.new("one")
    cli("doctor")
    for ending in FILES:
        if os.path.exists(cli.paths.tracker_db + ending):
            os.unlink(cli.paths.tracker_db + ending)
    assert cli("issue", "show", identity, "--json").data["title"] == "one"


def test_a_rebuild_of_nothing_is_empty(cli: Cli) -> None:
    assert cli("doctor", "--rebuild", "--json").data == {"operations": 0}
    cli.new("one")
    assert cli("doctor", "--json").data["unflushed"] is False
    assert cli("doctor", "--rebuild", "--json").data == {"operations": 1}


def test_a_log_that_cannot_be_written_is_named(cli: Cli) -> None:
    cli("issue", "list")
    with open(cli.paths.tracker_git, "w") as file:
        file.write("in the way")
    identity = cli.new("one")
    done = cli("doctor")
    assert (done.code, done.err.count("\n")) == (7, 1)
    assert f"the repository {cli.paths.tracker_git}: " in done.err
    assert cli("issue", "show", identity).code == 0


def test_circles_that_a_merge_made_are_named(cli: Cli, tmp_path: Path) -> None:
    one, two = cli.new("one"), cli.new("two")
    with Tracker.open(cli.paths, "ada") as tracker, Tracker.open(StatePaths(str(tmp_path / "other")), "ben") as other:
        exchange(tracker, other)
        tracker.add_dependency(one, two)
        other.add_dependency(two, one)
        other.edit(one, {"parent": two})
        tracker.edit(two, {"parent": one})
        exchange(tracker, other)
    said = cli("doctor").out
    assert " wait for each other over " in said
    assert " -> ".join(sorted([one, two])) + ": these issues are each other's parents" in said
    data = cli("doctor", "--json").data
    assert len(data["circles"]) == len(data["parent_circles"]) == 1


def test_gc_makes_the_repositories_smaller_and_drops_nothing(cli: Cli) -> None:
    for number in range(20):
        with Tracker.open(cli.paths, "ada") as tracker:
            tracker.create(Draft(f"{number}", body="text " * 100))
            tracker.flush()
    blob = pygit2.Repository(cli.paths.tracker_git).create_blob(b"attached in a moment")
    sizes = {row["name"]: row for row in cli("gc", "--json").data}
    assert sizes["tracker.git"]["after"] < sizes["tracker.git"]["before"]
    assert loose_objects(cli.paths.tracker_git) == 1  # what nothing points to yet
    assert blob in pygit2.Repository(cli.paths.tracker_git)
    for ending in FILES:
        if os.path.exists(cli.paths.tracker_db + ending):
            os.unlink(cli.paths.tracker_db + ending)
    assert len(cli("issue", "list", "--json").data) == 20


def test_gc_removes_the_checkouts_of_gate_runs_that_were_killed(cli: Cli) -> None:
    cli.new("one")
    with run_folder(cli.paths) as (_, alive):
        dead = f"{alive}dead"
        os.mkdir(dead)
        cli("gc")
        assert (os.path.exists(alive), os.path.exists(dead)) == (True, False)


def test_gc_counts_what_comes_while_it_works(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command of a repository may still be writing its operation to git."""
    cli.new("one")
    with Tracker.open(cli.paths, "ada") as tracker:
        tracker.flush()
    hidden = f"{cli.paths.tracker_git}.later"
    os.rename(cli.paths.tracker_git, hidden)
    monkeypatch.chdir(cli.folder)
    monkeypatch.setattr("tapeout.gate.runs.sweep", lambda _: os.rename(hidden, cli.paths.tracker_git))
    monkeypatch.setattr(Tracker, "check", lambda _: None)
    monkeypatch.setattr(Tracker, "tidy", lambda _: None)
    arguments = parse(["gc", "--json"])
    assert [row["before"] for row in arguments.run(arguments).data if row["name"] == "tracker.git"] == [0]


def test_gc_leaves_alone_what_is_in_use(cli: Cli) -> None:
    cli.new("one")
    with Tracker.open(cli.paths, "ada") as tracker:
        tracker.flush()
    with linking(cli.paths.tracker_git):
        assert "in use, left as it is" in cli("gc").out
