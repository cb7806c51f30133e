"""Changing many issues at once: all of them in one transaction, or none."""

from collections.abc import Callable
from typing import Any

import pytest

from tapeout.base.errors import NotAllowed, NotFound, TapeoutError, UsageError
from tapeout.tracker import Draft, Tracker
from tests.tracker.tools import contents


@pytest.fixture
def three(tracker: Tracker) -> list[str]:
    return [issue.id for issue in tracker.create_many([Draft("a"), Draft("b"), Draft("c")])]


def test_many_issues_are_one_act(tracker: Tracker, three: list[str]) -> None:
    edited = tracker.edit_many([three[2], three[0], three[2][:9]], {"priority": 0}, add_labels=["x"])
    assert [issue.id for issue in edited] == [three[2], three[0]]
    assert {(issue.priority, issue.labels) for issue in edited} == {(0, ("x",))}
    assert len({tracker.history(one.id)[-1].act for one in edited}) == 1
    assert tracker.issue(three[1]).priority == 2
    tracker.comment_many(three, "hello")
    assert [[one.text for one in tracker.comments(issue)] for issue in three] == [["hello"]] * 3
    assert [issue.resolution for issue in tracker.close_many(three, "failed")] == ["failed"] * 3
    assert [issue.status for issue in tracker.reopen_many(three)] == ["open"] * 3


REFUSED: list[tuple[type[TapeoutError], Callable[[Tracker, list[str]], Any]]] = [
    (NotFound, lambda t, ids: t.edit_many([*ids, "zzzz"], {"priority": 0})),
    (NotFound, lambda t, ids: t.comment_many([*ids, "zzzz"], "x")),
    (NotFound, lambda t, ids: t.close_many(ids, "duplicate", of="zzzz")),
    (NotAllowed, lambda t, ids: t.edit_many(ids, {"parent": ids[2]})),
    (NotAllowed, lambda t, ids: t.reopen_many(ids)),
    (NotAllowed, lambda t, ids: t.close_many(ids, "landed")),
    (NotAllowed, lambda t, ids: t.close_many(ids, "duplicate", of=ids[2])),
    (UsageError, lambda t, ids: t.close_many(ids, "done", of=ids[2])),
    (UsageError, lambda t, ids: t.close_many(ids, "done", "a\0b")),
    (UsageError, lambda t, ids: t.edit_many(ids, {"colour": "red"})),
    (UsageError, lambda t, ids: t.edit_many(ids, {"needs_person": "x"})),
    (UsageError, lambda t, ids: t.edit_many(ids, {"priority": 0}, add_labels=["a b"])),
    (UsageError, lambda t, ids: t.comment_many(ids, " ")),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_one_that_cannot_be_changed_keeps_all_as_they_are(tracker: Tracker, three: list[str], number: int) -> None:
    error, do = REFUSED[number]
    before = contents(tracker.paths)
    with pytest.raises(error):
        do(tracker, three)
    assert contents(tracker.paths) == before


def test_a_rehearsal_answers_and_does_nothing(tracker: Tracker, three: list[str]) -> None:
    before = contents(tracker.paths)
    with tracker.rehearsing():
        assert [issue.priority for issue in tracker.edit_many(three, {"priority": 0})] == [0, 0, 0]
        assert tracker.issue(three[0]).priority == 2
        with pytest.raises(NotFound):
            tracker.close_many([*three, "zzzz"])
        tracker.create(Draft("d"))
    assert contents(tracker.paths) == before
    tracker.edit_many(three, {"priority": 1})
    assert [tracker.issue(one).priority for one in three] == [1, 1, 1]


def test_a_duplicate_is_closed_with_its_dependency(tracker: Tracker, three: list[str]) -> None:
    tracker.close_issue(three[0], "duplicate", of=three[1])
    assert [one[:3] for one in tracker.dependencies(three[0])] == [(three[0], three[1], "duplicates")]


def test_a_parent_is_taken_away_only_if_it_is_the_one(tracker: Tracker, three: list[str]) -> None:
    tracker.edit(three[0], {"parent": three[1]})
    assert tracker.remove_parent(three[0], three[2]).parent == three[1]
    assert tracker.remove_parent(three[0], three[1]).parent is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"assignee": "a\x1b[31m"}, "control characters"),
        ({"external_ref": "x" * 301}, "301 characters"),
        ({"agent": "a\udcff"}, "UTF-8"),
        ({"scope": ["a\x07"]}, "control characters"),
        ({"scope": "a"}, "list of globs"),
        ({"title": 5}, "should be text"),
        ({"design": None}, "should be text"),
        ({"due_at": float("nan")}, "no date"),
        ({"due_at": float("inf")}, "no date"),
        ({"deferred_until": 1e18}, "no date"),
        ({"due_at": -1}, "no date"),
        ({"due_at": True}, "no date"),
        ({"estimate_minutes": -1}, "not an estimate"),
        ({"estimate_minutes": 1.5}, "not an estimate"),
        ({"estimate_minutes": 10**10}, "not an estimate"),
    ],
)
def test_values_that_no_field_can_hold(tracker: Tracker, three: list[str], fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tracker.edit(three[0], fields)
    assert tracker.history(three[0])[1:] == []


def test_one_edit_changes_fields_labels_and_dependencies_or_nothing(tracker: Tracker, three: list[str]) -> None:
    first, second, third = three
    tracker.add_dependency(first, second)
    before = contents(tracker.paths)
    wrong: list[tuple[type[TapeoutError], dict[str, Any]]] = [
        (UsageError, {"fields": {"priority": 9}}),
        (UsageError, {"fields": {}, "add_labels": ["a b"]}),
        (NotFound, {"fields": {"parent": "zzzz"}}),
        (NotAllowed, {"fields": {"parent": first}}),
        (NotFound, {"fields": {"title": "x"}, "add_dependencies": [(third, "blocks"), ("zzzz", "blocks")]}),
        (NotAllowed, {"fields": {"title": "x"}, "add_dependencies": [(first, "blocks")]}),
        (UsageError, {"fields": {"title": "x"}, "remove_dependencies": [(second, "loves")]}),
    ]
    for kind, change in wrong:
        with pytest.raises(kind):
            tracker.edit(first, **{"remove_dependencies": [(second, "blocks")], **change})
        assert contents(tracker.paths) == before
    tracker.edit(
        first, {"title": "new"}, add_labels=["x"], add_dependencies=[(third, "blocks")],
        remove_dependencies=[(second, "blocks")],
    )  # fmt: skip
    assert tracker.blockers(first) == [third]
    assert len({entry.act for entry in tracker.history(first)[-4:]}) == 1
    tracker.undo()
    assert (tracker.issue(first).title, tracker.blockers(first)) == ("a", [second])
