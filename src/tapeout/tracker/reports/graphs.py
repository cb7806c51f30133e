"""The graph of issues: who waits for whom, and who is a child of whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tapeout.base.lean import NamedTuple
from tapeout.base.sqlite import sqlite3
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
    edges: dict[str, list[Edge]]
    if start is None:
        edges = _all_edges(connection, closed)
        order, roots = _reach(lambda node: edges.get(node, []), _roots(edges))
    else:
        edges = _Below(connection)
        order, roots = _reach(edges.__getitem__, [start])
    shown = order if limit < 0 else order[:limit]
    nodes = {issue.id: issue for issue in queries.several(connection, shown)}
    kept = {one: tuple(edges.get(one, ())) for one in nodes}
    return Graph(tuple(one for one in roots if one in nodes), nodes, kept, len(order) - len(shown))


_CHILDREN = "SELECT parent, id FROM issues WHERE parent IS NOT NULL{} ORDER BY priority, created_clock, id"
_WAITING = (
    "SELECT issue, target, kind, ignored FROM dependencies WHERE kind IN ('blocks', 'conditional'){}"
    " ORDER BY issue, target, kind"
)


class _Below(dict[str, list[Edge]]):
    """The connections that begin at an issue, read when they are asked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, issue: str) -> list[Edge]:
        found = self[issue] = [
            *(
                Edge(parent, child, "child", False)
                for parent, child in self._connection.execute(_CHILDREN.format(" AND parent = ?"), (issue,))
            ),
            *(_waiting(row) for row in self._connection.execute(_WAITING.format(" AND issue = ?"), (issue,))),
        ]
        return found


def _waiting(row: tuple[str, str, str, int]) -> Edge:
    return Edge(row[0], row[1], row[2], bool(row[3]))


def _all_edges(connection: sqlite3.Connection, closed: bool) -> dict[str, list[Edge]]:
    """All connections by the issue that they begin at: children first."""
    rows = connection.execute("SELECT id FROM issues" + ("" if closed else " WHERE status = 'open'"))
    known = {row[0] for row in rows}
    found: dict[str, list[Edge]] = {}
    for parent, child in connection.execute(_CHILDREN.format("")):
        if parent in known and child in known:
            found.setdefault(parent, []).append(Edge(parent, child, "child", False))
    for row in connection.execute(_WAITING.format("")):
        if row[0] in known and row[1] in known:
            found.setdefault(row[0], []).append(_waiting(row))
    return found


def _roots(edges: dict[str, list[Edge]]) -> list[str]:
    """First what nothing leads to, then the others: of a circle one has to be the first."""
    reached = {edge.target for below in edges.values() for edge in below}
    return [*(one for one in edges if one not in reached), *(one for one in edges if one in reached)]


def _reach(following: Callable[[str], Sequence[Edge]], starts: Iterable[str]) -> tuple[list[str], list[str]]:
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
                stack += [edge.target for edge in reversed(following(node)) if edge.target not in order]
    return list(order), roots
