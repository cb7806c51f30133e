"""What the history of an issue tells: values, what was overwritten unseen, undone and lost; and blame."""

import contextlib
import itertools
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, gitlog, schema
from tapeout.tracker.history.entries import BLAMED, Entry, blame, entries
from tapeout.tracker.history.replay import LEASE, SETS, replay, total
from tapeout.tracker.operations import Operation, tick
from tests.tracker.test_fold import LOG
from tests.tracker.tools import receive


def exchange(one: Tracker, other: Tracker) -> None:
    """Bring all operations of each clone to the other."""
    logs = []
    for tracker in (one, other):
        tracker.flush()
        logs.append(gitlog.read_all(tracker.paths))
    for tracker, operations in ((one, logs[1]), (other, logs[0])):
        receive(tracker, operations)


@pytest.fixture
def clones(tmp_path: Any) -> Any:
    with (
        Tracker.open(StatePaths(str(tmp_path / "a")), "ada") as ada,
        Tracker.open(StatePaths(str(tmp_path / "b")), "ben") as ben,
    ):
        yield ada, ben


def changes(entry: Entry) -> dict[str, tuple[Any, Any]]:
    return {change.field: (change.old, change.new) for change in entry.changes}


def test_every_operation_is_an_entry_with_old_and_new_values(tracker: Tracker) -> None:
    other = tracker.create(Draft("other")).id
    issue = tracker.create(Draft("one", labels=("x",), estimate_minutes=90)).id
    tracker.edit(issue, {"title": "two", "scope": ["a/**"]}, add_labels=["y"], remove_labels=["x"])
    tracker.add_dependency(issue, other)
    tracker.comment(issue, "hello")
    tracker.attach(issue, "log.txt", b"x")
    tracker.close_issue(issue, "wontfix")
    found = tracker.history(issue)
    assert [entry.kind for entry in found] == [
        "created", "fields-set", "labels-changed", "dependency-added", "commented", "attached", "closed",
    ]  # fmt: skip
    assert changes(found[0]) == {
        "title": (None, "one"), "type": (None, "task"), "priority": (None, 2), "estimate_minutes": (None, 90),
        "status": (None, "open"), "labels": ([], ["x"]),
    }  # fmt: skip
    assert [changes(entry) for entry in found[1:]] == [
        {"title": ("one", "two"), "scope": ([], ["a/**"])},
        {"labels": (["x"], ["y"])},
        {"dependencies": ([], [f"blocks {other}"])},
        {"comments": ([], ["hello"])},
        {"attachments": ([], ["log.txt"])},
        {"status": ("open", "closed"), "resolution": (None, "wontfix")},
    ]
    assert {entry.actor for entry in found} == {"ada"}
    assert found[1].act == found[2].act == found[1].id
    (replica,) = tracker.own_replicas()
    assert {entry.replica for entry in found} == {replica}


def test_an_edit_that_changes_nothing_has_no_changes(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one", labels=("x",))).id
    tracker.edit(issue, {"title": "one"}, add_labels=["x"])
    assert [entry.changes for entry in tracker.history(issue)[1:]] == [(), ()]


def test_the_history_of_nothing_is_not_found(tracker: Tracker) -> None:
    for look in (lambda: tracker.history("zzzz"), lambda: tracker.blame("zzzz", "title")):
        with pytest.raises(NotFound):
            look()


def test_edits_of_two_clones_that_did_not_know_of_each_other(clones: tuple[Tracker, Tracker]) -> None:
    ada, ben = clones
    issue = ada.create(Draft("one", body="same")).id
    exchange(ada, ben)
    ada.edit(issue, {"title": "ada's", "priority": 0})
    ben.edit(issue, {"title": "ben's", "body": "ben's"}, add_labels=["b"])
    exchange(ada, ben)
    assert ada.history(issue) == ben.history(issue)
    by = {entry.actor: entry for entry in ada.history(issue) if entry.kind == "fields-set"}
    winner, loser = ("ada", "ben") if ada.issue(issue).title == "ada's" else ("ben", "ada")
    assert [(one.field, one.by, one.actor) for one in by[loser].overwritten] == [("title", by[winner].id, winner)]
    assert by[winner].overwritten == ()
    settings_ = {one.actor: one for one in ada.blame(issue, "title").settings[1:]}
    assert (settings_[loser].overwritten, settings_[winner].overwritten) == (True, False)


def test_an_edit_in_knowledge_of_the_other_overwrites_nothing_unseen(clones: tuple[Tracker, Tracker]) -> None:
    ada, ben = clones
    issue = ada.create(Draft("one")).id
    ada.edit(issue, {"title": "two"})
    exchange(ada, ben)
    ben.edit(issue, {"title": "three"})
    exchange(ada, ben)
    assert ada.issue(issue).title == "three"
    assert [entry.overwritten for entry in ada.history(issue)] == [()] * 3


def test_closings_labels_and_dependencies_can_be_overwritten_too(
    clones: tuple[Tracker, Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = clones
    clock = itertools.count(1_900_000_000)
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))  # the order of the calls is that of the fold
    target, issue = ada.create(Draft("target")).id, ada.create(Draft("one")).id
    exchange(ada, ben)
    ada.close_issue(issue, "done")
    ben.close_issue(issue, "wontfix")
    exchange(ada, ben)
    lost = [(one.field, entry.actor) for entry in ada.history(issue) for one in entry.overwritten]
    assert lost == [("resolution", "ada")]
    ben.edit(issue, {}, add_labels=["x"])
    ben.add_dependency(issue, target, "related")
    exchange(ada, ben)
    ada.edit(issue, {}, remove_labels=["x"])
    ada.remove_dependency(issue, target, "related")
    ben.edit(issue, {}, remove_labels=["x"])
    ben.edit(issue, {}, add_labels=["x"])
    ben.remove_dependency(issue, target, "related")
    ben.add_dependency(issue, target, "related")
    exchange(ada, ben)
    lost = [(one.field, entry.actor) for entry in ada.history(issue) for one in entry.overwritten][1:]
    assert sorted(lost) == [(f"dependencies: related {target}", "ada"), ("labels: x", "ada")]


def test_of_two_claims_that_did_not_know_of_each_other_one_lost(clones: tuple[Tracker, Tracker]) -> None:
    ada, ben = clones
    issue = ada.create(Draft("one")).id
    exchange(ada, ben)
    ada.claim(issue, "ada", 1000)
    ben.claim(issue, "ben", 1000)
    exchange(ada, ben)
    lost = {entry.actor: entry.lost_to for entry in ben.history(issue) if entry.kind == "claimed"}
    assert lost == {"ada": None, "ben": "ada"}


def test_what_is_undone_says_so(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.edit(issue, {"title": "two"})
    tracker.undo()
    _, edit, undo = tracker.history(issue)
    assert (edit.undone_by, undo.undoes, undo.undone_by) == (undo.id, edit.act, None)
    assert [one.undone for one in tracker.blame(issue, "title").settings] == [False, True, False]


def test_only_its_author_makes_an_act_undone(paths: StatePaths, tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    (created,) = tracker.history(issue)
    eve = Operation("eve.1", tick(0, 2e9), "eve", issue, "fields-set", {"title": "mine", "undoes": created.id})
    receive(tracker, [eve])
    assert tracker.history(issue)[0].undone_by is None
    assert [act.id for act in tracker.acts()] == [created.act]


def test_blame_names_who_brought_each_line(tracker: Tracker, paths: StatePaths) -> None:
    issue = tracker.create(Draft("one", body="first\nsecond\nthird\n")).id
    with Tracker.open(paths, "ben") as ben:
        ben.edit(issue, {"body": "zeroth\nfirst\nSECOND\nthird"})
    tracker.edit(issue, {"body": "zeroth\nfirst\nSECOND\nthird\nfourth"})
    found = tracker.blame(issue, "body")
    assert [(one.line, one.setting.actor) for one in found.lines] == [
        ("zeroth", "ben"), ("first", "ada"), ("SECOND", "ben"), ("third", "ada"), ("fourth", "ada"),
    ]  # fmt: skip
    assert [one.actor for one in found.settings] == ["ada", "ben", "ada"]


def test_blame_of_labels_and_of_a_field_that_nobody_set(tracker: Tracker, paths: StatePaths) -> None:
    issue = tracker.create(Draft("one", labels=("x",))).id
    with Tracker.open(paths, "ben") as ben:
        ben.edit(issue, {}, add_labels=["y"])
    assert [(one.line, one.setting.actor) for one in tracker.blame(issue, "labels").lines] == [
        ("x", "ada"),
        ("y", "ben"),
    ]
    assert tracker.blame(issue, "assignee").settings == ()
    with pytest.raises(UsageError, match="no field 'colour'"):
        tracker.blame(issue, "colour")


LINES = st.lists(st.sampled_from(["a", "b", "", " a", "\r", "\u2028"]), max_size=8)


@settings(deadline=None)
@given(st.lists(LINES, min_size=1, max_size=5))
def test_blame_has_exactly_the_lines_of_the_current_value(values: list[list[str]]) -> None:
    operations = [Operation("r.1", 1, "ada", "x", "created", {"title": "x"})]
    texts = ["\n".join(lines) for lines in values]
    for number, text in enumerate(texts, start=2):
        operations.append(Operation(f"r.{number}", number, f"actor {number}", "x", "fields-set", {"body": text}))
    found = blame("x", replay(operations), lambda _later, _earlier: True, "body")
    final = texts[-1]
    assert [one.line for one in found.lines] == (final.removesuffix("\n").split("\n") if final else [])
    for one in found.lines:  # who is named did write that line
        assert one.line in texts[int(one.setting.actor.split()[1]) - 2].split("\n")


@settings(deadline=None, max_examples=100)
@given(LOG)
def test_the_steps_together_make_the_issue(log: Sequence[tuple[str, str, dict[str, object]]]) -> None:
    operations = [Operation(f"r.{n}", n, "eve", "one", kind, data) for n, (_, kind, data) in enumerate(log, start=1)]
    with contextlib.closing(schema.in_memory()) as index:
        steps = replay(operations, index)
        for name, columns in SETS.items():
            rows = index.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {', '.join(columns)}").fetchall()
            assert total(step.differences[name] for step in steps if name in step.differences) == ([], rows)
        row = index.execute("SELECT title, body, status, lease_owner FROM issues").fetchone()
    now: dict[str, object] = {}
    for step in steps:
        assert all(now.get(name) == change.old != change.new for name, change in step.changes.items())
        assert step.lease == now.get(LEASE)
        now |= {name: change.new for name, change in step.changes.items()}
        assert step.lease_after == now.get(LEASE)
    assert (row is None) == (not now)
    if row is not None:
        lease = now.get(LEASE)
        assert row[:3] == (now["title"], now["body"], now["status"])
        assert row[3] == (lease[0] if isinstance(lease, tuple) else None)


@settings(deadline=None, max_examples=60)
@given(LOG)
def test_any_log_has_a_history(log: Sequence[tuple[str, str, dict[str, object]]]) -> None:
    operations = [
        Operation(f"r{n % 3}.{n}", n, "eve", "one", kind, data) for n, (_, kind, data) in enumerate(log, start=1)
    ]
    found = entries(replay(operations), lambda _later, _earlier: False)
    assert [entry.id for entry in found] == [operation.id for operation in operations]
    for field in BLAMED:
        blame("one", replay(operations), lambda _later, _earlier: False, field)
