"""Filing, editing, connecting and closing issues through the tracker's public interface."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tapeout.base.errors import NotAllowed, NotFound, TapeoutError, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Filter, Tracker
from tapeout.tracker.store import MAX_TEXT_BYTES


def titles(tracker: Tracker) -> list[str]:
    return [issue.title for issue in tracker.ready()]


def test_issues_filed_together_stay_in_their_order(tracker: Tracker) -> None:
    tracker.create_many([Draft(f"{number}") for number in range(40)])
    assert titles(tracker) == [f"{number}" for number in range(40)]
    assert [issue.title for issue in tracker.issues()] == [f"{number}" for number in range(40)]


def test_urgent_issues_come_first(tracker: Tracker) -> None:
    tracker.create_many([Draft("later", priority=3), Draft("now", priority=0), Draft("soon", priority=1)])
    assert titles(tracker) == ["now", "soon", "later"]


def test_order_does_not_depend_on_a_clock_that_was_set_back(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    issue = tracker.create(Draft("first"))
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    for number in range(12):
        tracker.comment(issue.id, f"{number}")
        tracker.create(Draft(f"{number}"))
    assert [comment.text for comment in tracker.comments(issue.id)] == [f"{number}" for number in range(12)]
    assert titles(tracker) == ["first", *(f"{number}" for number in range(12))]


def test_drafts_refer_to_each_other_by_local_name(tracker: Tracker) -> None:
    second, epic, first = tracker.create_many(
        [
            Draft("second", depends_on=("one",), parent="big"),
            Draft("epic", type="epic", name="big"),
            Draft("first", name="one"),
        ]
    )
    assert tracker.blockers(second.id) == [first.id]
    assert tracker.issue(second.id).parent == epic.id
    assert titles(tracker) == ["first"]


def test_many_issues_with_local_names_are_filed_in_one_go(tracker: Tracker) -> None:
    chain = [Draft(f"{n}", name=f"n{n}", depends_on=(f"n{n - 1}",) if n else ()) for n in range(3000)]
    tracker.create_many(chain)
    assert titles(tracker) == ["0"]


@pytest.mark.parametrize(
    "drafts",
    [
        [Draft("a", name="a", depends_on=("a",))],
        [Draft("a", name="a", depends_on=("b",)), Draft("b", name="b", depends_on=("a",))],
        [Draft("a", name="a", parent="a")],
        [Draft("a", name="a", parent="b"), Draft("b", name="b", parent="c"), Draft("c", name="c", parent="a")],
        [Draft("a", name="a"), Draft("b", name="a")],
        [Draft("fine"), Draft("")],
        [Draft("fine"), Draft("bad", priority=5)],
        [Draft("fine"), Draft("bad", priority=True)],
        [Draft("fine"), Draft("bad", labels=("two words",))],
    ],
)
def test_either_all_issues_are_filed_or_none(tracker: Tracker, drafts: list[Draft]) -> None:
    with pytest.raises(UsageError):
        tracker.create_many(drafts)
    assert tracker.issues() == []
    assert tracker.events() == []


def test_an_unknown_dependency_files_nothing(tracker: Tracker) -> None:
    with pytest.raises(NotFound):
        tracker.create_many([Draft("fine"), Draft("bad", depends_on=("zzzz",))])
    assert tracker.issues() == []


def test_a_parent_cannot_be_below_its_child(tracker: Tracker) -> None:
    top = tracker.create(Draft("top"))
    middle = tracker.create(Draft("middle", parent=top.id))
    bottom = tracker.create(Draft("bottom", parent=middle.id))
    for parent in (top, middle, bottom):
        with pytest.raises(NotAllowed):
            tracker.edit(top.id, {"parent": parent.id})
    assert tracker.edit(bottom.id, {"parent": top.id}).parent == top.id


@pytest.mark.parametrize("field", ["parent", "agent", "assignee"])
def test_an_empty_text_clears_a_field(tracker: Tracker, field: str) -> None:
    other = tracker.create(Draft("other"))
    filled: dict[str, Any] = {field: other.id}
    issue = tracker.create(Draft("one", **filled))
    assert getattr(issue, field) == other.id
    assert getattr(tracker.edit(issue.id, {field: ""}), field) is None
    assert tracker.issues(Filter(parent=other.id)) == []


def test_every_field_can_be_changed(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    fields: dict[str, Any] = {"title": "two", "body": "b", "acceptance": "a", "type": "bug", "priority": 0}
    fields |= {"agent": "codex", "assignee": "ada", "deferred_until": 5.0}
    edited = tracker.edit(issue.id, fields | {"scope": ["src/**"]}, add_labels=["x", "y"])
    assert {name: getattr(edited, name) for name in fields} == fields
    assert (edited.scope, edited.labels) == (("src/**",), ("x", "y"))
    assert tracker.edit(issue.id, {}, add_labels=["z"], remove_labels=["x", "none"]).labels == ("y", "z")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"title": " \t"}, "title is empty"),
        ({"title": "x" * 301}, "301 characters"),
        ({"title": "\x1b[31mred"}, "control characters"),
        ({"title": "a\x9bb"}, "control characters"),
        ({"body": "a\0b"}, "NUL"),
        ({"body": "a\udcffb"}, "UTF-8"),
        ({"body": "x" * (MAX_TEXT_BYTES + 1)}, "1,000,001 bytes"),
        ({"acceptance": "ä" * (MAX_TEXT_BYTES // 2 + 1)}, "1,000,002 bytes"),
        ({"type": "story"}, "not an issue type"),
        ({"priority": 5}, "not a priority"),
        ({"priority": -1}, "not a priority"),
        ({"priority": 1.0}, "not a priority"),
        ({"priority": True}, "not a priority"),
    ],
)
def test_a_field_that_is_not_valid_is_refused(tracker: Tracker, fields: dict[str, Any], says: str) -> None:
    issue = tracker.create(Draft("one"))
    with pytest.raises(UsageError, match=says):
        tracker.edit(issue.id, fields)
    assert tracker.issue(issue.id) == issue


@pytest.mark.parametrize("label", ["", "a b", "a,b", "a\nb", "x" * 81])
def test_a_label_that_is_not_valid_is_refused(tracker: Tracker, label: str) -> None:
    with pytest.raises(UsageError, match="not a label"):
        tracker.create(Draft("one", labels=(label,)))


def test_a_text_of_the_greatest_length_is_stored(tracker: Tracker) -> None:
    body = "ä" * (MAX_TEXT_BYTES // 2)
    assert tracker.issue(tracker.create(Draft("one", body=body)).id).body == body


def test_text_that_is_no_unicode_is_stored_as_far_as_it_is(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    tracker.record("published", {"path": "caf\udce9.py"}, issue.id)
    tracker.edit(issue.id, {}, remove_labels=["\udcff"])
    assert tracker.claim(issue.id, "ann\udce9").owner == "ann\udce9"
    assert tracker.issue(issue.id).lease_owner == "ann?"


def test_dependencies_block_until_they_close(tracker: Tracker) -> None:
    first, second = tracker.create_many([Draft("first"), Draft("second")])
    tracker.add_dependency(second.id, first.id)
    assert titles(tracker) == ["first"]
    assert tracker.issue(second.id).open_blockers == 1
    tracker.close_issue(first.id)
    assert titles(tracker) == ["second"]
    tracker.reopen(first.id)
    assert titles(tracker) == ["first"]
    tracker.remove_dependency(second.id, first.id)
    assert titles(tracker) == ["first", "second"]


def test_only_blocking_dependencies_block(tracker: Tracker) -> None:
    first, second = tracker.create_many([Draft("first"), Draft("second")])
    for kind in ("related", "discovered-from", "duplicates"):
        tracker.add_dependency(second.id, first.id, kind)
    assert titles(tracker) == ["first", "second"]
    assert len(tracker.dependencies(second.id)) == 3


def test_nobody_waits_for_himself(tracker: Tracker) -> None:
    a, b, c = (tracker.create(Draft(name)).id for name in "abc")
    tracker.add_dependency(a, b)
    tracker.add_dependency(b, c)
    for issue, target in ((a, a), (b, a), (c, a), (c, b)):
        with pytest.raises(NotAllowed):
            tracker.add_dependency(issue, target)
    with pytest.raises(NotAllowed):
        tracker.add_dependency(a, a, "related")


def test_removing_a_dependency_that_is_not_there_changes_nothing(tracker: Tracker) -> None:
    first, second = tracker.create_many([Draft("first"), Draft("second")])
    tracker.remove_dependency(second.id, first.id)
    assert [event.kind for event in tracker.events()] == ["created", "created"]


def test_an_issue_is_closed_once(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    closed = tracker.close_issue(issue.id, "wontfix", "no need")
    assert (closed.status, closed.resolution) == ("closed", "wontfix")
    assert [comment.text for comment in tracker.comments(issue.id)] == ["no need"]
    with pytest.raises(NotAllowed, match="closed already"):
        tracker.close_issue(issue.id)
    assert tracker.reopen(issue.id).status == "open"
    with pytest.raises(NotAllowed, match="open already"):
        tracker.reopen(issue.id)


@pytest.mark.parametrize(("resolution", "error"), [("landed", NotAllowed), ("finished", UsageError)])
def test_nobodys_word_lands_an_issue(tracker: Tracker, resolution: str, error: type[TapeoutError]) -> None:
    issue = tracker.create(Draft("one"))
    with pytest.raises(error):
        tracker.close_issue(issue.id, resolution)
    assert tracker.issue(issue.id).status == "open"


def test_a_prefix_means_the_one_issue_that_it_fits(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = iter(["abcd000000", "abce000000", "abcd1"])
    monkeypatch.setattr("tapeout.tracker.commands.issues.new_id", lambda: next(fresh))
    tracker.create_many([Draft("one"), Draft("two"), Draft("three")])
    assert tracker.resolve("abce") == "abce000000"
    assert tracker.resolve(" #ABCE ") == "abce000000"
    assert tracker.resolve("abcd1") == "abcd1"
    with pytest.raises(UsageError) as caught:
        tracker.resolve("abcd")
    assert all(part in caught.value.message for part in ("abcd000000 (one)", "abcd1 (three)"))
    assert "two" not in caught.value.message


@pytest.mark.parametrize("prefix", ["", " ", "#", "zzzz", "%", "_", "a' OR 1", "ä", "\udcff", "\x7f", "a\0"])
def test_a_prefix_that_fits_nothing_is_not_found(tracker: Tracker, prefix: str) -> None:
    issue = tracker.create(Draft("one"))
    for look in (tracker.resolve, tracker.issue, tracker.attempt):
        with pytest.raises(NotFound):
            look(prefix)
    assert tracker.issues() == [issue]


def test_deferral_and_leases_hide_an_issue_until_they_end(tracker: Tracker) -> None:
    now = time.time()
    deferred, leased = tracker.create_many([Draft("deferred", deferred_until=now + 1000), Draft("leased")])
    tracker.claim(leased.id, "ada", 2000)
    assert titles(tracker) == []
    assert [issue.title for issue in tracker.ready(now=now + 1001)] == ["deferred"]
    assert [issue.title for issue in tracker.ready(now=now + 2100)] == ["deferred", "leased"]
    assert tracker.next_wake() == pytest.approx(now + 1000, abs=1)
    assert (tracker.counts().ready, tracker.counts().deferred, tracker.counts().leased) == (0, 1, 1)
    assert deferred.state(now) == "deferred"


def test_what_the_floor_asks_all_the_time_costs_the_same_however_many_issues_there_are(tracker: Tracker) -> None:
    def steps() -> int:
        """Hundreds of steps of SQLite's virtual machine: no clock is asked."""
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        tracker._connection.set_progress_handler(count, 100)
        tracker.next_wake(), tracker.ready(limit=4), tracker.changes(), tracker.attempts(running=True)
        tracker._connection.set_progress_handler(None, 0)
        return counted

    later = time.time() + 1000
    tracker.create_many([Draft("ready"), Draft("deferred", deferred_until=later)] * 10)
    few = steps()
    tracker.create_many([Draft("ready"), Draft("deferred", deferred_until=later + 1)] * 1000)
    assert steps() <= few + 5
    assert tracker.next_wake() == pytest.approx(later, abs=1)


def test_epics_are_never_ready(tracker: Tracker) -> None:
    tracker.create(Draft("epic", type="epic"))
    assert titles(tracker) == []


def test_filters_narrow_a_listing(tracker: Tracker) -> None:
    epic = tracker.create(Draft("epic", type="epic"))
    tracker.create_many([Draft("a", labels=("x",), parent=epic.id), Draft("b", type="bug"), Draft("c")])
    tracker.close_issue(tracker.issues(Filter(type="bug"))[0].id)

    def found(**wanted: Any) -> list[str]:
        return [issue.title for issue in tracker.issues(Filter(**wanted))]

    assert found(status="open") == ["epic", "a", "c"]
    assert found(status="closed") == ["b"]
    assert found(label="x") == ["a"]
    assert found(parent=epic.id) == ["a"]
    assert found(needs_person=True) == []
    assert found(needs_person=False, type="task") == ["a", "c"]
    assert [issue.title for issue in tracker.issues(limit=2)] == ["epic", "a"]


def test_events_tell_what_happened_in_order(tracker: Tracker) -> None:
    one, two = tracker.create_many([Draft("one"), Draft("two")])
    tracker.comment(one.id, "hello")
    tracker.record("published", {"commit": "abc"})
    kinds = [(event.issue, event.kind) for event in tracker.events()]
    assert kinds == [(one.id, "created"), (two.id, "created"), (one.id, "commented"), ("", "noted")]
    everything = tracker.events(limit=None)
    assert [event.kind for event in tracker.events(limit=2)] == ["commented", "noted"]
    assert tracker.events(after=everything[1].sequence) == everything[2:]
    assert tracker.events(issue=one.id, limit=1) == [everything[2]]
    assert tracker.events(limit=0) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda tracker, issue: tracker.comment(issue, "  \n"),
        lambda tracker, issue: tracker.comment(issue, "a\0"),
        lambda tracker, issue: tracker.close_issue(issue, note="a\0"),
        lambda tracker, issue: tracker.add_dependency(issue, issue[:3], "waits"),
        lambda tracker, issue: tracker.edit("zzzz", {"title": "x"}),
    ],
)
def test_what_is_refused_leaves_no_trace(tracker: Tracker, act: Callable[[Tracker, str], object]) -> None:
    issue = tracker.create(Draft("one"))
    with pytest.raises(TapeoutError):
        act(tracker, issue.id)
    assert tracker.issue(issue.id) == issue
    assert len(tracker.events()) == 1


def test_another_process_sees_it_at_once(paths: StatePaths, tracker: Tracker) -> None:
    with Tracker.open(paths, "ben") as other:
        issue = other.create(Draft("one"))
        assert tracker.issue(issue.id) == issue
        tracker.edit(issue.id, {"title": "two"})
        assert other.issue(issue.id).title == "two"
        assert [event.actor for event in tracker.events()] == ["ben", "ada"]
