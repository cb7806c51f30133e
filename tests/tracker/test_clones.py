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
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tapeout.base.errors import TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, merge
from tapeout.tracker.model import DEPENDENCY_KINDS, PERSON_RESOLUTIONS
from tapeout.tracker.transfer import formats
from tests.tracker.exchange import deliver, exchange, operations, rows

TITLES = st.sampled_from(["one", "two", "three"])
LABELS = st.sampled_from(["api", "ui", "db"])


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
