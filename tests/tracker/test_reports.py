"""Reports: why things do not go on, the graph, epics, figures, counts; also where merged logs made circles."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.base.errors import NotFound
from tapeout.tracker import Counts, Draft, Tracker
from tapeout.tracker.model import Issue
from tapeout.tracker.operations import Operation, tick
from tapeout.tracker.reports.reasons import Obstacle, Step
from tests.tracker.tools import receive

DAY = 86_400.0


def bring(tracker: Tracker, *written: tuple[str, str, dict[str, object]]) -> None:
    """Merge operations of another replica: issue, kind, data."""
    start = tick(0, time.time())
    operations = [
        Operation(f"other.{number + 1}", start + number, "bo", issue, kind, data, number + 1)
        for number, (issue, kind, data) in enumerate(written)
    ]
    receive(tracker, operations, time.time())


def depends(issue: str, target: str, kind: str = "blocks") -> tuple[str, str, dict[str, object]]:
    return issue, "dependency-added", {"target": target, "kind": kind}


def ways(one: Obstacle) -> list[list[str]]:
    return [[step.title for step in chain.steps] for chain in one.chains]


def last(one: Obstacle) -> Step:
    return one.chains[0].steps[-1]


def test_the_chain_goes_down_to_the_cause(tracker: Tracker) -> None:
    root = tracker.create(Draft("root"))
    middle = tracker.create(Draft("middle", depends_on=(root.id,)))
    tracker.create(Draft("top", depends_on=(middle.id,), priority=0))
    found = tracker.obstacles()
    assert [(one.title, one.reason, ways(one)) for one in found] == [
        ("top", "blocked", [["middle", "root"]]),
        ("middle", "blocked", [["root"]]),
    ]
    assert found[0].chains[0].steps[0].state == "blocked"
    assert tracker.obstacles(issue=middle.id[:8]) == [found[1]]
    assert tracker.obstacles(issue=root.id) == []
    assert tracker.obstacles(1) == found[:1]
    with pytest.raises(NotFound):
        tracker.obstacles(issue="zzuu")


def test_what_the_cause_waits_for_itself(tracker: Tracker) -> None:
    root = tracker.create(Draft("root"))
    tracker.create(Draft("top", depends_on=(root.id,)))

    def cause() -> Step:
        (one,) = tracker.obstacles()
        return last(one)

    assert cause().state == "ready"
    lease, attempt = tracker.begin_attempt(root.id, "a-1", 60.0, agent="x", host="h", pid=1, pid_started=1.0)
    assert cause()[2:5] == ("leased", "a-1", lease.expires)
    change = tracker.submit(lease, attempt.id, commit="c" * 40, base="b" * 40)
    tracker.end_attempt(lease, attempt.id, "interrupted", "died")
    assert cause().state == "queued"
    tracker.set_gating(change.id, "d" * 40)
    tracker.record_verdict(change.id, "d" * 40, {"passed": False, "reason": "red"})
    tracker.edit(root.id, {"deferred_until": time.time() + DAY})
    assert cause().state == "deferred"
    assert (cause().until or 0) > time.time()
    tracker.edit(root.id, {"deferred_until": None})
    lease, attempt = tracker.begin_attempt(root.id, "a-2", 60.0, agent="x", host="h", pid=1, pid_started=1.0)
    tracker.end_attempt(lease, attempt.id, "failed", "red", give_up="too hard")
    assert (cause().state, cause().why) == ("needs-person", "too hard")


def test_an_epic_is_a_cause_with_its_progress(tracker: Tracker) -> None:
    epic = tracker.create(Draft("epic", type="epic"))
    children = [tracker.create(Draft(f"{number}", parent=epic.id)) for number in range(3)]
    tracker.close_issue(children[0].id)
    tracker.create(Draft("top", depends_on=(epic.id,)))
    (one,) = tracker.obstacles()
    assert (last(one).state, last(one).why) == ("epic", "1 of 3 children closed")


def test_each_cause_is_named_once_by_the_shortest_way(tracker: Tracker) -> None:
    causes = [tracker.create(Draft(f"cause {number}")).id for number in range(7)]
    near = tracker.create(Draft("near", depends_on=tuple(causes)))
    tracker.create(Draft("top", depends_on=(near.id, causes[0]), priority=0))
    top = tracker.obstacles(1)[0]
    assert ways(top)[0] == ["cause 0"]
    assert len(top.chains) == 5
    assert top.more
    assert len({way[-1] for way in ways(top)}) == 5


def test_a_long_chain_is_cut_in_the_middle(tracker: Tracker) -> None:
    drafts = [Draft("0", name="0")]
    drafts += [Draft(f"{n}", name=f"{n}", depends_on=(f"{n - 1}",)) for n in range(1, 2000)]
    issues = tracker.create_many(drafts)
    (one,) = tracker.obstacles(issue=issues[-1].id)
    chain = one.chains[0]
    assert [step.title for step in chain.steps] == ["1998", "1997", "1996", "1995", "1994", "4", "3", "2", "1", "0"]
    assert chain.left_out == 1999 - 10


def test_what_is_not_needed_says_why(tracker: Tracker) -> None:
    first = tracker.create(Draft("first"))
    second = tracker.create(Draft("second", links=((first.id, "conditional"),)))
    tracker.create(Draft("third", links=((second.id, "conditional"),)))
    tracker.close_issue(first.id, "done")
    found = {one.title: one for one in tracker.obstacles()}
    assert {title: (one.reason, ways(one)) for title, one in found.items()} == {
        "second": ("not-needed", [["first"]]),
        "third": ("not-needed", [["second", "first"]]),
    }
    assert last(found["third"]).state == "done"


def test_circles_that_a_merge_made_are_reported_and_end(tracker: Tracker) -> None:
    a, b, c = (tracker.create(Draft(title)).id for title in "abc")
    bring(
        tracker, depends(a, b), depends(b, c), depends(c, a),
        (a, "fields-set", {"parent": b}), (b, "fields-set", {"parent": a}),
    )  # fmt: skip
    found = tracker.obstacles()
    assert {(one.title, one.reason) for one in found} >= {("a", "blocked"), ("b", "blocked"), ("c", "circle")}
    (circle,) = (one.circle for one in found if one.reason == "circle")
    assert circle == (c, a, b)
    (parents,) = (one.circle for one in found if one.reason == "parent-circle")
    assert set(parents) == {a, b}
    graph = tracker.graph()
    assert graph.nodes.keys() == {a, b, c}
    assert [edge.ignored for edge in graph.edges[c]] == [True]
    assert {one.title for one in tracker.find(f"under:{a}")} == {"a", "b"}
    assert tracker.epics() == []


def test_the_graph_below_one_issue(tracker: Tracker) -> None:
    epic = tracker.create(Draft("epic", type="epic"))
    done = tracker.create(Draft("done"))
    child = tracker.create(Draft("child", parent=epic.id, depends_on=(done.id,)))
    tracker.create(Draft("apart", depends_on=(done.id,)))
    tracker.create(Draft("alone"))
    tracker.close_issue(done.id)
    below = tracker.graph(issue=epic.id)
    assert [one.title for one in below.nodes.values()] == ["epic", "child", "done"]
    assert [edge.kind for edge in below.edges[child.id]] == ["blocks"]
    assert {one.title for one in tracker.graph().nodes.values()} == {"epic", "child"}
    assert {one.title for one in tracker.graph(closed=True).nodes.values()} == {"epic", "child", "done", "apart"}


def test_the_graph_says_what_it_leaves_out(tracker: Tracker) -> None:
    root = tracker.create(Draft("root"))
    tracker.create_many([Draft(f"{number}", parent=root.id) for number in range(30)])
    graph = tracker.graph(10)
    assert (len(graph.nodes), graph.left_out) == (10, 21)
    assert (len(tracker.graph().nodes), tracker.graph().left_out) == (31, 0)


def test_epics(tracker: Tracker) -> None:
    full = tracker.create(Draft("full", type="epic", priority=0))
    half = tracker.create(Draft("half", type="epic", priority=1))
    tracker.create(Draft("empty", type="epic"))
    children = [tracker.create(Draft("x", parent=parent.id)) for parent in (full, half, half, half)]
    for child in children[:3]:
        tracker.close_issue(child.id)
    found = tracker.epics()
    assert [(one.title, one.closed, one.children, one.percent, one.closable) for one in found] == [
        ("full", 1, 1, 100, True),
        ("half", 2, 3, 66, False),
        ("empty", 0, 0, 0, False),
    ]
    assert [one.title for one in tracker.epics(closable=True)] == ["full"]
    tracker.close_issue(full.id)
    assert tracker.epics(closable=True) == []
    assert [one.title for one in tracker.epics(status=None, limit=2)] == ["full", "half"]


def test_figures(tracker: Tracker) -> None:
    now = time.time()
    bring(
        tracker,
        *(
            (f"i{number}", "created", {"title": f"{number}", "at": now - (number + 1) * DAY, "labels": ["a"]})
            for number in range(10)
        ),
        ("i9", "closed", {"resolution": "landed", "at": now - 8 * DAY}),
        ("i8", "closed", {"resolution": "done", "at": now - 1 * DAY}),
        ("i0", "fields-set", {"assignee": "bo", "type": "bug", "priority": 1}),
    )
    found = tracker.statistics()
    assert found.states == {"ready": 8, "done": 1, "landed": 1}
    assert [tuple(one) for one in found.types] == [("task", 7, 2), ("bug", 1, 0)]
    assert [tuple(one) for one in found.priorities] == [("1", 1, 0), ("2", 7, 2)]
    assert [tuple(one) for one in found.labels] == [("a", 8, 2)]
    assert [tuple(one) for one in found.assignees] == [("bo", 1, 0)]
    assert found.age.number == 8
    assert found.age.median == pytest.approx(4 * DAY, abs=60)
    assert found.age.p90 == pytest.approx(7 * DAY, abs=60)
    assert found.lead.median == pytest.approx(2 * DAY, abs=60)
    assert found.lead.p90 == pytest.approx(2 * DAY, abs=60)
    assert [(week.opened, week.closed) for week in found.weeks[-2:]] == [(4, 1), (6, 1)]


def test_figures_of_nothing(tracker: Tracker) -> None:
    found = tracker.statistics()
    assert (found.states, found.age.median, found.lead.number) == ({}, None, 0)


def test_figures_of_agents(tracker: Tracker) -> None:
    for number in range(3):
        issue = tracker.create(Draft(f"{number}"))
        lease, attempt = tracker.begin_attempt(
            issue.id, f"a-{number}", 60.0, agent="codex" if number else "claude", host="h", pid=1, pid_started=1.0
        )
        tracker.end_attempt(lease, attempt.id, "landed" if number == 2 else "failed", "so")
    assert [tuple(one) for one in tracker.statistics().agents] == [("codex", 2, 1), ("claude", 1, 0)]


def counted(issues: list[Issue], ready: int, now: float) -> Counts:
    opened = [one for one in issues if one.status == "open"]
    return Counts(
        open=len(opened),
        ready=ready,
        leased=sum(one.is_leased(now) for one in opened),
        blocked=sum(one.open_blockers > 0 for one in opened),
        deferred=sum((one.deferred_until or 0) > now for one in opened),
        needs_person=sum(one.needs_person is not None for one in opened),
        closed=len(issues) - len(opened),
        landed=sum(one.resolution == "landed" for one in issues),
    )


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "expire", "defer", "past", "wait", "conditional", "epic", "close", "fail", "needs",
                         "reopen", "submit", "land"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=15,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(actions=ACTIONS)
def test_counts_are_what_one_would_count(tracker: Tracker, actions: list[tuple[str, int, int]]) -> None:
    """The counts come from indexes; here they are compared with the issues one by one."""
    with tracker._writing():
        for table in ("issues", "operations", "dependencies", "changes", "attempts"):
            tracker._connection.execute(f"DELETE FROM {table}")
    ids = [tracker.create(Draft(f"{number}")).id for number in range(6)]
    written: list[tuple[str, str, dict[str, object]]] = []
    now = time.time()
    for action, one, other in actions:
        number = len(written)
        data: dict[str, tuple[str, dict[str, object]]] = {
            "claim": ("claimed", {"owner": "x", "token": number + 1, "expires": now + 900, "granted": now}),
            "expire": ("claimed", {"owner": "x", "token": number + 1, "expires": now - 900, "granted": now - 1000}),
            "defer": ("fields-set", {"deferred_until": now + 900}),
            "past": ("fields-set", {"deferred_until": now - 900}),
            "wait": ("dependency-added", {"target": ids[other], "kind": "blocks"}),
            "conditional": ("dependency-added", {"target": ids[other], "kind": "conditional"}),
            "epic": ("fields-set", {"type": "epic"}),
            "close": ("closed", {"resolution": "done"}),
            "fail": ("closed", {"resolution": "failed"}),
            "needs": ("gave-up", {"reason": "hard"}),
            "reopen": ("reopened", {}),
            "submit": (
                "change-submitted",
                {"change": f"c-{number}", "attempt": "a-1", "commit": "c" * 40, "base": "b" * 40},
            ),
            "land": ("change-landed", {"change": f"c-{number - 1}", "commit": "d" * 40}),
        }
        written.append((ids[one], *data[action]))
    bring(tracker, *written)
    issues = tracker.issues()
    assert tracker.counts() == counted(issues, len(tracker.ready()), time.time())
    states = dict.fromkeys(sorted({one.state(now) for one in issues}), 0)
    for issue in issues:
        states[issue.state(now)] += 1
    assert tracker.statistics().states == states
