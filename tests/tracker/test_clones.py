"""Clones that write without knowing of each other, and exchange operations in any order: same state everywhere.

The operations travel by hand here, any subset at any time; `test_sync.py` exchanges them through git.
"""

import itertools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tapeout.base.errors import TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, log, merge, rebuild
from tapeout.tracker.model import DEPENDENCY_KINDS, PERSON_RESOLUTIONS
from tapeout.tracker.operations import Operation
from tapeout.tracker.transfer import formats
from tests.tracker.tools import contents, receive

TITLES = st.sampled_from(["one", "two", "three"])
LABELS = st.sampled_from(["api", "ui", "db"])


def operations(tracker: Tracker) -> list[Operation]:
    rows = tracker._connection.execute("SELECT id, clock, actor, issue, kind, data, act FROM operations")
    return [log.from_row(row) for row in rows]


def deliver(to: Tracker, sent: list[Operation], now: float = 4e9) -> None:
    receive(to, sent, now)


def exchange(*trackers: Tracker) -> None:
    everything = [operation for tracker in trackers for operation in operations(tracker)]
    for tracker in trackers:
        deliver(tracker, everything)


def rows(tracker: Tracker) -> dict[str, list[tuple[Any, ...]]]:
    return contents(tracker.paths)


def waits(tracker: Tracker) -> dict[str, set[str]]:
    """Issue to the open issues that it waits for, worked out from the plain rows, without the derived columns."""
    dependencies = [
        (d.issue, d.target) for i in tracker.issues() for d in tracker.dependencies(i.id)
        if d.kind in ("blocks", "conditional") and not d.ignored and d.issue == i.id
    ]  # fmt: skip
    still_open = {issue.id for issue in tracker.issues() if issue.status == "open" and not issue.not_needed}
    found: dict[str, set[str]] = {issue.id: set() for issue in tracker.issues()}
    for issue, target in dependencies:
        if target in still_open:
            found[issue].add(target)
    return found


def not_needed(tracker: Tracker) -> set[str]:
    """Open issues that are conditional on the failure of one that ended well, or on one that is itself not needed."""
    issues = {issue.id: issue for issue in tracker.issues()}
    edges = [
        (d.issue, d.target) for i in issues for d in tracker.dependencies(i)
        if d.kind == "conditional" and not d.ignored and d.issue == i and d.target in issues
    ]  # fmt: skip
    well = {
        i for i, issue in issues.items() if issue.status == "closed" and issue.resolution not in ("failed", "wontfix")
    }
    found: set[str] = set()
    while more := {i for i, on in edges if issues[i].status == "open" and on in well | found} - found:
        found |= more
    return found


def without_renewals(found: dict[str, list[tuple[Any, ...]]], columns: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows without the ends of leases: renewals are in the index of one clone only."""
    kept = [number for number, name in enumerate(columns) if name not in ("lease_expires", "lease_granted")]
    return {**found, "issues": [tuple(row[number] for number in kept) for row in found["issues"]]}


def void(_: object) -> None: ...


class Clones(RuleBasedStateMachine):
    issues = Bundle("issues")

    @initialize(count=st.integers(2, 4))
    def start(self, count: int) -> None:
        self.folder = tempfile.mkdtemp()
        self.numbers = itertools.count()
        self.clones = [
            Tracker.open(StatePaths(os.path.join(self.folder, f"{number}")), f"actor-{number}")
            for number in range(count)
        ]

    def teardown(self) -> None:
        try:
            exchange(*self.clones)
            first = self.state(self.clones[0])
            for clone in self.clones[1:]:
                assert self.state(clone) == first
                assert clone.search("one or two or three below") == self.clones[0].search("one or two or three below")
            self.clones[0].flush()
            for clone in self.clones:
                clone.close()
            self.compare_with_rebuild(first)
        finally:
            shutil.rmtree(self.folder)

    def compare_with_rebuild(self, expected: dict[str, list[tuple[Any, ...]]]) -> None:
        """An index that is filled at once equals one that grew: what came from others is in git nowhere here, so a
        clone of its own that is given everything stands in for it."""
        fresh = StatePaths(os.path.join(self.folder, "fresh"))
        with Tracker.open(fresh, "fresh") as tracker:
            everything = sorted(operations(self.clone_again()), key=lambda operation: operation.order)
            with tracker._writing():
                merge.fill(tracker._connection, everything, 4e9)
            assert self.state(tracker) == expected

    @staticmethod
    def state(clone: Tracker) -> dict[str, list[tuple[Any, ...]]]:
        columns = [row[1] for row in clone._connection.execute("PRAGMA table_info(issues)")]
        return without_renewals(rows(clone), columns)

    def clone_again(self) -> Tracker:
        return Tracker.open(self.clones[0].paths, "again")

    def on(self, number: int, act: Callable[[Tracker], object]) -> object:
        """Let one clone do something; what it refuses changes nothing."""
        clone = self.clones[number % len(self.clones)]
        before = len(operations(clone))
        try:
            return act(clone)
        except TapeoutError:
            assert len(operations(clone)) == before
            return None

    WHO = st.integers(0, 3)

    @rule(target=issues, who=WHO, title=TITLES, epic=st.booleans())
    def create(self, who: int, title: str, epic: bool) -> str:
        made = self.on(who, lambda clone: clone.create(Draft(title, type="epic" if epic else "task")).id)
        assert isinstance(made, str)
        return made

    @rule(target=issues, who=WHO, parent=issues, other=issues, kind=st.sampled_from(DEPENDENCY_KINDS))
    def create_below(self, who: int, parent: str, other: str, kind: Any) -> str:
        draft = Draft("below", parent=parent, labels=("api",), links=((other, kind),))
        return str(self.on(who, lambda clone: clone.create(draft).id) or parent)

    @rule(who=WHO, issue=issues, title=TITLES, priority=st.integers(0, 4))
    def edit(self, who: int, issue: str, title: str, priority: int) -> None:
        self.on(who, lambda clone: clone.edit(issue, {"title": title, "priority": priority}, add_labels=["seen"]))

    @rule(who=WHO, issue=issues, body=TITLES)
    def edit_body(self, who: int, issue: str, body: str) -> None:
        self.on(who, lambda clone: clone.edit(issue, {"body": body, "due_at": 5.0}))

    @rule(who=WHO, issue=issues, add=LABELS, remove=LABELS)
    def label(self, who: int, issue: str, add: str, remove: str) -> None:
        self.on(who, lambda clone: clone.edit(issue, {}, add_labels=[add], remove_labels=[remove]))

    @rule(who=WHO, issue=issues, parent=issues)
    def move(self, who: int, issue: str, parent: str) -> None:
        self.on(who, lambda clone: clone.edit(issue, {"parent": parent}))

    @rule(who=WHO, issue=issues, other=issues, kind=st.sampled_from(DEPENDENCY_KINDS))
    def depend(self, who: int, issue: str, other: str, kind: str) -> None:
        self.on(who, lambda clone: clone.add_dependency(issue, other, kind))

    @rule(who=WHO, issue=issues, other=issues, kind=st.sampled_from(DEPENDENCY_KINDS))
    def undepend(self, who: int, issue: str, other: str, kind: str) -> None:
        self.on(who, lambda clone: clone.remove_dependency(issue, other, kind))

    @rule(who=WHO, issue=issues)
    def comment(self, who: int, issue: str) -> None:
        self.on(who, lambda clone: clone.comment(issue, "hello"))

    @rule(who=WHO, issue=issues, how=st.sampled_from(PERSON_RESOLUTIONS))
    def close(self, who: int, issue: str, how: str) -> None:
        self.on(who, lambda clone: clone.close_issue(issue, how))

    @rule(who=WHO, issue=issues)
    def reopen(self, who: int, issue: str) -> None:
        self.on(who, lambda clone: clone.reopen(issue))

    @rule(who=WHO, issue=issues, seconds=st.sampled_from([0.0, 1000.0]))
    def claim(self, who: int, issue: str, seconds: float) -> None:
        self.on(who, lambda clone: clone.claim(issue, f"a-{who}", seconds))

    @rule(who=WHO, issue=issues)
    def release(self, who: int, issue: str) -> None:
        self.on(who, lambda clone: clone.release_issue(issue, f"a-{who}"))

    @rule(who=WHO, issue=issues)
    def renew(self, who: int, issue: str) -> None:
        self.on(who, lambda clone: clone.renew(clone.held_lease(issue, f"a-{who}"), 500.0))

    @rule(who=WHO, first=issues, second=issues, title=TITLES)
    def edit_several(self, who: int, first: str, second: str, title: str) -> None:
        self.on(who, lambda clone: clone.edit_many([first, second], {"title": title}, add_labels=["bulk"]))

    @rule(who=WHO, issue=issues, name=TITLES)
    def attach(self, who: int, issue: str, name: str) -> None:
        self.on(who, lambda clone: clone.attach(issue, name, name.encode()))

    @rule(who=WHO, issue=issues)
    def detach(self, who: int, issue: str) -> None:
        self.on(who, lambda clone: clone.detach(issue, "1"))

    @rule(who=WHO)
    def undo(self, who: int) -> None:
        self.on(who, lambda clone: clone.undo())

    @rule(who=WHO, issue=issues)
    def attempt(self, who: int, issue: str) -> None:
        identity = f"a-{who}-{next(self.numbers)}"
        begun: dict[str, Any] = {"agent": "x", "host": "h", "pid": 1, "pid_started": 0.5}
        self.on(who, lambda clone: clone.begin_attempt(clone.resolve(issue), identity, 1000.0, **begun))

    @rule(who=WHO, issue=issues, how=st.sampled_from(["submit", "failed", "give up", "dead"]))
    def go_on_with_attempt(self, who: int, issue: str, how: str) -> None:
        def act(clone: Tracker) -> None:
            running = [one.id for one in clone.attempts(issue) if one.state != "ended"]
            attempt = running[-1] if running else "none"
            if how == "dead":
                return clone.end_dead_attempt(attempt, "interrupted", "it died", head=None)
            lease = clone.held_lease(issue, attempt)
            if how == "submit":
                return void(clone.submit(lease, attempt, commit="c", base="b"))
            return clone.end_attempt(lease, attempt, "failed", "no", give_up="enough" if how == "give up" else None)

        self.on(who, act)

    @rule(who=WHO, issue=issues, how=st.sampled_from(["gate", "fail", "pass", "land", "requeue"]))
    def move_change(self, who: int, issue: str, how: str) -> None:
        def act(clone: Tracker) -> None:
            changes = clone.all_changes(issue)
            change = changes[-1].id if changes else "none"
            {
                "gate": lambda: clone.set_gating(change, "m"),
                "fail": lambda: clone.record_verdict(change, "m", {"passed": False, "reason": "red"}),
                "pass": lambda: clone.record_verdict(change, "m", {"passed": True, "reason": ""}),
                "land": lambda: clone.record_landed(change, "m"),
                "requeue": lambda: clone.requeue(change),
            }[how]()

        self.on(who, act)

    @rule(who=WHO, key=st.sampled_from(["gh-1", "gh-2"]), title=TITLES, closed=st.booleans(), on=st.booleans())
    def bring_in(self, who: int, key: str, title: str, closed: bool, on: bool) -> None:
        item = {
            "id": key, "title": title, "status": "closed" if closed else "open", "priority": 1, "issue_type": "task",
            "created_at": "2020-01-01T00:00:00Z", "updated_at": f"20{20 + next(self.numbers) % 60:02}-02-01T00:00:00Z",
            "created_by": "zoe", "comments": [{"author": "zoe", "text": title, "created_at": "2020-01-03T00:00:00Z"}],
            "dependencies": [{"issue_id": key, "depends_on_id": "gh-1", "type": "blocks"}] * (on and key != "gh-1"),
        }  # fmt: skip
        content = formats.read(json.dumps(item).encode(), "file", "beads")
        self.on(who, lambda clone: clone.import_issues(content, "file"))

    @rule(sender=WHO, receiver=WHO, seed=st.integers(0, 1000), share=st.sampled_from([0.2, 0.7, 1.0]))
    def send(self, sender: int, receiver: int, seed: int, share: float) -> None:
        chance = random.Random(seed)
        found = operations(self.clones[sender % len(self.clones)])
        chance.shuffle(found)
        deliver(self.clones[receiver % len(self.clones)], found[: int(len(found) * share)])

    @invariant()
    def waiting_is_right(self) -> None:
        for clone in getattr(self, "clones", ()):
            expected = waits(clone)
            assert {issue.id for issue in clone.issues() if issue.not_needed} == not_needed(clone)
            for issue in clone.issues():
                assert issue.open_blockers == len(expected[issue.id])
                assert set(clone.blockers(issue.id)) == expected[issue.id]
            assert_nobody_waits_for_himself(expected)


def assert_nobody_waits_for_himself(waiting: dict[str, set[str]]) -> None:
    from graphlib import TopologicalSorter

    TopologicalSorter(waiting).prepare()  # raises CycleError


TestClones = Clones.TestCase
TestClones.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


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
