"""Which dependencies are ignored because they close a circle, compared with the rule told in the simplest way."""

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.tracker import Tracker, digraph, fold, log, schema, waiting
from tapeout.tracker.operations import Operation

from . import tools

NODES = 6
EDGE = st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1))
EDGES = st.lists(EDGE, max_size=30)


def taken(edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Of edges that come one by one, those whose end does not lead back to their start over those taken before."""
    graph: dict[int, set[int]] = {}
    answers = []
    for start, end in edges:
        reached, more = set[int](), {end}
        while more:
            reached |= more
            more = {after for node in more for after in graph.get(node, ())} - reached
        answers.append(start not in reached)
        if answers[-1]:
            graph.setdefault(start, set()).add(end)
    return answers


@settings(max_examples=500)
@given(EDGES)
def test_what_would_close_a_circle_is_not_taken(edges: list[tuple[int, int]]) -> None:
    acyclic = digraph.Acyclic()
    assert [acyclic.add(str(start), str(end)) for start, end in edges] == taken(edges)


CHANGE = st.tuples(EDGE, st.sampled_from(["blocks", "conditional", "related"]), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(CHANGE, min_size=1, max_size=8), max_size=8))
def test_after_each_change_the_same_are_ignored_as_by_the_rule(
    rounds: list[list[tuple[tuple[int, int], str, bool]]],
) -> None:
    """Only what lies near a change is looked at again."""
    number = 0
    with contextlib.closing(schema.in_memory()) as connection:
        for node in range(NODES):
            fold.apply(connection, Operation(f"r.{node}", node, "ada", str(node), "created", {}))
        for changes in rounds:
            for (start, end), kind, adds in changes:
                number += 1
                word = "added" if adds else "removed"
                data = {"target": str(end), "kind": kind}
                operation = Operation(f"s.{number}", number, "ada", str(start), f"dependency-{word}", data)
                log.store(connection, [operation])
                fold.apply(connection, operation)
            waiting.after_merge(connection, {str(start) for (start, _), *_ in changes})
            rows = connection.execute(
                "SELECT issue, target, NOT ignored FROM dependencies WHERE kind IN ('blocks', 'conditional')"
                " ORDER BY clock, operation, issue, target, kind"
            ).fetchall()
            assert [bool(row[2]) for row in rows] == taken([(int(row[0]), int(row[1])) for row in rows])
            incrementally = connection.execute("SELECT * FROM dependencies").fetchall()
            waiting.settle_all(connection)
            assert connection.execute("SELECT * FROM dependencies").fetchall() == incrementally


@pytest.mark.parametrize("step", [1, -1, 7])
def test_a_long_ring_is_cut_once(tracker: Tracker, step: int) -> None:
    """Whatever the order in which it was made."""
    count = 3_000
    order = [number * step % count for number in range(count)]
    operations = [Operation(f"r.{n + 1}", n + 1, "ada", f"i{n}", "created", {}) for n in range(count)]
    operations += [
        Operation(
            f"r.{n}", n, "ada", f"i{one}", "dependency-added", {"target": f"i{(one + 1) % count}", "kind": "blocks"}
        )
        for n, one in enumerate(order, count + 1)
    ]
    tools.receive(tracker, operations)
    ((ignored, way),) = waiting.circles(tracker._connection)
    assert ignored.issue == f"i{order[-1]}"
    assert len(way) == count
    tools.receive(
        tracker, [Operation("s.1", 9_999, "bob", "i0", "dependency-removed", {"target": "i1", "kind": "blocks"})]
    )
    assert waiting.circles(tracker._connection) == []
