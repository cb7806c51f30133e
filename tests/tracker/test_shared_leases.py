"""Leases that clones share through a git remote."""

from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import Conflict
from tapeout.tracker.sharing.leases import HeldElsewhere, SharedLeases
from tapeout.tracker.sharing.remote import Unreachable
from tests.tracker.cloning import Clone, Clones, forge, git, tip
from tests.tracker.tools import finish, python


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
