"""The graph of issues: who waits for whom, and who is a child of whom."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from tapeout.tracker import queries
from tapeout.tracker.model import Issue


class Edge(NamedTuple):
    """A connection between two issues: the first waits for the second, or is its parent."""

    issue: str
    target: str
    kind: str
    """`blocks` or `conditional`: `issue` waits for `target`; `child`: `target` is a child of `issue`."""
    ignored: bool
    """It would close a circle: nobody waits for it."""


class Graph(NamedTuple):
    """Issues, in the order in which they are reached from those that nothing leads to, and their connections."""

    roots: tuple[str, ...]
    nodes: dict[str, Issue]
    edges: dict[str, tuple[Edge, ...]]
    """From an issue of the graph; what they lead to may have been left out."""
    left_out: int
    """Issues beyond the limit."""


def graph(connection: sqlite3.Connection, limit: int, *, start: str | None = None, closed: bool = False) -> Graph:
    """The graph below one issue, or of all that have any connection.

    Args:
        limit: how many issues; negative means all.
        closed: with closed issues; below one issue they are always there.
    """
    edges = _edges(connection, closed or start is not None)
    order, roots = _reach(edges, [start] if start is not None else _roots(edges))
    shown = order if limit < 0 else order[:limit]
    nodes = {issue.id: issue for issue in queries.several(connection, shown)}
    kept = {one: tuple(edges.get(one, ())) for one in nodes}
    return Graph(tuple(one for one in roots if one in nodes), nodes, kept, len(order) - len(shown))


def _edges(connection: sqlite3.Connection, closed: bool) -> dict[str, list[Edge]]:
    """All connections by the issue that they begin at: children first."""
    both_open = "" if closed else " AND {0}.status = 'open' AND {1}.status = 'open'"
    found: dict[str, list[Edge]] = {}
    for parent, child in connection.execute(
        "SELECT c.parent, c.id FROM issues c JOIN issues p ON p.id = c.parent WHERE c.parent IS NOT NULL"
        + both_open.format("c", "p")
        + " ORDER BY c.priority, c.created_clock, c.id"
    ):
        found.setdefault(parent, []).append(Edge(parent, child, "child", False))
    for issue, target, kind, ignored in connection.execute(
        "SELECT d.issue, d.target, d.kind, d.ignored FROM dependencies d JOIN issues i ON i.id = d.issue"
        " JOIN issues t ON t.id = d.target WHERE d.kind IN ('blocks', 'conditional')"
        + both_open.format("i", "t")
        + " ORDER BY i.priority, i.created_clock, d.issue, d.target, d.kind"
    ):
        found.setdefault(issue, []).append(Edge(issue, target, kind, bool(ignored)))
    return found


def _roots(edges: dict[str, list[Edge]]) -> list[str]:
    """First what nothing leads to, then the others: of a circle one has to be the first."""
    reached = {edge.target for below in edges.values() for edge in below}
    return [*(one for one in edges if one not in reached), *(one for one in edges if one in reached)]


def _reach(edges: dict[str, list[Edge]], starts: Iterable[str]) -> tuple[list[str], list[str]]:
    """All issues in the order of a walk in depth, and those of the starts that were not reached from another."""
    order: dict[str, None] = {}
    roots = []
    for start in starts:
        if start in order:
            continue
        roots.append(start)
        stack = [start]
        while stack:
            node = stack.pop()
            if node not in order:
                order[node] = None
                stack += [edge.target for edge in reversed(edges.get(node, ())) if edge.target not in order]
    return list(order), roots
