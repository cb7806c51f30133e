"""Clones that exchange issues through a git remote, also a damaged one."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tapeout.base import faults
from tapeout.base.errors import Conflict, UsageError
from tapeout.base.paths import Repository, StatePaths, find_repository
from tapeout.tracker import Draft, Tracker, gitlog, rebuild
from tapeout.tracker.sharing import sync
from tapeout.tracker.sharing.leases import HeldElsewhere, SharedLeases
from tapeout.tracker.sharing.remote import Remote, Unreachable
from tapeout.tracker.sharing.sync import SyncReport, write_bundle
from tests.tracker.tools import contents, delete_index, finish, python


def git(folder: str | Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout


class Clone:
    """A clone of the project with a tracker of its own."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.folder = folder / "project"
        subprocess.run(["git", "init", "-q", "-b", "main", self.folder], check=True)
        git(self.folder, "remote", "add", "origin", str(remote))
        self.paths = StatePaths(str(folder / "state"))
        self.tracker = Tracker.open(self.paths, folder.name)

    @property
    def repository(self) -> Repository:
        return find_repository(str(self.folder))

    def remote(self, name: str = "origin") -> Remote:
        return Remote(self.paths, self.repository, name)

    def sync(self, name: str = "origin", *, repair: bool = False) -> SyncReport:
        return self.tracker.sync(self.remote(name), repair=repair)

    @property
    def titles(self) -> list[str]:
        return sorted(issue.title for issue in self.tracker.issues())

    @property
    def replica(self) -> str:
        return gitlog.replicas(self.paths)[-1]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
    return folder


@pytest.fixture
def clones(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Clone, Clone, Clone]]:
    clock = itertools.count(2_000_000_000_000, 10)
    monkeypatch.setattr("time.time", lambda: next(clock) / 1000)
    made = tuple(Clone(tmp_path / name, remote) for name in ("ada", "ben", "cleo"))
    yield made  # type: ignore[misc]
    for one in made:
        one.tracker.close()


Clones = tuple[Clone, Clone, Clone]


def everywhere(*clones: Clone) -> None:
    for clone in (*clones, *clones):
        clone.sync()


def assert_same(*clones: Clone) -> None:
    first = contents(clones[0].paths)
    for clone in clones[1:]:
        assert contents(clone.paths) == first


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


def tip(remote: Path, replica: str) -> str:
    return git(remote, "rev-parse", f"refs/tapeout/log/{replica}").strip()


def forge(remote: Path, replica: str, text: str, *, parent: str | None = None, name: str = "operations") -> str:
    """Put a commit of our own onto a log on the remote."""
    repository = pygit2.Repository(str(remote))
    builder = repository.TreeBuilder()
    builder.insert(name, repository.create_blob(text.encode(errors="surrogateescape")), pygit2.enums.FileMode.BLOB)
    who = pygit2.Signature("eve", "eve@localhost")
    parents = [parent] if parent else []
    commit = repository.create_commit(None, who, who, "forged", builder.write(), parents)
    repository.references.create(f"refs/tapeout/log/{replica}", commit, force=True)
    return str(commit)


@pytest.fixture
def shared(clones: Clones) -> Clones:
    """Ada and Ben have exchanged an issue of each; Cleo has not."""
    ada, ben, _ = clones
    ada.tracker.create(Draft("of ada"))
    ben.tracker.create(Draft("of ben"))
    everywhere(ada, ben)
    return clones


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


# --- leases that are shared through the remote ---


def leases(clone: Clone) -> SharedLeases:
    return SharedLeases(clone.tracker, clone.remote())


def test_of_two_clones_one_gets_the_issue(shared: Clones) -> None:
    ada, ben, _ = shared
    held = leases(ada).take("issue", "a-1")
    with pytest.raises(HeldElsewhere, match="issue is held by a-1 in another clone until 2033-") as raised:
        leases(ben).take("issue", "a-2")
    assert raised.value.details == {"issue": "issue", "owner": "a-1", "expires": held.expires}
    assert (raised.value.code, raised.value.exit_code) == ("lost-claim", 9)
    assert leases(ada).take("issue", "a-3").owner == "a-3"  # the tracker has decided that between the two
    assert [(lease.issue, lease.owner) for lease in leases(ben).all()] == [("issue", "a-3")]


def test_a_lease_that_has_run_out_or_was_given_back_can_be_taken(shared: Clones) -> None:
    ada, ben, _ = shared
    stale = leases(ada).take("issue", "a-1", 1)
    held = leases(ben).take("issue", "a-2")
    with pytest.raises(Conflict, match="taken over by another clone"):
        leases(ada).renew(stale)
    assert not leases(ada).release(stale)
    held = leases(ben).renew(held)
    assert leases(ben).release(held)
    assert leases(ada).take("issue", "a-1").owner == "a-1"


def test_a_push_that_is_refused_while_the_lease_is_ours_is_no_lost_claim(shared: Clones, remote: Path) -> None:
    ada, ben, _ = shared
    held = leases(ada).take("issue", "a-1")
    hook = remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Unreachable, match=r"does not take the lease of issue: .*declined"):
        leases(ada).renew(held)
    with pytest.raises(Unreachable, match=r"does not take the lease of issue: .*declined"):
        leases(ada).release(held)
    hook.unlink()
    leases(ada).renew(held)  # and the answer is lost
    held = leases(ada).renew(held)
    assert leases(ada).release(held)
    with pytest.raises(Conflict, match="not ours any more"):
        leases(ada).renew(held)
    leases(ben).take("issue", "a-2")
    with pytest.raises(Conflict, match="taken over by another clone"):
        leases(ada).renew(held)


def test_a_ref_that_is_no_lease_holds_nobody_off(shared: Clones, remote: Path) -> None:
    ada, _, _ = shared
    forge(remote, "x", "y")
    git(remote, "update-ref", "refs/tapeout/leases/issue", tip(remote, "x"))
    assert leases(ada).all() == []
    assert leases(ada).take("issue", "a-1").owner == "a-1"


TAKER = """
import sys, pygit2
from tapeout.base.errors import Conflict
from tapeout.base.paths import StatePaths, find_repository
from tapeout.tracker import Tracker
from tapeout.tracker.sharing.remote import Remote
from tapeout.tracker.sharing.leases import SharedLeases
paths = StatePaths(sys.argv[1])
with Tracker.open(paths, "x") as tracker:
    shared = SharedLeases(tracker, Remote(paths, find_repository(sys.argv[2]), "origin"))
    for number in range(12):
        try:
            shared.take(f"issue-{number}", sys.argv[3])
            print(number, flush=True)
        except Conflict:
            pass
"""


def test_a_remote_that_takes_no_lease_says_so(shared: Clones, remote: Path) -> None:
    ada, _, _ = shared
    hook = remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $1 in refs/tapeout/leases/*) exit 1;; esac\n")
    hook.chmod(0o755)
    with pytest.raises(Unreachable, match=r"does not take the lease of issue: .*declined"):
        leases(ada).take("issue", "a-1")


@pytest.mark.parametrize(
    "said",
    ['{"owner":"e","expires":1e308,"replicas":[]}', '{"owner":"e","expires":NaN,"replicas":[]}',
     '{"owner":"e","expires":4e9,"replicas":[[]]}', '{"owner":"e","expires":4e9,"replicas":3}', "[]", '"x"',
     "[" * 100_000, '{"owner":"e","expires":[],"replicas":[]}'],
)  # fmt: skip
def test_a_lease_that_makes_no_sense_holds_nobody_off(shared: Clones, remote: Path, said: str) -> None:
    ada, _, _ = shared
    repository = pygit2.Repository(str(remote))
    who = pygit2.Signature("e", "e@e")
    commit = repository.create_commit(None, who, who, said, repository.TreeBuilder().write(), [])
    repository.references.create("refs/tapeout/leases/issue", commit)
    assert leases(ada).all() == []
    assert leases(ada).take("issue", "a-1").owner == "a-1"


def test_clones_that_race_for_issues_win_each_once(shared: Clones) -> None:
    takers = [python(TAKER, clone.paths.root, str(clone.folder), f"a-{n}") for n, clone in enumerate(shared)]
    won = [line for taker in takers for line in finish(taker).split()]
    assert sorted(won, key=int) == [f"{number}" for number in range(12)]


def test_who_holds_an_issue_elsewhere_is_shown_until_then(shared: Clones) -> None:
    ada, _, _ = shared
    issue = ada.tracker.issues()[0].id
    expires = 2_000_000_000.0 + 10_000
    ada.tracker.note_held_elsewhere(issue, "a-far", expires)
    assert issue not in [one.id for one in ada.tracker.ready()]
    with pytest.raises(Conflict, match="held by a-far until"):
        ada.tracker.claim(issue, "a-1")
