"""Who waits for whom, derived from dependencies and states after every write and every merge; never part of the log.

An issue waits for the open targets of its `blocks` and `conditional` dependencies. It is not needed if it is
conditional on the failure of an issue that ended well, or on one that is itself not needed; nobody waits for an issue
that is not needed. Two clones can each add a dependency so that together they form a circle: of the circle's
dependencies the newest are ignored, by the same rule everywhere, so that no issue waits for itself for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapeout.base.sqlite import sqlite3
from tapeout.tracker.model import FAILED_RESOLUTIONS, Dependency
from tapeout.tracker.operations import Operation

_FAILED = ", ".join(f"'{resolution}'" for resolution in FAILED_RESOLUTIONS)

_NOT_NEEDED = (
    "status = 'open' AND EXISTS (WITH RECURSIVE above(id) AS ("
    " SELECT target FROM dependencies WHERE issue = issues.id AND kind = 'conditional' AND NOT ignored"
    " UNION SELECT d.target FROM above a JOIN issues i ON i.id = a.id AND i.status = 'open'"
    " JOIN dependencies d ON d.issue = a.id AND d.kind = 'conditional' AND NOT d.ignored)"
    f" SELECT 1 FROM above a JOIN issues i ON i.id = a.id AND i.status = 'closed' AND i.resolution NOT IN ({_FAILED}))"
)

_OPEN_BLOCKERS = (
    "(SELECT count(DISTINCT t.id) FROM dependencies d JOIN issues t ON t.id = d.target WHERE d.issue = issues.id"
    " AND d.kind IN ('blocks', 'conditional') AND NOT d.ignored AND t.status = 'open' AND NOT t.not_needed)"
)


_CONCERNING = frozenset({"created", "dependency-added", "dependency-removed", "closed", "reopened", "change-landed"})
"""Kinds of operations that can change who waits for whom."""


def is_concerned(operation: Operation) -> bool:
    """Whether an operation can change who waits for whom."""
    return operation.kind in _CONCERNING


def after(connection: sqlite3.Connection, operation: Operation) -> None:
    """Derive what follows from an operation of our own. It cannot make a circle: that is refused before."""
    if not is_concerned(operation):
        return
    if operation.kind == "dependency-removed" and _has_ignored(connection):
        for issue in break_circles(connection):
            settle(connection, issue)
    settle(connection, operation.issue)


def after_merge(connection: sqlite3.Connection, issues: Iterable[str]) -> None:
    """Derive what follows from operations of others on these issues, which came in any order."""
    changed = set(issues)
    if _has_ignored(connection) or any(_lies_on_circle(connection, issue) for issue in changed):
        changed.update(break_circles(connection))
    for issue in changed:
        settle(connection, issue)


def _lies_on_circle(connection: sqlite3.Connection, issue: str) -> bool:
    rows = connection.execute(
        "SELECT target FROM dependencies WHERE issue = ? AND kind IN ('blocks', 'conditional')", (issue,)
    ).fetchall()
    return any(would_cycle(connection, issue, target) for (target,) in rows)


def settle(connection: sqlite3.Connection, issue: str) -> None:
    """Derive anew what follows from a change of one issue, for itself and for all that wait for it."""
    if not _has_dependencies(connection, issue):
        return
    changed = {issue}
    for (reached,) in connection.execute(
        "WITH RECURSIVE below(id) AS (VALUES (?) UNION SELECT d.issue FROM below b"
        " JOIN dependencies d ON d.target = b.id AND d.kind = 'conditional') SELECT id FROM below",
        (issue,),
    ).fetchall():
        done = connection.execute(
            f"UPDATE issues SET not_needed = NOT not_needed WHERE id = ? AND not_needed <> ({_NOT_NEEDED})", (reached,)
        )
        if done.rowcount:
            changed.add(reached)
    _recount(connection, changed)


def _has_dependencies(connection: sqlite3.Connection, issue: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM dependencies WHERE target = ?1 AND kind IN ('blocks', 'conditional'))"
        " OR EXISTS (SELECT 1 FROM dependencies WHERE issue = ?1)"
        " OR EXISTS (SELECT 1 FROM issues WHERE id = ?1 AND (open_blockers OR not_needed))",
        (issue,),
    ).fetchone()
    return bool(row[0])


def _recount(connection: sqlite3.Connection, changed: Iterable[str]) -> None:
    concerned = set(changed)
    for one in changed:
        concerned.update(
            row[0]
            for row in connection.execute(
                "SELECT issue FROM dependencies WHERE target = ? AND kind IN ('blocks', 'conditional')", (one,)
            )
        )
    connection.executemany(
        f"UPDATE issues SET open_blockers = {_OPEN_BLOCKERS} WHERE id = ?", ((i,) for i in concerned)
    )


def settle_all(connection: sqlite3.Connection) -> None:
    """Derive everything anew: for an index that was just filled."""
    break_circles(connection)
    connection.execute(
        f"UPDATE issues SET not_needed = ({_NOT_NEEDED}) WHERE not_needed OR id IN"
        " (SELECT issue FROM dependencies WHERE kind = 'conditional')"
    )
    connection.execute(
        f"UPDATE issues SET open_blockers = {_OPEN_BLOCKERS} WHERE open_blockers OR id IN"
        " (SELECT issue FROM dependencies WHERE kind IN ('blocks', 'conditional'))"
    )


def would_cycle(connection: sqlite3.Connection, issue: str, target: str) -> bool:
    """Whether `issue` waiting for `target` would make a circle of waiting issues."""
    row = connection.execute(
        "WITH RECURSIVE reach(id) AS (VALUES (?1) UNION SELECT d.target FROM dependencies d JOIN reach r"
        " ON d.issue = r.id WHERE d.kind IN ('blocks', 'conditional')) SELECT 1 FROM reach WHERE id = ?2 LIMIT 1",
        (target, issue),
    ).fetchone()
    return row is not None


def _has_ignored(connection: sqlite3.Connection) -> bool:
    """Whether any dependency is ignored, because it would close a circle."""
    return connection.execute("SELECT 1 FROM dependencies WHERE ignored LIMIT 1").fetchone() is not None


def break_circles(connection: sqlite3.Connection) -> list[str]:
    """Decide anew which dependencies are ignored; the issues for which that changed.

    Among the dependencies of a circle an older one counts before a newer one: a dependency is ignored if those that
    count already lead back from its target to its issue. The result depends on the set of dependencies only.
    """
    from tapeout.tracker import digraph

    rows = connection.execute(
        "SELECT issue, target, kind, ignored FROM dependencies WHERE kind IN ('blocks', 'conditional')"
        " ORDER BY clock, operation, issue, target, kind"
    ).fetchall()
    edges: dict[str, list[str]] = {}
    for issue, target, *_ in rows:
        edges.setdefault(issue, []).append(target)
    knots = digraph.components(edges)
    accepted: dict[str, list[str]] = {}
    changed = []
    for issue, target, kind, was_ignored in rows:
        ignored = False
        if issue in knots and knots[issue] == knots.get(target):
            ignored = digraph.reaches(accepted, target, issue)
            if not ignored:
                accepted.setdefault(issue, []).append(target)
        if ignored != bool(was_ignored):
            connection.execute(
                "UPDATE dependencies SET ignored = ? WHERE issue = ? AND target = ? AND kind = ?",
                (ignored, issue, target, kind),
            )
            changed.append(issue)
    return changed


def circles(connection: sqlite3.Connection) -> list[tuple[Dependency, list[str]]]:
    """Every ignored dependency with the circle that it would close: from its target back to its issue."""
    rows = connection.execute(
        "SELECT issue, target, kind FROM dependencies WHERE ignored ORDER BY issue, target, kind"
    ).fetchall()
    return [(Dependency(issue, target, kind, True), _way(connection, target, issue)) for issue, target, kind in rows]


def _way(connection: sqlite3.Connection, start: str, goal: str) -> list[str]:
    """A shortest way of waiting from one issue to another, both included."""
    from tapeout.tracker import digraph

    def following(issue: str) -> list[str]:
        rows = connection.execute(
            "SELECT target FROM dependencies WHERE issue = ? AND kind IN ('blocks', 'conditional') AND NOT ignored"
            " ORDER BY target",
            (issue,),
        )
        return [row[0] for row in rows]

    if start == goal:
        return [start]
    ways = digraph.shortest_ways(start, following, lambda issue: issue == goal, 1)
    return [start, *ways[0]] if ways else []


def parent_circles(connection: sqlite3.Connection) -> list[list[str]]:
    """Circles of parents, which merged logs can make; each once, from its smallest id."""
    parents = dict(connection.execute("SELECT id, parent FROM issues WHERE parent IS NOT NULL"))
    found = []
    done: set[str] = set()
    for start in sorted(parents):
        way: dict[str, None] = {}
        node = start
        while node in parents and node not in done and node not in way:
            way[node] = None
            node = parents[node]
        if node in way:
            circle = list(way)[list(way).index(node) :]
            first = circle.index(min(circle))
            found.append(circle[first:] + circle[:first])
        done.update(way)
    return found
