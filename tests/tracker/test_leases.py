"""One live lease an issue: fencing of leases, attempts and changes."""

import time
from collections.abc import Callable

import pytest

from tapeout.base.errors import Conflict, LostClaim, NotAllowed, NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import FAILURES, Attempt, Lease
from tests.tracker.tools import delete_index


def begin(tracker: Tracker, lease: Lease, attempt: str) -> Attempt:
    return tracker.start_attempt(lease, attempt, agent="codex", host="h", pid=1, pid_started=0.5)


WRITES: list[Callable[[Tracker, Lease], object]] = [
    lambda tracker, lease: begin(tracker, lease, "a-other"),
    lambda tracker, lease: tracker.update_attempt(lease, "a-1", rounds=1),
    lambda tracker, lease: tracker.note_attempt("a-1", "handoff", {}, lease=lease),
    lambda tracker, lease: tracker.submit(lease, "a-1", commit="c1", base="b1"),
    lambda tracker, lease: tracker.end_attempt(lease, "a-1", "failed", "x"),
    lambda tracker, lease: tracker.renew(lease),
    lambda tracker, lease: tracker.release(lease),
]
NAMES = ["start", "update", "note", "submit", "end", "renew", "release"]

TAKEN: list[Callable[[Tracker, Lease], object]] = [
    lambda tracker, lease: tracker.claim(lease.issue, "a-2"),
    lambda tracker, lease: tracker.release_issue(lease.issue, "ada", force=True),
    lambda tracker, lease: tracker.release_issue(lease.issue, "a-1"),
    lambda tracker, lease: tracker.end_dead_attempt("a-1", "interrupted", "died", head=None),
    lambda tracker, lease: (tracker.close_issue(lease.issue), tracker.reopen(lease.issue)),
]


@pytest.mark.parametrize("write", WRITES, ids=NAMES)
@pytest.mark.parametrize("take", TAKEN, ids=["taken-over", "forced", "released", "declared-dead", "reopened"])
def test_a_stale_holder_can_write_nothing(
    tracker: Tracker,
    take: Callable[[Tracker, Lease], object],
    write: Callable[[Tracker, Lease], object],
) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1", 0)
    begin(tracker, lease, "a-1")
    take(tracker, lease)
    before = tracker.events(), tracker.attempts(), tracker.changes(), tracker.issue(issue.id)
    with pytest.raises(Conflict):
        write(tracker, lease)
    assert (tracker.events(), tracker.attempts(), tracker.changes(), tracker.issue(issue.id)) == before


@pytest.mark.parametrize("write", WRITES[:-1], ids=NAMES[:-1])
def test_a_token_alone_is_not_a_lease(tracker: Tracker, write: Callable[[Tracker, Lease], object]) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    with pytest.raises(Conflict):
        write(tracker, lease._replace(owner="a-2"))


def test_a_held_issue_says_who_holds_it_until_when(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1", 60)
    with pytest.raises(Conflict) as caught:
        tracker.claim(issue.id, "a-2")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(lease.expires))
    assert caught.value.message == f"{issue.id} is held by a-1 until {until}"
    with pytest.raises(Conflict) as again:
        tracker.claim(issue.id, "a-1")
    assert again.value.hint == "you hold it already"


def test_an_expired_lease_is_taken_over_with_a_higher_token(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    first = tracker.claim(issue.id, "a-1", 0)
    second = tracker.claim(issue.id, "a-2")
    assert second.token > first.token
    assert tracker.issue(issue.id).lease_owner == "a-2"


def test_an_expired_lease_that_nobody_took_can_be_renewed(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.renew(tracker.claim(issue.id, "a-1", 0), 60)
    assert tracker.issue(issue.id).lease_expires == lease.expires > time.time()
    with pytest.raises(Conflict):
        tracker.claim(issue.id, "a-2")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e9])
def test_a_lease_has_a_length(tracker: Tracker, seconds: float) -> None:
    issue = tracker.create(Draft("one"))
    with pytest.raises(UsageError, match="a lease of"):
        tracker.claim(issue.id, "a-1", seconds)
    lease = tracker.claim(issue.id, "a-1")
    with pytest.raises(UsageError, match="a lease of"):
        tracker.renew(lease, seconds)
    assert tracker.issue(issue.id).lease_expires == lease.expires


def test_the_next_issue_is_the_most_urgent_ready_one(tracker: Tracker) -> None:
    tracker.create_many([Draft("later"), Draft("now", priority=0)])
    assert tracker.issue(tracker.claim_next("a-1").issue).title == "now"
    assert tracker.issue(tracker.claim_next("a-2").issue).title == "later"
    with pytest.raises(NotFound):
        tracker.claim_next("a-3")


def test_closed_issues_cannot_be_claimed_and_free_ones_not_released(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    with pytest.raises(NotAllowed, match="not claimed"):
        tracker.release_issue(issue.id, "ada", force=True)
    tracker.close_issue(issue.id)
    with pytest.raises(NotAllowed, match="is closed"):
        tracker.claim(issue.id, "ada")


def test_somebody_elses_claim_is_released_only_by_force(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    tracker.claim(issue.id, "a-1")
    with pytest.raises(Conflict, match="held by a-1"):
        tracker.release_issue(issue.id, "ada")
    assert tracker.release_issue(issue.id, "ada", force=True).lease_owner is None


def test_an_attempt_goes_from_claim_to_landing(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    tracker.update_attempt(lease, "a-1", state="working", rounds=1, head="c1")
    change = tracker.submit(lease, "a-1", commit="c1", base="b1")
    with pytest.raises(NotAllowed, match="in the queue already"):
        tracker.submit(lease, "a-1", commit="c2", base="b1")
    tracker.set_gating(change.id, "m1")
    tracker.record_verdict(change.id, "m1", {"passed": True, "reason": "green"})
    tracker.record_landed(change.id, "m1")
    landed = tracker.issue(issue.id)
    assert (landed.status, landed.resolution, landed.landed_commit) == ("closed", "landed", "m1")
    assert tracker.renew(lease).owner == "a-1"
    tracker.end_attempt(lease, "a-1", "landed", "landed", head="c1")
    attempt = tracker.attempt("a-1")
    assert (attempt.state, attempt.outcome, attempt.rounds, attempt.head) == ("ended", "landed", 1, "c1")
    with pytest.raises(NotAllowed, match="ended already"):
        tracker.end_attempt(lease, "a-1", "failed", "x")


def test_a_change_of_a_closed_issue_is_withdrawn_and_none_can_be_added(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    change = tracker.submit(lease, "a-1", commit="c1", base="b1")
    tracker.close_issue(issue.id)
    assert tracker.change(change.id).state == "withdrawn"
    for move in (
        lambda: tracker.set_gating(change.id, "m"),
        lambda: tracker.requeue(change.id),
        lambda: tracker.submit(lease, "a-1", commit="c2", base="b1"),
    ):
        with pytest.raises(NotAllowed):
            move()


def test_what_main_contains_has_landed_though_it_was_withdrawn_meanwhile(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    change = tracker.submit(lease, "a-1", commit="c1", base="b1")
    tracker.close_issue(issue.id, "wontfix")
    tracker.record_landed(change.id, "m")
    assert tracker.change(change.id).state == "landed"
    assert (tracker.issue(issue.id).status, tracker.issue(issue.id).resolution) == ("closed", "landed")


def test_the_queue_is_in_order_of_urgency_then_of_submission(tracker: Tracker) -> None:
    submitted = []
    for number, priority in enumerate((2, 2, 0, 2)):
        issue = tracker.create(Draft(f"{number}", priority=priority))
        lease = tracker.claim(issue.id, f"a-{number}")
        begin(tracker, lease, f"a-{number}")
        submitted.append(tracker.submit(lease, f"a-{number}", commit="c", base="b").id)
    assert [change.id for change in tracker.changes()] == [submitted[n] for n in (2, 0, 1, 3)]
    assert titles_ready(tracker) == []


def titles_ready(tracker: Tracker) -> list[str]:
    return [issue.title for issue in tracker.ready()]


def test_reopening_gives_a_full_budget(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e9)  # everything in one moment: order must not come from it
    issue = tracker.create(Draft("one"))
    for number in (1, 2):
        lease = tracker.claim(issue.id, f"a-{number}")
        begin(tracker, lease, f"a-{number}")
        tracker.end_attempt(lease, f"a-{number}", "failed", "x", give_up="no luck" if number == 2 else None)
    assert [one.id for one in tracker.budget_attempts(issue.id)] == ["a-1", "a-2"]
    assert tracker.issue(issue.id).needs_person == "no luck"
    assert titles_ready(tracker) == []
    tracker.reopen(issue.id)
    assert titles_ready(tracker) == ["one"]
    assert tracker.budget_attempts(issue.id) == []
    begin(tracker, tracker.claim(issue.id, "a-3"), "a-3")
    assert [(one.id, one.number) for one in tracker.budget_attempts(issue.id)] == [("a-3", 3)]


def test_what_is_noted_of_an_attempt_is_kept_by_topic(paths: StatePaths, tracker: Tracker) -> None:
    issue = tracker.create(Draft("One"))
    lease, begun = tracker.begin_attempt(issue.id, "a-1", 60, agent="x", host="h", pid=1, pid_started=1.0)
    tracker.note_attempt("a-1", "handoff", {"goal": "old"}, lease=lease)
    tracker.note_attempt("a-1", "handoff", {"goal": "new", "files": ["a.py"]}, lease=lease)
    tracker.note_attempt("a-1", "usage", {"used": 7}, lease=lease)
    with pytest.raises(Conflict):
        tracker.note_attempt("a-1", "usage", {"used": 8}, lease=lease._replace(token=lease.token + 1))
    tracker.end_attempt(lease, "a-1", "handoff", "full")
    tracker.note_attempt("a-1", "salvaged", {})
    expected = {"handoff": {"goal": "new", "files": ["a.py"]}, "usage": {"used": 7}, "salvaged": {}}
    assert tracker.attempt_notes(begun.id) == expected
    assert [(note.attempt, note.issue) for note in tracker.noted("handoff")] == [("a-1", issue.id)]
    tracker.close()
    delete_index(paths)
    with Tracker.open(paths, "again") as rebuilt:
        assert rebuilt.attempt_notes("a-1") == expected


def test_attempts_are_found_by_how_they_failed(paths: StatePaths, tracker: Tracker) -> None:
    issues = [tracker.create(Draft(f"Issue {number}")).id for number in range(3)]
    for number, issue in enumerate(issues):
        lease, _ = tracker.begin_attempt(issue, f"a-{number}", 60, agent="x", host="h", pid=1, pid_started=1.0)
        tracker.note_attempt(f"a-{number}", FAILURES, {"signatures": ["old"]}, lease=lease)
        tracker.note_attempt(f"a-{number}", FAILURES, {"signatures": ["aa11", f"bb{number}"]}, lease=lease)
    change = tracker.submit(lease, "a-2", commit="c", base="b")
    tracker.record_landed(change.id, "m" * 40)
    assert [(one.signature, one.issues, one.landed) for one in tracker.failure_counts(1)] == [("aa11", 3, 1)]
    tracker.close()
    delete_index(paths)
    with Tracker.open(paths, "again") as rebuilt:
        assert {one.signature for one in rebuilt.failure_counts()} == {"aa11", "bb2", "bb1", "bb0"}
        (found,) = rebuilt.recurrences(["aa11", "bb1"], besides=issues[0], landed=True)
        assert (found.issue, found.attempt, found.landed_commit) == (issues[2], "a-2", "m" * 40)
        assert len(rebuilt.recurrences(["aa11"], 2)) == 2
        assert rebuilt.failure_signature("aa") == "aa11"
        with pytest.raises(UsageError, match="several"):
            rebuilt.failure_signature("bb")
        with pytest.raises(NotFound):
            rebuilt.failure_signature("old")


def test_a_note_of_failures_that_makes_no_sense_is_no_error(tracker: Tracker) -> None:
    issue = tracker.create(Draft("One"))
    lease, _ = tracker.begin_attempt(issue.id, "a-1", 60, agent="x", host="h", pid=1, pid_started=1.0)
    tracker.note_attempt("a-1", FAILURES, {"signatures": "rubbish"}, lease=lease)
    assert tracker.failure_counts() == []


def test_a_dead_attempt_that_landed_ends_as_landed(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    tracker.record_landed(tracker.submit(lease, "a-1", commit="c", base="b").id, "m")
    for _ in range(2):
        tracker.end_dead_attempt("a-1", "interrupted", "died", head="c", give_up="x")
    assert tracker.attempt("a-1").outcome == "landed"
    assert tracker.issue(issue.id).needs_person is None


def test_a_dead_attempt_does_not_take_anothers_lease(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    begin(tracker, tracker.claim(issue.id, "a-1", 0), "a-1")
    lease = tracker.claim(issue.id, "a-2")
    tracker.end_dead_attempt("a-1", "interrupted", "died", head=None, give_up="x")
    assert tracker.issue(issue.id).lease_owner == "a-2"
    assert tracker.issue(issue.id).needs_person is None
    tracker.renew(lease)


def test_activity_is_shown_until_the_attempt_ends(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    lease = tracker.claim(issue.id, "a-1")
    begin(tracker, lease, "a-1")
    tracker.set_activity("a-1", "reads", used=10, window=100)
    tracker.set_activity("a-1", "writes", state="waiting", waits_for="gate")
    shown = tracker.activity()["a-1"]
    assert (shown.text, shown.used, shown.window) == ("writes", 10, 100)
    assert (shown.state, shown.waits_for) == ("waiting", "gate")
    tracker.end_attempt(lease, "a-1", "failed", "x")
    assert tracker.activity() == {}


def test_the_queue_stops_and_starts(tracker: Tracker) -> None:
    assert tracker.queue_stopped() is None
    tracker.stop_queue("no space")
    tracker.stop_queue("no tool")
    assert tracker.queue_stopped() == "no tool"
    tracker.start_queue()
    assert tracker.queue_stopped() is None


def test_under_a_lease_nothing_is_written_once_it_is_lost(tracker: Tracker) -> None:
    issue, other = (tracker.create(Draft(title)).id for title in ("one", "other"))
    mine = tracker.claim(issue, "ada", 0)
    with tracker.under_lease("ada", mine.token):
        tracker.comment(issue, "still mine: it ran out, and nobody took it")
        with pytest.raises(LostClaim, match="held by nobody now"):
            tracker.comment(other, "never claimed")
    theirs = tracker.claim(issue, "ben", 60)
    before = tracker.events()
    late: list[Callable[[], object]] = [
        lambda: tracker.edit(issue, {"title": "late"}),
        lambda: tracker.comment(issue, "late"),
        lambda: tracker.close_issue(issue),
        lambda: tracker.edit_many([issue], {"priority": 0}, add_labels=["late"]),
        lambda: tracker.add_dependency(issue, other),
    ]
    with tracker.under_lease("ada", mine.token):
        for write in late:
            with pytest.raises(LostClaim, match=f"{issue} is held by ben until ") as raised:
                write()
            assert raised.value.details == {"issue": issue, "owner": "ben", "expires": theirs.expires}
    assert tracker.events() == before
    with tracker.under_lease("ben", theirs.token):
        assert tracker.close_issue(issue, note="done").status == "closed"


def test_under_a_lease_new_issues_can_be_filed(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    lease = tracker.claim(issue, "ada", 60)
    with tracker.under_lease("ada", lease.token):
        found = tracker.create(Draft("found on the way", links=((issue, "discovered-from"),)))
        tracker.comment(issue, "still mine")
    assert [one.issue for one in tracker.dependencies(found.id)] == [found.id]
