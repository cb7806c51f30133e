"""Taking back what was done: by whom, how far, and never what somebody else has changed since."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.errors import Conflict, NotAllowed, NotFound, TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.history.undo import Act
from tapeout.tracker.operations import Operation
from tests.tracker.tools import contents, delete_index, receive

DERIVED = ("updated_at", "closed_at", "open_blockers", "not_needed", "lease_expires", "lease_granted", "lease_token")

State = dict[tuple[str, str], Any]
"""Issue and name of a register to its value; sets as frozensets."""


def state(tracker: Tracker) -> State:
    """All that people can change, seen from outside."""
    found: State = {}
    for issue in tracker.issues():
        values = issue._asdict() | {"labels": frozenset(issue.labels)}
        values["dependencies"] = frozenset(
            (d.kind, d.target) for d in tracker.dependencies(issue.id) if d[0] == issue.id
        )
        values["comments"] = frozenset((one.id, one.text) for one in tracker.comments(issue.id))
        values["attachments"] = frozenset((one.name, one.blob) for one in tracker.attachments(issue.id))
        found |= {(issue.id, name): value for name, value in values.items() if name not in DERIVED}
    return found


def test_what_the_same_actor_did_elsewhere_is_not_undone_here_but_its_undoing_counts(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.edit(issue, {"title": "two"})
    tracker.edit(issue, {"title": "three"})
    last, before, _ = (act.id for act in tracker.acts())
    receive(
        tracker,
        [Operation("copy.1", 3_000_000_000_000 << 16, "ada", issue, "fields-set", {"title": "two", "undoes": last}, 1)],
    )
    receive(
        tracker, [Operation("else.1", 3_000_000_000_001 << 16, "ada", issue, "labels-changed", {"add": ["api"]}, 1)]
    )
    assert next(iter(tracker.acts())).id == before
    tracker.undo()
    assert (tracker.issue(issue).title, tracker.issue(issue).labels) == ("one", ("api",))


@pytest.fixture
def ben(paths: StatePaths, tracker: Tracker) -> Iterator[Tracker]:
    """A second actor on the tracker of `ada`."""
    with Tracker.open(paths, "ben") as opened:
        yield opened


def test_undo_goes_back_act_by_act_and_never_forth(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    states = [state(tracker)]
    for title in ("two", "three"):
        tracker.edit(issue, {"title": title, "priority": 0}, add_labels=[title])
        states.append(state(tracker))
    for expected in (states[1], states[0]):
        tracker.undo()
        assert state(tracker) == expected
    tracker.undo()
    assert (tracker.issue(issue).status, tracker.issue(issue).resolution) == ("closed", "invalid")
    with pytest.raises(NotFound, match="nothing that ada could undo"):
        tracker.undo()
    assert tracker.acts() == []


def test_everything_of_a_transaction_is_undone_as_one(tracker: Tracker) -> None:
    one, two, other = (tracker.create(Draft(name)).id for name in ("one", "two", "other"))
    before = state(tracker)
    tracker.close_many([one, two], "duplicate", "the same", of=other)
    assert tracker.issue(one).resolution == "duplicate"
    act = tracker.undo()
    assert (act.issues, act.kinds) == ((one, two), ("dependency-added", "commented", "closed"))
    assert state(tracker) == before
    undone = {event.data.get("undoes") for event in tracker.events() if "undoes" in event.data}
    assert undone == {act.id}


def test_only_what_is_ones_own_is_undone(tracker: Tracker, ben: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    ben.comment(issue, "from ben")
    with pytest.raises(Conflict, match="ben has worked on"):
        tracker.undo()
    ben.undo()
    assert tracker.comments(issue) == []
    with pytest.raises(NotFound):
        ben.undo()


def test_a_field_that_somebody_changed_since_is_theirs(tracker: Tracker, ben: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.edit(issue, {"title": "two", "body": "b"})
    ben.edit(issue, {"title": "three"})
    before = state(tracker)
    with pytest.raises(Conflict, match=f"title of {issue} was changed since by ben"):
        tracker.undo()
    assert state(tracker) == before
    ben.edit(issue, {"title": "two"})
    tracker.undo()
    assert (tracker.issue(issue).title, tracker.issue(issue).body) == ("one", "")


def test_what_somebody_else_has_set_back_already_is_no_conflict(tracker: Tracker, ben: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    before = state(tracker)
    tracker.edit(issue, {"priority": 0, "body": "b"}, add_labels=["x"])
    ben.edit(issue, {"priority": 2}, remove_labels=["x"])
    tracker.undo()
    assert state(tracker) == before


def test_an_act_of_which_nothing_is_left_is_passed_over(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one", priority=1)).id
    tracker.edit(issue, {"title": "two"})
    tracker.edit(issue, {"priority": 1})
    tracker.undo()
    assert tracker.issue(issue).title == "one"


def test_any_act_can_be_chosen(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.edit(issue, {"priority": 0})
    tracker.edit(issue, {"body": "b"})
    first = tracker.acts()[1]
    assert first.kinds == ("fields-set",)
    tracker.undo(first.id)
    assert (tracker.issue(issue).priority, tracker.issue(issue).body) == (2, "b")
    with pytest.raises(NotFound, match="is nothing that ada could undo"):
        tracker.undo(first.id)


def test_a_claim_by_hand_is_given_back(tracker: Tracker, ben: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.claim(issue, "ada", 1000)
    tracker.undo()
    assert tracker.issue(issue).lease_owner is None
    tracker.claim(issue, "ada", 1000)
    ben.release_issue(issue, "ben", force=True)
    ben.claim(issue, "ben", 1000)
    with pytest.raises(Conflict, match="is held by ben now"):
        tracker.undo()


def test_a_need_for_a_person_comes_back_with_the_issue(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    with Tracker.open(tracker.paths, "worker") as worker:
        lease, attempt = worker.begin_attempt(issue, "a-1", 100, agent="x", host="h", pid=1, pid_started=1.0)
        worker.end_attempt(lease, attempt.id, "failed", "red", give_up="no luck")
    before = state(tracker)
    for change in (partial(tracker.close_issue, issue, "failed"), partial(tracker.reopen, issue)):
        change()
        assert tracker.issue(issue).needs_person is None
        tracker.undo()
        assert state(tracker) == before


@pytest.mark.parametrize("end", [False, True])
def test_attempts_and_landings_happened(tracker: Tracker, end: bool) -> None:
    issue = tracker.create(Draft("one")).id
    with Tracker.open(tracker.paths, "worker") as worker:
        lease, attempt = worker.begin_attempt(issue, "a-1", 100, agent="x", host="h", pid=1, pid_started=1.0)
        change = worker.submit(lease, attempt.id, commit="c", base="b") if end else None
        if change:
            worker.record_landed(change.id, "c")
        before = contents(tracker.paths)
        with pytest.raises(NotAllowed, match="has landed" if end else "attempts happened"):
            worker.undo()
        assert contents(tracker.paths) == before
        obstacle = worker.acts()[0].obstacle
        assert obstacle is not None
        assert issue in obstacle


def test_a_landed_issue_that_was_reopened_is_landed_again(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    lease, attempt = tracker.begin_attempt(issue, "a-1", 100, agent="x", host="h", pid=1, pid_started=1.0)
    tracker.record_landed(tracker.submit(lease, attempt.id, commit="c", base="b").id, "c")
    before = state(tracker)
    tracker.reopen(issue)
    tracker.undo()
    assert state(tracker) == before


def test_a_dependency_is_not_made_again_where_it_would_be_a_circle(tracker: Tracker, ben: Tracker) -> None:
    one, two = tracker.create(Draft("one")).id, tracker.create(Draft("two")).id
    tracker.add_dependency(one, two)
    tracker.remove_dependency(one, two)
    ben.add_dependency(two, one)
    with pytest.raises(Conflict, match="would be a cycle"):
        tracker.undo()
    ben.remove_dependency(two, one)
    tracker.undo()
    assert tracker.blockers(one) == [two]


def test_a_parent_is_not_made_again_where_it_would_be_a_circle(tracker: Tracker, ben: Tracker) -> None:
    one, two = tracker.create(Draft("one")).id, tracker.create(Draft("two")).id
    tracker.edit(one, {"parent": two})
    tracker.edit(one, {"parent": None})
    ben.edit(two, {"parent": one})
    with pytest.raises(NotAllowed, match="cannot be its parent"):
        tracker.undo()


def test_a_rehearsal_changes_nothing(tracker: Tracker) -> None:
    issue = tracker.create(Draft("one")).id
    tracker.edit(issue, {"title": "two"})
    before = contents(tracker.paths)
    with tracker.rehearsing():
        act = tracker.undo()
    assert [one.data for one in act.undo] == [{"title": "one"}]
    assert contents(tracker.paths) == before
    tracker.undo()
    assert tracker.issue(issue).title == "one"


def test_undo_goes_on_over_an_index_that_was_made_again(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        tracker.edit(issue, {"title": "two"})
        tracker.edit(issue, {"title": "three"})
        tracker.undo()
        tracker.flush()
    delete_index(paths)
    with Tracker.open(paths, "ada") as tracker:
        tracker.undo()
        assert tracker.issue(issue).title == "one"


# --- any sequence of acts by two actors ---

VALUES: dict[str, list[Any]] = {
    "title": ["x", "y", "z"],
    "body": ["", "a\nb", "c"],
    "priority": [1, 2, 3],
    "scope": [[], ["a/**"], ["b"]],
    "assignee": [None, "eve", "bob"],
    "due_at": [None, 5.0, 6.0],
    "estimate_minutes": [None, 90],
    "external_ref": [None, "gh-1"],
    "design": ["", "d"],
}
FIELDS = st.lists(st.sampled_from(["title", "title", "priority", *VALUES]), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(VALUES[name]) for name in names})
)
LABELS = st.lists(st.sampled_from(["l", "m"]), max_size=2, unique=True)
ISSUE = st.integers(0, 1)
KIND = st.sampled_from(["blocks", "related", "conditional"])
EDIT = st.tuples(st.just("edit"), st.lists(ISSUE, min_size=1, max_size=2), FIELDS, LABELS, LABELS)
UNDO = st.tuples(st.just("undo"))
OTHER = st.one_of(
    st.tuples(st.just("close"), st.lists(ISSUE, min_size=1, max_size=2), st.sampled_from(["done", "failed"])),
    st.tuples(st.just("reopen"), ISSUE),
    st.tuples(st.just("comment"), st.lists(ISSUE, min_size=1, max_size=2)),
    st.tuples(st.just("add"), ISSUE, ISSUE, KIND),
    st.tuples(st.just("remove"), ISSUE, ISSUE, KIND),
    st.tuples(st.just("attach"), ISSUE, st.sampled_from(["a", "b"])),
    st.tuples(st.just("detach"), ISSUE, st.sampled_from(["a", "b"])),
    st.tuples(st.just("parent"), ISSUE, ISSUE),
    st.tuples(st.just("create"), st.booleans()),
    st.tuples(st.just("claim"), ISSUE),
)
ACT = st.sampled_from([EDIT, EDIT, EDIT, EDIT, OTHER, OTHER, OTHER, OTHER, UNDO, UNDO, UNDO]).flatmap(lambda one: one)
ACTOR = st.sampled_from(["ada", "ben"])


@st.composite
def duels(draw: st.DrawFn) -> list[tuple[str, tuple[Any, ...]]]:
    """Both change the same things of one issue, and one of them takes his act back."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True))
    fields = st.fixed_dictionaries({name: st.sampled_from(VALUES[name]) for name in names})
    edits = [("edit", [0], draw(fields), draw(LABELS), draw(LABELS)) for _ in range(2)]
    return [("ada", edits[0]), ("ben", edits[1]), (draw(ACTOR), ("undo",))]


SEQUENCE = st.lists(st.lists(st.tuples(ACTOR, ACT), min_size=1, max_size=6) | duels(), min_size=2, max_size=5).map(
    lambda chunks: [step for chunk in chunks for step in chunk]
)


class Done(NamedTuple):
    """An act that a test did, with the state around it."""

    actor: str
    before: State
    after: State
    creates: bool


def perform(tracker: Tracker, issues: list[str], act: tuple[Any, ...]) -> None:
    """One act; it may be refused."""
    PERFORM[act[0]](tracker, [issues[one] if type(one) is int else one for one in act[1:]], issues)


def _many(numbers: list[int], issues: list[str]) -> list[str]:
    return [issues[number] for number in numbers]


PERFORM: dict[str, Callable[[Tracker, list[Any], list[str]], Any]] = {
    "edit": lambda t, a, issues: t.edit_many(_many(a[0], issues), a[1], add_labels=a[2], remove_labels=a[3]),
    "close": lambda t, a, issues: t.close_many(_many(a[0], issues), a[1], "why"),
    "reopen": lambda t, a, _: t.reopen(a[0]),
    "comment": lambda t, a, issues: t.comment_many(_many(a[0], issues), "hello"),
    "add": lambda t, a, _: t.add_dependency(*a),
    "remove": lambda t, a, _: t.remove_dependency(*a),
    "attach": lambda t, a, _: t.attach(a[0], a[1], a[1].encode()),
    "detach": lambda t, a, _: t.detach(*a),
    "parent": lambda t, a, _: t.edit(a[0], {"parent": a[1]}),
    "create": lambda t, a, issues: t.create(Draft("new", depends_on=tuple(issues[:1]) if a[0] else ())),
    "claim": lambda t, a, _: t.claim(a[0], t.actor, 1000),
}


def expected_after(done: Done, now: State) -> State:
    """The present state with all that the act changed as it was before it."""
    expected = dict(now)
    for key in done.before.keys() & done.after.keys():
        before, after = done.before[key], done.after[key]
        if before != after and isinstance(before, frozenset):
            expected[key] = now[key] - (after - before) | (before - after)
        elif before != after and key[1] != "lease_owner":
            expected[key] = before
        elif before != after and before is None:  # a claim is given back; a lease that closing ended is not
            expected[key] = None
    for issue, name in done.after.keys() - done.before.keys():
        expected |= {(issue, "status"): "closed"} if name == "status" else {}
        expected |= (
            {(issue, "resolution"): "invalid"} if name == "resolution" and now[issue, "status"] == "open" else {}
        )
    return expected


def is_contested(done: Done, now: State) -> bool:
    """Whether a field has a value now that it had neither before nor after the act."""
    return any(
        now[key] not in (done.before[key], done.after[key])
        for key in done.before.keys() & done.after.keys()
        if done.before[key] != done.after[key] and not isinstance(now[key], frozenset) and key[1] != "lease_owner"
    )


@settings(max_examples=60, deadline=None)
@given(SEQUENCE)
def test_undo_restores_what_the_act_changed_and_nothing_else(sequence: list[tuple[str, tuple[Any, ...]]]) -> None:
    folder = tempfile.mkdtemp()
    paths = StatePaths(folder)
    try:
        with Tracker.open(paths, "eve") as eve, Tracker.open(paths, "ada") as ada, Tracker.open(paths, "ben") as ben:
            issues = [issue.id for issue in eve.create_many([Draft("x")] * 2)]
            stacks: dict[str, dict[str, Done]] = {"ada": {}, "ben": {}}
            for actor, act in sequence:
                tracker = ada if actor == "ada" else ben
                if act[0] == "undo":
                    check_undo(tracker, stacks[actor])
                else:
                    do(tracker, partial(perform, tracker, issues, act), stacks[actor])
    finally:
        shutil.rmtree(folder)


def do(tracker: Tracker, act: Callable[[], None], stack: dict[str, Done]) -> None:
    """Do something and remember the states around it, under the id of the act."""
    before, events = state(tracker), len(tracker.events())
    try:
        act()
    except TapeoutError:
        assert state(tracker) == before
        return
    after = state(tracker)
    if before != after:
        touched = tracker.events(after=events)[-1].issue
        identity = tracker.history(touched)[-1].act
        stack[identity] = Done(tracker.actor, before, after, len(after) > len(before))


def check_undo(tracker: Tracker, stack: dict[str, Done]) -> None:
    """Undo, and compare with what the remembered states say."""
    now = state(tracker)
    acts: list[Act] = tracker.acts(limit=1)
    if not acts:
        with pytest.raises(NotFound):
            tracker.undo()
        return
    (act,) = acts
    done = stack[act.id]
    if act.obstacle is None:
        assert not is_contested(done, now)
        tracker.undo()
        assert state(tracker) == expected_after(done, now)
        stack_after = tracker.acts(limit=-1)
        assert act.id not in [one.id for one in stack_after]
        return
    with pytest.raises(TapeoutError):
        tracker.undo()
    assert state(tracker) == now
    assert is_contested(done, now) or any(w in act.obstacle for w in ("worked on", "cycle", "parent", "held by"))
