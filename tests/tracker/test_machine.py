"""The whole tracker against a model in memory: any sequence of commands, refused ones included.

At the end of each run the index equals the fold of its operations issue by issue, and the index made again from git.
"""

import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tapeout.base.errors import Conflict, NotAllowed, NotFound, TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, fold, waiting
from tapeout.tracker.model import Lease
from tests.tracker.tools import contents

START = 1_800_000_000.0
OWNERS = st.sampled_from(["a-1", "a-2", "ada"])
OPEN_STATES = ("queued", "gating", "passed")
MOVES = {
    "gating": ("queued",),
    "queued": ("gating", "passed"),
    "passed": ("gating",),
    "failed": ("gating",),
    "conflict": ("queued", "gating"),
    "landed": (*OPEN_STATES, "withdrawn"),
}


@dataclass
class ModelChange:
    issue: str
    attempt: str
    number: int
    state: str = "queued"


@dataclass
class ModelIssue:
    number: int
    priority: int
    epic: bool
    deferred: float = 0
    closed: str | None = None
    person: str | None = None
    waits: set[str] = field(default_factory=set)
    owner: str | None = None
    expires: float = 0
    token: int = 0


class TrackerMachine(RuleBasedStateMachine):
    issues = Bundle("issues")
    leases = Bundle("leases")
    attempts = Bundle("attempts")
    changes = Bundle("changes")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.patch = mock.patch.object(time, "time", self.clock)
        self.patch.start()
        self.folder = tempfile.mkdtemp()
        self.paths = StatePaths(self.folder)
        self.tracker = Tracker.open(self.paths, "ada")
        self.model: dict[str, ModelIssue] = {}
        self.change: dict[str, ModelChange] = {}
        self.ended: dict[str, str | None] = {}

    def clock(self) -> float:
        return self.now

    def teardown(self) -> None:
        self.patch.stop()
        try:
            self.compare_folds()
        finally:
            self.tracker.close()
            shutil.rmtree(self.folder)

    def refuses(self, error: type[TapeoutError] | None) -> "pytest.RaisesExc[TapeoutError] | mock._patch[int]":
        return pytest.raises(error) if error else mock.patch.object(self, "unused", 0, create=True)

    # --- issues ---

    @rule(target=issues, priority=st.integers(0, 4), epic=st.sampled_from([False, False, True]), data=st.data())
    def create(self, priority: int, epic: bool, data: st.DataObject) -> str:
        waits = data.draw(st.sets(st.sampled_from(list(self.model)), max_size=2)) if self.model else set()
        draft = Draft("x", priority=priority, type="epic" if epic else "task", depends_on=tuple(waits))
        issue = self.tracker.create(draft).id
        self.model[issue] = ModelIssue(len(self.model), priority, epic, waits=set(waits))
        return issue

    @rule(issue=issues, priority=st.integers(0, 4), later=st.sampled_from([0.0, 50.0, 500.0]))
    def edit(self, issue: str, priority: int, later: float) -> None:
        self.tracker.edit(issue, {"priority": priority, "deferred_until": self.now + later}, add_labels=["seen"])
        self.model[issue].priority, self.model[issue].deferred = priority, self.now + later

    @rule(issue=issues, other=issues)
    def add_dependency(self, issue: str, other: str) -> None:
        circle = issue in self.reachable(other)
        with self.refuses(NotAllowed if circle else None):
            self.tracker.add_dependency(issue, other)
        if not circle:
            self.model[issue].waits.add(other)

    @rule(issue=issues, other=issues)
    def remove_dependency(self, issue: str, other: str) -> None:
        self.tracker.remove_dependency(issue, other)
        self.model[issue].waits.discard(other)

    @rule(issue=issues)
    def close(self, issue: str) -> None:
        one = self.model[issue]
        with self.refuses(NotAllowed if one.closed else None):
            self.tracker.close_issue(issue, "wontfix")
        if not one.closed:
            self.close_in_model(issue, "wontfix")

    @rule(issue=issues)
    def reopen(self, issue: str) -> None:
        one = self.model[issue]
        with self.refuses(None if one.closed or one.person else NotAllowed):
            self.tracker.reopen(issue)
        one.closed = one.person = None

    @rule(seconds=st.sampled_from([0.0, 0.001, 20.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # --- leases ---

    @rule(target=leases, issue=issues, owner=OWNERS, seconds=st.sampled_from([0.0, 30.0, 300.0]))
    def claim(self, issue: str, owner: str, seconds: float) -> object:
        one = self.model[issue]
        error = NotAllowed if one.closed else Conflict if self.is_held(one) else None
        with self.refuses(error):
            lease = self.tracker.claim(issue, owner, seconds)
        if error:
            return multiple()
        self.granted(lease, owner, seconds)
        return lease

    @rule(target=leases, owner=OWNERS)
    def claim_next(self, owner: str) -> object:
        ready = self.ready()
        with self.refuses(None if ready else NotFound):
            lease = self.tracker.claim_next(owner, 30.0)
        if not ready:
            return multiple()
        assert lease.issue == ready[0]
        self.granted(lease, owner, 30.0)
        return lease

    @rule(lease=leases, seconds=st.sampled_from([0.0, 100.0]))
    def renew(self, lease: Lease, seconds: float) -> None:
        one, error = self.model[lease.issue], self.fenced(lease)
        with self.refuses(error):
            self.tracker.renew(lease, seconds)
        if not error and one.owner:
            one.expires = self.now + seconds

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        error = self.fenced(lease)
        with self.refuses(error):
            self.tracker.release(lease)
        if not error:
            self.model[lease.issue].owner = None

    @rule(issue=issues, owner=OWNERS, force=st.booleans())
    def release_issue(self, issue: str, owner: str, force: bool) -> None:
        one = self.model[issue]
        error = NotAllowed if one.owner is None else Conflict if one.owner != owner and not force else None
        with self.refuses(error):
            self.tracker.release_issue(issue, owner, force=force)
        if not error:
            one.token += one.owner != owner
            one.owner = None

    # --- attempts and changes ---

    @rule(target=attempts, lease=leases)
    def start_attempt(self, lease: Lease) -> object:
        attempt, error = f"a-{len(self.ended)}", self.fenced(lease)
        with self.refuses(error):
            self.tracker.start_attempt(lease, attempt, agent="codex", host="h", pid=1, pid_started=0.5)
        if error:
            return multiple()
        self.ended[attempt] = None
        return attempt, lease

    @rule(target=changes, pair=attempts)
    def submit(self, pair: tuple[str, Lease]) -> object:
        attempt, lease = pair
        queued = any(one.attempt == attempt and one.state in OPEN_STATES for one in self.change.values())
        error = self.fenced(lease) or (NotAllowed if self.model[lease.issue].closed or queued else None)
        with self.refuses(error):
            change = self.tracker.submit(lease, attempt, commit="c", base="b")
        if error:
            return multiple()
        self.change[change.id] = ModelChange(lease.issue, attempt, len(self.change))
        return change.id

    @rule(pair=attempts, give_up=st.sampled_from([None, "no luck"]))
    def end_attempt(self, pair: tuple[str, Lease], give_up: str | None) -> None:
        attempt, lease = pair
        one = self.model[lease.issue]
        error = self.fenced(lease) or (NotAllowed if self.ended[attempt] else None)
        with self.refuses(error):
            self.tracker.end_attempt(lease, attempt, "failed", "red", give_up=give_up)
        if not error:
            self.ended[attempt] = "failed"
            if not one.closed:
                one.owner, one.person = None, give_up or one.person

    @rule(pair=consumes(attempts))
    def end_dead_attempt(self, pair: tuple[str, Lease]) -> None:
        attempt, lease = pair
        one, before = self.model[lease.issue], self.ended[attempt]
        landed = any(c.attempt == attempt and c.state == "landed" for c in self.change.values())
        self.tracker.end_dead_attempt(attempt, "interrupted", "died", head=None, give_up="died")
        self.ended[attempt] = before or ("landed" if landed else "interrupted")
        if not before and not one.closed and one.owner == attempt:
            one.token, one.owner, one.person = one.token + 1, None, "died"

    @rule(target=changes, issue=issues, states=st.sampled_from([[], ["gating"], ["gating", "passed"]]))
    def work(self, issue: str, states: list[str]) -> object:
        """The usual way of an issue into the queue, in one step, so that runs get to what comes after it."""
        one, attempt = self.model[issue], f"a-{len(self.ended)}"
        if one.closed or self.is_held(one):
            return multiple()
        lease = self.tracker.claim(issue, attempt, 30.0)
        self.granted(lease, attempt, 30.0)
        self.start_attempt(lease)
        change: str = self.submit((attempt, lease))  # type: ignore[assignment]
        for state in states:
            self.move(change, state)
        self.end_attempt((attempt, lease), None)
        return change

    @rule(change=changes, state=st.sampled_from(sorted(MOVES)))
    def move(self, change: str, state: str) -> None:
        one, tracker = self.change[change], self.tracker
        error = None if one.state in MOVES[state] else NotAllowed
        with self.refuses(error):
            match state:
                case "gating":
                    tracker.set_gating(change, "m")
                case "queued":
                    tracker.requeue(change)
                case "passed" | "failed":
                    tracker.record_verdict(change, "m", {"passed": state == "passed", "reason": "x"})
                case "conflict":
                    tracker.record_conflict(change, ["a.py"])
                case _:
                    tracker.record_landed(change, "m")
        if not error:
            one.state = state
            if state == "landed":
                self.close_in_model(one.issue, "landed")

    # --- what must hold ---

    @invariant()
    def ready_issues_agree(self) -> None:
        assert [issue.id for issue in self.tracker.ready()] == self.ready()

    @invariant()
    def issues_agree(self) -> None:
        found = {issue.id: issue for issue in self.tracker.issues()}
        assert found.keys() == self.model.keys()
        for identity, one in self.model.items():
            issue = found[identity]
            assert issue.open_blockers == len(self.blockers(one)) == len(self.tracker.blockers(identity))
            assert (issue.resolution, issue.needs_person) == (one.closed, one.person)
            assert (issue.lease_owner, issue.lease_token) == (one.owner, one.token)

    @invariant()
    def queue_and_attempts_agree(self) -> None:
        queue = [(self.model[c.issue].priority, c.number, i) for i, c in self.change.items() if c.state in OPEN_STATES]
        assert [change.id for change in self.tracker.changes()] == [identity for *_, identity in sorted(queue)]
        assert {one.id: one.outcome for one in self.tracker.attempts()} == self.ended

    def compare_folds(self) -> None:
        def rows() -> dict[str, object]:
            found = contents(self.paths)
            # Renewals are not in the log: after a rebuild a lease lives as long as it was first given.
            found["issues"] = [tuple(v for v in row if not isinstance(v, float)) for row in found["issues"]]
            return {**found}

        expected = rows()
        connection = sqlite3.connect(self.paths.tracker_db, isolation_level=None)
        for issue in self.model:
            fold.refold(connection, issue)
            waiting.after_merge(connection, [issue])
        connection.close()
        assert rows() == expected
        self.tracker.flush()
        from tapeout.tracker import rebuild

        rebuild.rebuild(self.paths)
        assert rows() == expected
        assert self.tracker.counts().open == sum(one.closed is None for one in self.model.values())

    # --- the model ---

    def is_held(self, one: ModelIssue) -> bool:
        return one.owner is not None and one.expires > self.now

    def granted(self, lease: Lease, owner: str, seconds: float) -> None:
        one = self.model[lease.issue]
        assert lease.token == one.token + 1
        one.owner, one.token, one.expires = owner, lease.token, self.now + seconds

    def fenced(self, lease: Lease) -> type[TapeoutError] | None:
        one = self.model[lease.issue]
        gone = one.token != lease.token or one.owner not in (lease.owner, None)
        return Conflict if gone or (one.owner is None and not one.closed) else None

    def blockers(self, one: ModelIssue) -> list[str]:
        return [target for target in one.waits if not self.model[target].closed]

    def reachable(self, start: str) -> set[str]:
        found, stack = set(), [start]
        while stack:
            issue = stack.pop()
            if issue not in found:
                found.add(issue)
                stack += self.model[issue].waits
        return found

    def close_in_model(self, issue: str, resolution: str) -> None:
        one = self.model[issue]
        one.closed, one.person, one.owner = resolution, None, None
        for change in self.change.values():
            if change.issue == issue and change.state in OPEN_STATES:
                change.state = "withdrawn"

    def ready(self) -> list[str]:
        waiting = {change.issue for change in self.change.values() if change.state in OPEN_STATES}
        found = [
            (one.priority, one.number, identity)
            for identity, one in self.model.items()
            if not (one.closed or one.person or one.epic or identity in waiting or self.blockers(one))
            and not self.is_held(one)
            and one.deferred <= self.now
        ]
        return [identity for *_, identity in sorted(found)]


TestTracker = TrackerMachine.TestCase
TestTracker.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
