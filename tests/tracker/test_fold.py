"""Any log can be folded, whoever wrote it."""

import contextlib
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, fold, gitlog, queries, schema
from tapeout.tracker.operations import Operation, tick
from tests.tracker.tools import contents, delete_index, receive

KINDS = (
    "created", "fields-set", "labels-changed", "dependency-added", "dependency-removed", "commented", "closed",
    "attached", "reopened", "claimed", "released", "gave-up", "attempt-started", "attempt-updated", "attempt-noted",
    "attempt-ended", "change-submitted", "change-moved", "change-landed", "noted", "invented-later",
)  # fmt: skip
KEYS = (
    "title", "type", "priority", "labels", "dependencies", "scope", "add", "remove", "target", "kind", "text",
    "resolution", "owner", "token", "expires", "attempt", "number", "agent", "host", "pid", "pid_started", "outcome",
    "detail", "change", "commit", "base", "state", "verdict", "reason", "parent", "granted", "at", "by", "name", "blob",
    "size", "due_at", "deferred_until", "estimate_minutes", "external_ref", "needs_person",
    "topic", "data",
)  # fmt: skip
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["x", "one", "landed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
DATA = st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=6)
LOG = st.lists(st.tuples(st.sampled_from(["one", "two", ""]), st.sampled_from(KINDS), DATA), max_size=25)


def dump(connection: sqlite3.Connection) -> list[str]:
    return list(connection.iterdump())


def read_all(connection: sqlite3.Connection) -> None:
    """Whatever came into the index can be read."""
    for issue in queries.issues(connection, queries.Filter(), -1):
        assert issue.state(1e9)
        assert issue.lease_token + 1 > 0
        queries.dependencies(connection, issue.id)
        queries.comments(connection, issue.id)
        queries.attachments(connection, issue.id)
        queries.attempts(connection, issue=issue.id)
        queries.changes(connection, issue=issue.id)


@settings(deadline=None)
@given(LOG)
def test_a_log_of_anything_is_folded_and_always_to_the_same(log: list[tuple[str, str, dict[str, object]]]) -> None:
    operations = [Operation(f"r.{n}", n, "eve", issue, kind, data) for n, (issue, kind, data) in enumerate(log)]
    results = []
    for _ in range(2):
        with contextlib.closing(schema.in_memory()) as connection:
            for operation in operations:
                fold.apply_logged(connection, operation)
            results.append(dump(connection))
            read_all(connection)
    assert results[0] == results[1]


def test_an_operation_that_makes_no_sense_keeps_no_index_from_being_made(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        issue = tracker.create(Draft("one"))
    before = contents(paths)
    strange = [
        Operation("zz.1", 1, "eve", issue.id, "commented", {}),
        Operation("zz.2", 2, "eve", issue.id, "claimed", {"owner": "eve", "token": 2**80, "expires": 0}),
        Operation("zz.3", 3, "eve", "other", "created", {"title": None}),
        Operation("zz.4", 4, "eve", issue.id, "invented-later", {"x": 1}),
    ]
    gitlog.append(paths, "zz", strange)
    delete_index(paths)
    with Tracker.open(paths, "ada") as tracker:
        assert tracker.issue(issue.id) == issue
        assert len(tracker.events()) == 5
    after = contents(paths)
    assert {name: rows for name, rows in after.items() if name != "operations"} == {
        name: rows for name, rows in before.items() if name != "operations"
    }


@pytest.mark.parametrize(
    "nonsense",
    [{"owner": 5}, {"token": "x"}, {"token": True}, {"expires": "late"}, {"granted": []}],
    ids=str,
)
def test_a_claim_that_makes_no_sense_is_none(tracker: Tracker, nonsense: dict[str, object]) -> None:
    issue = tracker.create(Draft("one"))
    data = {"owner": "eve", "token": 1, "expires": 4e9, "granted": 1.9e9, **nonsense}
    receive(tracker, [Operation("eve.1", tick(0, 1.9e9), "eve", issue.id, "claimed", data)])
    assert tracker.claim(issue.id, "ada").token == 1


@pytest.mark.parametrize("expires", [1e300, -1.0, 253_402_300_800, None, "tomorrow"])
def test_a_lease_without_an_end_on_the_calendar_is_none(tracker: Tracker, expires: object) -> None:
    issue = tracker.create(Draft("one"))
    data = {"owner": "eve", "token": 1, "expires": expires}
    receive(tracker, [Operation("eve.1", tick(0, time.time()), "eve", issue.id, "claimed", data)])
    assert tracker.claim(issue.id, "ada").token == 1


@pytest.mark.parametrize("started", [0.0, 416380008102.26, -5.0, 1 << 60])
def test_a_process_may_have_started_at_any_number(tracker: Tracker, started: float) -> None:
    lease = tracker.claim(tracker.create(Draft("one")).id, "a-1")
    assert tracker.start_attempt(lease, "a-1", agent="x", host="h", pid=1, pid_started=started).pid_started == started
