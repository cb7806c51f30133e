"""What becomes of it when two clones write about one issue without knowing of each other."""

import itertools
import shutil
from pathlib import Path

import pytest

from tapeout.base.errors import TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, rebuild
from tests.tracker.exchange import deliver, exchange, operations, rows


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Tracker, Tracker]:
    """Two clones that know the same issue; no two of their operations fall into the same millisecond."""
    clock = itertools.count(2_000_000_000_000, 10)
    monkeypatch.setattr("time.time", lambda: next(clock) / 1000)
    ada = Tracker.open(StatePaths(str(tmp_path / "ada")), "ada")
    ben = Tracker.open(StatePaths(str(tmp_path / "ben")), "ben")
    ada.create(Draft("shared"))
    exchange(ada, ben)
    return ada, ben


def test_edits_of_different_fields_both_survive(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    ada.edit(issue, {"title": "by ada"}, add_labels=["ada"])
    ben.edit(issue, {"priority": 0}, add_labels=["ben"])
    exchange(ada, ben)
    for clone in two:
        found = clone.issue(issue)
        assert (found.title, found.priority, found.labels) == ("by ada", 0, ("ada", "ben"))


def test_of_two_edits_of_one_field_the_later_counts_and_the_other_is_in_the_history(
    two: tuple[Tracker, Tracker],
) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    ben.edit(issue, {"title": "by ben"})
    ada.edit(issue, {"title": "by ada"})
    exchange(ada, ben)
    for clone in two:
        assert clone.issue(issue).title == "by ada"
        titles = [event.data.get("title") for event in clone.events(issue=issue)]
        assert {"by ada", "by ben"} <= set(titles)


def test_a_circle_made_by_a_merge_is_told_of_and_hides_no_issue(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    one = ada.issues()[0].id
    other = ada.create(Draft("other")).id
    exchange(ada, ben)
    ada.add_dependency(one, other)
    ben.add_dependency(other, one)
    exchange(ada, ben)
    from tapeout.tracker import waiting

    for clone in two:
        ((ignored, way),) = waiting.circles(clone._connection)
        assert (ignored.issue, ignored.target) == (other, one)  # the newer of the two
        assert way == [one, other]
        assert [issue.id for issue in clone.ready()] == [other]
        clone.close_issue(other)
        assert [issue.id for issue in clone.ready()] == [one]
        clone.reopen(other)
    exchange(ada, ben)
    ada.remove_dependency(one, other)
    exchange(ada, ben)
    for clone in two:
        assert waiting.circles(clone._connection) == []
        assert [issue.id for issue in clone.ready()] == [one]


def test_parents_of_each_other_are_told_of(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    one = ada.issues()[0].id
    other = ada.create(Draft("other")).id
    exchange(ada, ben)
    ada.edit(one, {"parent": other})
    ben.edit(other, {"parent": one})
    exchange(ada, ben)
    from tapeout.tracker import waiting

    for clone in two:
        assert waiting.parent_circles(clone._connection) == [sorted([one, other])]
        assert len(clone.ready()) == 2


def test_the_earlier_of_two_claims_holds_and_the_other_is_refused(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    first = ada.claim(issue, "a-ada", 600)
    late = ben.claim(issue, "a-ben", 600)
    exchange(ada, ben)
    for clone in two:
        assert clone.issue(issue).lease_owner == "a-ada"
        clone.renew(first, 600)
        with pytest.raises(TapeoutError, match="held by a-ada"):
            clone.renew(late, 600)


def test_a_lease_that_was_renewed_is_not_shortened_by_a_merge(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    ben.comment(issue, "older than the claim")
    lease = ada.claim(issue, "a-ada", 0)
    renewed = ada.renew(lease, 600)
    exchange(ada, ben)
    assert ada.issue(issue).lease_expires == renewed.expires


def test_a_renewal_that_others_cannot_know_of_does_not_make_two_holders(two: tuple[Tracker, Tracker]) -> None:
    """Renewals are in no log, so whose claim holds after a merge must not depend on them."""
    ada, ben = two
    issue = ada.issues()[0].id
    renewed = ada.renew(ada.claim(issue, "a-ada", 0), 600)
    late = ben.claim(issue, "a-ben", 600)
    exchange(ada, ben)
    assert ada.issue(issue).lease_owner == ben.issue(issue).lease_owner == "a-ben"
    with pytest.raises(TapeoutError, match=r"taken over: .* held by a-ben"):
        ada.renew(renewed, 600)
    ben.renew(late, 600)


@pytest.mark.parametrize("how", ["by hand", "by force", "attempt"])
def test_who_gives_back_a_claim_that_did_not_hold_gives_back_no_other(two: tuple[Tracker, Tracker], how: str) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    first = ada.claim(issue, "a-ada", 600)
    if how == "by force":
        ada.release(first)
        first = ada.claim(issue, "a-ada", 600)
    late = ben.claim(issue, "a-ben", 600)
    if how == "attempt":
        ben.start_attempt(late, "a-ben", agent="x", host="h", pid=1, pid_started=0.0)
        ben.end_attempt(late, "a-ben", "failed", "it did not work")
    else:
        ben.release_issue(issue, "cleo" if how == "by force" else "a-ben", force=True)
    exchange(ada, ben)
    for clone in two:
        assert clone.issue(issue).lease_owner == "a-ada"
        clone.renew(first, 600)


def test_what_has_landed_stays_landed_whatever_others_decided_meanwhile(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    lease = ada.claim(issue, "a-1")
    ada.start_attempt(lease, "a-1", agent="x", host="h", pid=1, pid_started=0.0)
    change = ada.submit(lease, "a-1", commit="c", base="b")
    ada.set_gating(change.id, "m")
    ada.record_verdict(change.id, "m", {"passed": True, "reason": ""})
    ada.record_landed(change.id, "m")
    ben.close_issue(issue, "wontfix")
    exchange(ada, ben)
    for clone in two:
        assert clone.issue(issue).resolution == "landed"


def test_attempts_and_changes_of_another_clone_are_not_ours_to_run(two: tuple[Tracker, Tracker]) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    lease = ada.claim(issue, "a-1")
    ada.start_attempt(lease, "a-1", agent="x", host="h", pid=1, pid_started=0.0)
    ada.submit(lease, "a-1", commit="c", base="b")
    exchange(ada, ben)
    assert [one.id for one in ben.attempts(issue)] == ["a-1"]
    assert (len(ada.attempts(running=True)), len(ben.attempts(running=True))) == (1, 0)
    assert (len(ada.changes()), len(ben.changes())) == (1, 0)
    assert ben.ready() == []  # it waits for its verdict, there


def test_a_wrong_clock_of_one_clone_moves_only_the_issues_that_it_wrote_to(
    two: tuple[Tracker, Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = two
    issue = ada.issues()[0].id
    other = ada.create(Draft("other")).id
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: 4e9)
        ben.edit(issue, {"title": "from the future"})
    deliver(ada, operations(ben), now=2e9)
    ada.edit(issue, {"title": "by ada"})
    ada.edit(other, {"title": "also by ada"})
    assert ada.issue(issue).title == "by ada"  # whoever saw it can still change it
    assert ada.issue(other).updated_at < 3e9
    deliver(ben, operations(ada))
    assert ben.issue(issue).title == "by ada"


def test_a_copied_state_directory_is_a_replica_of_its_own(two: tuple[Tracker, Tracker], tmp_path: Path) -> None:
    ada, ben = two
    ada.flush()
    ada.close()
    shutil.copytree(ada.paths.root, tmp_path / "copy")
    with Tracker.open(ada.paths, "ada") as original, Tracker.open(StatePaths(str(tmp_path / "copy")), "eve") as copy:
        original.create(Draft("in the original"))
        copy.create(Draft("in the copy"))
        exchange(original, copy, ben)
        assert rows(original) == rows(copy) == rows(ben)
        assert len(original.issues()) == 3


def test_a_clock_set_back_a_year_locks_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 2e9
    monkeypatch.setattr("time.time", lambda: now)
    with Tracker.open(StatePaths(str(tmp_path / "one")), "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        tracker.claim(issue, "a-1", 60)
        now -= 365 * 86400
        assert [one.id for one in tracker.ready()] == [issue]
        lease = tracker.claim_next("a-2", 60)
        assert tracker.issue(issue).is_leased(now)
        assert tracker.ready() == []
        tracker.edit(issue, {"title": "later"})
        tracker.release(lease)
        assert tracker.issue(issue).title == "later"


def test_an_index_made_again_knows_its_own_attempts(two: tuple[Tracker, Tracker]) -> None:
    ada, _ = two
    lease = ada.claim(ada.issues()[0].id, "a-1")
    ada.start_attempt(lease, "a-1", agent="x", host="h", pid=1, pid_started=0.0)
    ada.flush()
    rebuild.rebuild(ada.paths)
    assert [one.id for one in ada.attempts(running=True)] == ["a-1"]
