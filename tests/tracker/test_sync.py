"""Clones that exchange issues through a git remote, also a damaged one."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tapeout.base import faults
from tapeout.base.errors import UsageError
from tapeout.tracker import Draft, Tracker, rebuild
from tapeout.tracker.sharing import sync
from tapeout.tracker.sharing.remote import Unreachable
from tapeout.tracker.sharing.sync import write_bundle
from tests.tracker.cloning import Clones, assert_same, everywhere, forge, git, tip
from tests.tracker.tools import contents, delete_index, finish, python


def test_three_clones_end_with_the_same_state(clones: Clones, remote: Path) -> None:
    ada, ben, cleo = clones
    one = ada.tracker.create(Draft("one"))
    ben.tracker.create(Draft("two", labels=("api",)))
    everywhere(*clones)
    cleo.tracker.edit(one.id, {"priority": 0})
    ben.tracker.comment(one.id, "hello")
    ada.tracker.close_issue(one.id)
    report = ada.sync()
    assert (report.received, report.sent, report.quarantined, report.refused) == (0, 1, (), ())
    everywhere(*clones)
    assert_same(*clones)
    assert cleo.titles == ["one", "two"]
    assert all(clone.sync()[1:3] == (0, 0) for clone in clones)
    git(remote, "fsck", "--strict")
    before = contents(cleo.paths)
    cleo.tracker.flush()
    delete_index(cleo.paths)
    assert cleo.titles == ["one", "two"]
    assert contents(cleo.paths) == before


def test_nothing_in_the_project_is_touched(clones: Clones) -> None:
    ada, ben, _ = clones
    before = git(ada.folder, "for-each-ref"), git(ada.folder, "config", "--list", "--local")
    ada.tracker.create(Draft("one"))
    everywhere(ada, ben)
    assert (git(ada.folder, "for-each-ref"), git(ada.folder, "config", "--list", "--local")) == before
    assert not os.path.exists(ada.folder / ".git" / "FETCH_HEAD")


def test_the_loser_of_an_edit_is_named(clones: Clones) -> None:
    ada, ben, _ = clones
    issue = ada.tracker.create(Draft("one")).id
    everywhere(ada, ben)
    ada.tracker.edit(issue, {"title": "by ada"})
    ben.tracker.edit(issue, {"title": "by ben", "priority": 1})
    assert ada.sync().conflicts == ()
    ((told, field, kept, lost),) = ben.sync().conflicts
    assert (told, field) == (issue, "title")
    assert (kept.split()[0], lost.split()[0]) == ("ben", "ada")
    assert ada.sync().conflicts == ((told, field, kept, lost),)
    ben.tracker.edit(issue, {"title": "ben again"})
    everywhere(ben)
    assert ada.sync().conflicts == ()  # nobody was overwritten unseen
    ada.tracker.edit(issue, {"title": "ada, who has read it"})
    everywhere(ada)
    assert ben.sync().conflicts == ()
    ben.tracker.edit(issue, {"title": "by ben"})
    everywhere(ben, ada)
    assert ada.tracker.issue(issue).title == "by ben"


def test_a_lost_claim_is_told_of(clones: Clones) -> None:
    ada, ben, _ = clones
    issue = ada.tracker.create(Draft("one")).id
    everywhere(ada, ben)
    ada.tracker.claim(issue, "a-ada", 600)
    ben.tracker.claim(issue, "a-ben", 600)
    ada.sync()
    assert ben.sync().lost_claims == (issue,)
    assert ada.sync().lost_claims == ()


@pytest.mark.parametrize("is_first", [True, False])
def test_an_index_that_is_made_again_in_the_middle_of_a_sync_has_all_that_came(
    clones: Clones, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    ada, ben, _ = clones
    if not is_first:
        ada.tracker.create(Draft("before"))
        everywhere(ada, ben)
    ada.tracker.create(Draft("of ada"))
    ben.tracker.create(Draft("of ben"))
    ada.sync()
    adopt = sync._adopt

    def rebuild_and_adopt(*arguments: Any) -> None:
        rebuild.rebuild(ben.paths)
        adopt(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sync, "_adopt", rebuild_and_adopt)
        ben.sync()
    assert {"of ada", "of ben"} <= set(ben.titles)
    assert ada.replica not in ben.tracker.own_replicas()
    before = contents(ben.paths)
    rebuild.rebuild(ben.paths)
    assert contents(ben.paths) == before
    everywhere(ada, ben)
    assert_same(ada, ben)


def test_a_remote_that_cannot_be_reached_changes_nothing(clones: Clones, remote: Path) -> None:
    ada, ben, _ = clones
    ada.tracker.create(Draft("one"))
    os.rename(remote, f"{remote}.away")
    with pytest.raises(Unreachable, match="origin cannot be reached") as raised:
        ada.sync()
    assert raised.value.exit_code == 7
    assert "nothing was lost" in (raised.value.hint or "")
    os.rename(f"{remote}.away", remote)
    everywhere(ada, ben)
    assert ben.titles == ["one"]


def test_a_file_carries_issues_where_no_network_is(clones: Clones, tmp_path: Path) -> None:
    ada, ben, cleo = clones
    with pytest.raises(UsageError, match="nothing to write"):
        write_bundle(ada.tracker, str(tmp_path / "issues.bundle"))
    ada.tracker.create(Draft("one"))
    everywhere(ada, ben)
    ben.tracker.create(Draft("two"))
    assert write_bundle(ben.tracker, str(tmp_path / "issues.bundle")) == 2
    report = cleo.sync(str(tmp_path / "issues.bundle"))
    assert (report.received, report.sent) == (2, 0)
    assert cleo.titles == ["one", "two"]


@pytest.mark.parametrize("name", ["nowhere", "--upload-pack=x", ""])
def test_what_is_no_remote_is_refused(clones: Clones, name: str) -> None:
    with pytest.raises(UsageError):
        clones[0].remote(name)


def test_the_state_directory_of_another_clone_is_no_remote(clones: Clones) -> None:
    ada, ben, _ = clones
    ben.tracker.create(Draft("one"))
    ben.tracker.flush()
    with pytest.raises(UsageError, match="state directory of a clone"):
        ada.sync(ben.paths.tracker_git)


# --- damage ---


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n",
        "",
        "\udcff\n",
        '["x.1",1,"eve","i","created",{}]\n',
        "[" * 50_000,
        '["{ada}.1",1,"e","i","k",{}]\n',
    ],
    ids=["nonsense", "empty", "no UTF-8", "another replica", "deep", "number used before"],
)
def test_a_damaged_log_is_put_aside_and_costs_nobody_his_data(shared: Clones, remote: Path, text: str) -> None:
    ada, ben, cleo = shared
    good = tip(remote, ada.replica)
    forge(remote, ada.replica, text.replace("{ada}", ada.replica), parent=good)
    ben.tracker.create(Draft("more of ben"))
    for clone in (ben, cleo):
        ((replica, reason),) = clone.sync().quarantined
        assert replica == ada.replica
        assert reason
        assert clone.titles == ["more of ben", "of ada", "of ben"]
        assert f"refs/tapeout/quarantine/{ada.replica}" in git(clone.paths.tracker_git, "for-each-ref")
    ada.tracker.create(Draft("more of ada"))
    assert ada.sync().quarantined[0].replica == ada.replica
    assert ada.sync(repair=True).refused == ()
    everywhere(ada, ben, cleo)
    assert ben.sync().quarantined == ()
    assert_same(ada, ben, cleo)
    assert "more of ada" in cleo.titles


def test_a_log_that_was_cut_off_is_restored_by_whoever_has_it(shared: Clones, remote: Path) -> None:
    ada, ben, cleo = shared
    for number in range(3):
        ada.tracker.create(Draft(f"more {number}"))
        everywhere(ada, ben)
    full = tip(remote, ada.replica)
    git(remote, "update-ref", f"refs/tapeout/log/{ada.replica}", f"{full}~2")
    report = ben.sync()
    assert (report.quarantined, report.sent) == ((), 1)
    assert tip(remote, ada.replica) == full
    git(remote, "update-ref", "-d", f"refs/tapeout/log/{ada.replica}")
    ben.sync()
    cleo.sync()
    assert_same(ada, cleo)


def test_a_log_that_was_rewritten_is_not_believed(shared: Clones, remote: Path) -> None:
    ada, ben, _ = shared
    line = f'["{ada.replica}.1",1,"eve","evil","created",{{"title":"evil"}}]\n'
    forge(remote, ada.replica, line)
    assert "rewritten" in ben.sync().quarantined[0].reason
    assert ben.titles == ["of ada", "of ben"]


def test_names_that_are_no_replica_are_not_believed(shared: Clones, remote: Path) -> None:
    _, ben, _ = shared
    forge(remote, "evil/../x".replace("/../", "-"), '["evil-x.1",1,"eve","evil","created",{"title":"evil"}]\n')
    assert "not the name of a replica" in ben.sync().quarantined[0].reason
    assert ben.titles == ["of ada", "of ben"]


def test_objects_that_are_missing_on_the_remote_keep_no_other_log_from_coming(shared: Clones, remote: Path) -> None:
    ada, ben, cleo = shared
    commit = pygit2.Repository(str(remote))[tip(remote, ada.replica)].peel(pygit2.Commit)
    blob = str(commit.tree["operations"].id)
    os.unlink(remote / "objects" / blob[:2] / blob[2:])
    report = cleo.sync()
    assert [one.replica for one in report.quarantined] == [ada.replica]
    assert cleo.titles == ["of ben"]
    assert ada.sync(repair=True)
    assert ben.titles == ["of ada", "of ben"]


def test_operations_that_make_no_sense_change_nothing(shared: Clones, remote: Path) -> None:
    ada, ben, cleo = shared
    issue = ada.tracker.issues()[0].id
    number, replica = 100, ada.replica
    lines = []
    for kind, data in (
        ("fields-set", '{"title":["a"]}'), ("fields-set", '{"priority":"high"}'), ("fields-set", '{"priority":1e400}'),
        ("commented", "{}"), ("dependency-added", '{"target":{},"kind":[]}'), ("claimed", '{"owner":1}'),
        ("unheard-of", '{"x":1}'), ("labels-changed", '{"add":7}'), ("change-moved", '{"change":["x"],"state":1}'),
        ("fields-set", '{"title":"good"}'),
    ):  # fmt: skip
        number += 1
        lines.append(f'["{replica}.{number}",{number << 51},"eve","{issue}","{kind}",{data}]\n')
    forge(remote, replica, "".join(lines), parent=tip(remote, replica))
    for clone in (ben, cleo):
        assert clone.sync().quarantined == ()
        assert clone.tracker.issue(issue).title == "good"
        assert clone.tracker.issue(issue).priority == 2
    assert_same(ben, cleo)
    rebuild.rebuild(ben.paths)
    assert_same(ben, cleo)


def test_an_index_from_a_backup_goes_on_as_another_replica(shared: Clones, tmp_path: Path) -> None:
    ada, ben, _ = shared
    ada.tracker.close()
    subprocess.run(["cp", "-a", ada.paths.root, tmp_path / "backup"], check=True)
    ada.tracker = Tracker.open(ada.paths, "ada")
    ada.tracker.create(Draft("after the backup"))
    everywhere(ada, ben)
    ada.tracker.close()
    subprocess.run(["rm", "-r", ada.paths.root], check=True)
    os.rename(tmp_path / "backup", ada.paths.root)
    ada.tracker = Tracker.open(ada.paths, "ada")
    ada.tracker.create(Draft("after the restore"))
    everywhere(ada, ben)
    assert ben.titles == ["after the backup", "after the restore", "of ada", "of ben"]
    assert_same(ada, ben)


def test_an_index_that_was_put_back_in_place_shares_both_of_its_lines(shared: Clones) -> None:
    ada, ben, _ = shared
    ada.tracker.close()
    backup = Path(ada.paths.tracker_db).read_bytes()
    ada.tracker = Tracker.open(ada.paths, "ada")
    ada.tracker.create(Draft("after the backup"))
    everywhere(ada, ben)
    ada.tracker.close()
    Path(ada.paths.tracker_db).write_bytes(backup)
    ada.tracker = Tracker.open(ada.paths, "ada")
    ada.tracker.create(Draft("after the restore"))
    assert not ada.sync().quarantined
    assert not ben.sync().quarantined
    everywhere(ada, ben)
    assert ben.titles == ["after the backup", "after the restore", "of ada", "of ben"]
    assert_same(ada, ben)


SYNCER = """
import sys, pygit2
from tapeout.base.paths import StatePaths, find_repository
from tapeout.tracker import Tracker
from tapeout.tracker.sharing.remote import Remote
paths = StatePaths(sys.argv[1])
with Tracker.open(paths, "x") as tracker:
    tracker.sync(Remote(paths, find_repository(sys.argv[2]), "origin"))
"""


@pytest.mark.parametrize("point", ["sync.fetched", "sync.merged", "sync.adopted", "sync.pushed"])
def test_killed_at_any_step_it_goes_on(shared: Clones, point: str) -> None:
    ada, ben, cleo = shared
    cleo.tracker.create(Draft("of cleo"))
    cleo.tracker.flush()
    process = python(SYNCER, cleo.paths.root, str(cleo.folder), env={faults.CRASH_VARIABLE: point})
    finish(process)
    assert process.returncode == -9
    everywhere(cleo, ada, ben)
    assert_same(ada, ben, cleo)
    assert cleo.titles == ["of ada", "of ben", "of cleo"]


def test_two_syncs_of_one_clone_at_once(shared: Clones) -> None:
    ada, _, cleo = shared
    processes = [python(SYNCER, cleo.paths.root, str(cleo.folder)) for _ in range(4)]
    for process in processes:
        finish(process)
        assert process.returncode == 0
    ada.sync()
    assert_same(ada, cleo)
