"""Logs that come from elsewhere may hold anything: what was merged keeps no command from working."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.base.errors import NotAllowed, TapeoutError
from tapeout.base.paths import StatePaths
from tapeout.cli import graph as cli_graph
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.history.entries import BLAMED
from tapeout.tracker.operations import Operation, decode
from tapeout.tracker.transfer import snapshot
from tests.tracker.exchange import deliver, operations, rows
from tests.tracker.test_fold import KINDS

TEXTS = st.sampled_from(
    ["x", "", "one", "../../x", "\x1b[2Jx\r\n", "landed", "failed", "blocks", "conditional", "ended", "\0"]
)
NUMBERS = st.sampled_from(
    [0, 1, -1, 2**53, 2**62, 2**63 - 1, 2**63, 2**80, -(2**63), 1e308, -1e308, 0.5, 1e10, float("inf")]
)
ODD: st.SearchStrategy[Any] = st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(TEXTS | NUMBERS, max_size=2)
ANY = ODD | st.dictionaries(TEXTS, ODD, max_size=2)
ISSUES = st.sampled_from(["one", "two", "three", "", "../../x", "a\x1b[2J\nb", "x" * 10_000, "-x"])
KNOWN = st.sampled_from(["one", "two", "three"])
PROPER: dict[str, st.SearchStrategy[Any]] = {
    "title": TEXTS, "body": TEXTS, "type": st.sampled_from(["task", "epic", "odd"]), "priority": st.integers(-1, 9),
    "labels": st.lists(TEXTS, max_size=2), "scope": st.lists(TEXTS, max_size=2), "add": st.lists(TEXTS, max_size=2),
    "dependencies": st.lists(st.tuples(ISSUES, TEXTS), max_size=2), "target": ISSUES, "parent": ISSUES,
    "kind": st.sampled_from(["blocks", "conditional", "related", "odd"]), "text": TEXTS, "resolution": TEXTS,
    "owner": TEXTS, "token": st.integers(0, 3), "expires": st.floats(0, 4e9), "attempt": KNOWN, "change": KNOWN,
    "number": st.integers(0, 3), "agent": TEXTS, "host": TEXTS, "pid": st.integers(0, 9),
    "pid_started": st.floats(0, 9), "outcome": TEXTS, "detail": TEXTS, "commit": TEXTS, "base": TEXTS,
    "state": st.sampled_from(["queued", "failed", "passed", "ended", "odd"]), "reason": TEXTS, "name": TEXTS,
    "blob": TEXTS, "size": st.integers(0, 9), "due_at": st.floats(0, 4e9), "deferred_until": st.floats(0, 4e9),
    "verdict": st.dictionaries(st.sampled_from(["reason", "findings", "passed", "seconds", "paths"]), ODD),
    "at": st.floats(0, 4e9), "by": TEXTS, "source": TEXTS, "estimate_minutes": st.integers(0, 99),
    "external_ref": TEXTS, "assignee": TEXTS, "undoes": TEXTS, "what": TEXTS, "granted": st.floats(0, 4e9),
    "tokens_used": st.integers(0, 9), "rounds": st.integers(0, 9),
}  # fmt: skip
DATA = st.fixed_dictionaries({}, optional=PROPER) | st.dictionaries(st.sampled_from(sorted(PROPER)), ANY, max_size=5)
CREATED = st.fixed_dictionaries(
    {"title": TEXTS},
    optional={
        name: PROPER[name] | ANY
        for name in ("type", "parent", "due_at", "labels", "dependencies", "at", "priority", "scope")
    },
)
MORE = (*KINDS, "attached", "detached", "comment-removed", "heard")
LOG = st.lists(
    st.tuples(ISSUES, st.just("created"), CREATED) | st.tuples(KNOWN | ISSUES, st.sampled_from(MORE), DATA),
    max_size=15,
)  # fmt: skip


def as_logged(log: list[tuple[str, str, dict[str, Any]]], start: int = 0) -> list[Operation]:
    """The operations as they come out of a log: through its text."""
    return [
        decode(json.dumps([f"zzzzzzzzzzzz.{n}", n << 40, "ev\x1b[2Je", issue, kind, data]))
        for n, (issue, kind, data) in enumerate(log, start=start + 1)
    ]


def looks(tracker: Tracker) -> list[Callable[[], object]]:
    """Everything that a command would read."""
    ids = [issue.id for issue in tracker.issues()]
    found: list[Callable[[], object]] = [
        tracker.issues, tracker.ready, tracker.counts, tracker.next_wake, tracker.epics, tracker.statistics,
        tracker.obstacles, tracker.circles, tracker.parent_circles, tracker.events, tracker.attempts, tracker.changes,
        tracker.acts, lambda: cli_graph.tree(tracker.graph(closed=True)),
        lambda: cli_graph.mermaid(tracker.graph(closed=True)), lambda: tracker.search("x"),
        lambda: tracker.find("-type:epic updated:<7d due:<7d"), lambda: tracker.prime(1_500).text,
        lambda: list(snapshot.pages(tracker.issues(), tracker.records(), time.time())),
    ]  # fmt: skip
    found += [lambda to=to: list(tracker.export_issues(to)) for to in ("tapeout", "beads", "github")]  # type: ignore[misc]
    for one in ids:
        found += [
            lambda one=one: tracker.issue(one).state(1.0),  # type: ignore[misc]
            lambda one=one: tracker.history(one),  # type: ignore[misc]
            lambda one=one: [tracker.blame(one, field) for field in BLAMED],  # type: ignore[misc]
            lambda one=one: (tracker.comments(one), tracker.attachments(one), tracker.attempts(one)),  # type: ignore[misc]
            lambda one=one: (tracker.all_changes(one), tracker.dependencies(one), tracker.blockers(one)),  # type: ignore[misc]
            lambda one=one: tracker.prime(1_500, one).text,  # type: ignore[misc]
            lambda one=one: tracker.obstacles(issue=one),  # type: ignore[misc]
            lambda one=one: tracker.graph(issue=one),  # type: ignore[misc]
        ]
    return found


def check_all_works(tracker: Tracker) -> None:
    for look in looks(tracker):
        json.dumps(look(), allow_nan=False, default=repr)
    for issue in tracker.issues():
        acts: list[Callable[[Tracker], object]] = [
            lambda t, i=issue.id: t.edit(i, {"title": "mine"}, add_labels=["mine"]),  # type: ignore[misc]
            lambda t, i=issue.id: t.claim(i, "me"),  # type: ignore[misc]
            lambda t, i=issue.id: t.release_issue(i, "me", force=True),  # type: ignore[misc]
            lambda t, i=issue.id: t.detach(i, "1"),  # type: ignore[misc]
            lambda t, i=issue.id: t.close_issue(i),  # type: ignore[misc]
            lambda t, i=issue.id: t.reopen(i),  # type: ignore[misc]
            lambda t: t.undo(), lambda t: t.undo(), lambda t: t.undo(), lambda t: t.undo(), lambda t: t.undo(),
        ]  # fmt: skip
        for act in acts:
            with contextlib.suppress(TapeoutError):
                act(tracker)
    tracker.flush()
    assert not tracker.has_outbox()


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(LOG, st.randoms(use_true_random=False))
def test_whatever_a_log_holds_every_command_works(
    tmp_path_factory: pytest.TempPathFactory, log: list[tuple[str, str, dict[str, Any]]], chance: Any
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    with (
        Tracker.open(StatePaths(str(folder / "one")), "ada") as one,
        Tracker.open(StatePaths(str(folder / "two")), "ben") as two,
    ):
        sent = as_logged(log)
        deliver(one, sent)
        chance.shuffle(sent)
        middle = len(sent) // 2
        deliver(two, sent[:middle])
        deliver(two, sent[middle:])
        assert rows(one) == rows(two)
        check_all_works(one)
        before = rows(one)
        deliver(two, operations(one))
        assert rows(two) == before


@pytest.mark.parametrize("kind", ["blocks", "conditional"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_long_chain_of_waiting_issues_is_merged_in_steps_that_grow_with_its_length(
    tmp_path: Path, kind: str, backwards: bool
) -> None:
    def steps(length: int) -> int:
        """Thousands of steps of SQLite's virtual machine, which unlike time are the same on any machine."""
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        log: list[tuple[str, str, dict[str, Any]]] = [
            (f"i{n}", "created", {"title": "x", "dependencies": [[f"i{n - 1}", kind]] if n else []})
            for n in range(length)
        ]
        with Tracker.open(StatePaths(str(tmp_path / str(length))), "ada") as tracker:
            tracker._connection.set_progress_handler(count, 1000)
            for part in (log[length // 2 :], log[: length // 2]) if backwards else (log,):
                deliver(tracker, as_logged(part, start=log.index(part[0])))
            tracker.close_issue("i0")
            assert sum(issue.open_blockers or issue.not_needed for issue in tracker.issues()) in (
                length - 1,
                length - 2,
            )
        return counted

    assert steps(800) < 3 * steps(400)


def test_an_issue_with_the_last_clock_that_there_is_says_that_it_cannot_be_changed(tmp_path: Path) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "one")), "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        last = Operation("zzzzzzzzzzzz.1", 2**63 - 1, "eve", issue, "commented", {"text": "the end"}, 1)
        deliver(tracker, [last])
        with pytest.raises(NotAllowed, match="cannot be changed any more"):
            tracker.comment(issue, "more")
        tracker.comment(tracker.create(Draft("two")).id, "others can")
        check_all_works(tracker)


def test_what_hangs_on_an_issue_that_was_never_filed_keeps_no_command_from_working(tmp_path: Path) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "one")), "ada") as tracker:
        deliver(tracker, as_logged([("one", "dependency-added", {"target": "one", "kind": "blocks"})]))
        check_all_works(tracker)


@pytest.mark.parametrize("blob", ["nonsense", "../../x", "dead", "f" * 40, "F" * 40, "log", ""])
def test_an_attachment_that_is_none_stops_nothing_from_getting_to_git(tmp_path: Path, blob: str) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "one")), "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        tracker.flush()
        if blob == "log":
            blob = str(next(iter(pygit2.Repository(tracker.paths.tracker_git).references.iterator())).target)
        deliver(tracker, as_logged([(issue, "attached", {"name": "../x", "blob": blob, "size": 3})], start=1 << 20))
        tracker.detach(issue, "1")
        tracker.undo()
        tracker.flush()
        assert not tracker.has_outbox()
        assert [one.blob for one in tracker.attachments(issue)] == [blob]
