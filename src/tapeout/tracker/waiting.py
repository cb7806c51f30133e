"""Who waits for whom, derived from dependencies and states after every write and every merge; never part of the log.

An issue waits for the open targets of its `blocks` and `conditional` dependencies. It is not needed if it is
conditional on the failure of an issue that ended well, or on one that is itself not needed; nobody waits for an issue
that is not needed. Two clones can each add a dependency so that together they form a circle: of the circle's
dependencies the newest are ignored, by the same rule everywhere, so that no issue waits for itself for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapeout.base import jsontext as json
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.model import FAILED_RESOLUTIONS, Dependency
from tapeout.tracker.operations import Operation

_WAITS = "kind IN ('blocks', 'conditional')"

_FAILED = ", ".join(f"'{resolution}'" for resolution in FAILED_RESOLUTIONS)


def _not_needed_among(some: str) -> str:
    """SQL for the ids that are not needed among `some`, ids to which all belong that are conditional on one of them.

    Told downwards, from the issues that ended well to what was conditional on them: that visits each issue once. Told
    upwards, from each issue to what it is conditional on, a long chain would be walked once an issue.
    """
    return (
        "SELECT d.issue FROM dependencies d JOIN issues i ON i.id = d.issue JOIN issues t ON t.id = d.target"
        f" WHERE d.issue IN ({some}) AND d.kind = 'conditional' AND NOT d.ignored AND i.status = 'open'"
        f" AND (t.status = 'closed' AND t.resolution NOT IN ({_FAILED})"
        f" OR t.status = 'open' AND t.not_needed AND t.id NOT IN ({some}))"
        " UNION SELECT d.issue FROM idle JOIN dependencies d ON d.target = idle.id JOIN issues i ON i.id = d.issue"
        " WHERE d.kind = 'conditional' AND NOT d.ignored AND i.status = 'open'"
    )


_CONDITIONAL = "SELECT issue FROM dependencies WHERE kind = 'conditional'"

_BELOW = (
    "WITH RECURSIVE below(id) AS (SELECT value FROM json_each(?) UNION SELECT d.issue FROM below b"
    " JOIN dependencies d ON d.target = b.id AND d.kind = 'conditional'),"
    f" idle(id) AS ({_not_needed_among('SELECT id FROM below')})"
    " SELECT i.id, NOT i.not_needed FROM below JOIN issues i ON i.id = below.id"
    " WHERE i.not_needed <> (i.id IN (SELECT id FROM idle))"
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
        settle(connection, break_circles(connection, [operation.issue]))
    settle(connection, [operation.issue])


def after_merge(connection: sqlite3.Connection, issues: Iterable[str]) -> None:
    """Derive what follows from operations of others on these issues, which came in any order."""
    changed = set(issues)
    changed.update(break_circles(connection, changed))
    settle(connection, changed)


def settle(connection: sqlite3.Connection, issues: Iterable[str]) -> None:
    """Derive anew what follows from changes of these issues, for themselves and for all that wait for them."""
    changed = {issue for issue in issues if _has_dependencies(connection, issue)}
    if not changed:
        return
    rows = connection.execute(_BELOW, (json.dumps(sorted(changed)),)).fetchall()
    connection.executemany("UPDATE issues SET not_needed = ?2 WHERE id = ?1", rows)
    _recount(connection, changed.union(issue for issue, _ in rows))


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
    _break_all_circles(connection)
    connection.execute(
        f"WITH RECURSIVE idle(id) AS ({_not_needed_among(_CONDITIONAL)}) UPDATE issues"
        f" SET not_needed = id IN (SELECT id FROM idle) WHERE not_needed OR id IN ({_CONDITIONAL})"
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


def break_circles(connection: sqlite3.Connection, issues: Iterable[str]) -> list[str]:
    """Decide anew which dependencies are ignored after those of these issues changed; the issues where that changed.

    Among the dependencies of a circle an older one counts before a newer one: a dependency is ignored if those that
    count already lead back from its target to its issue. The result depends on the set of dependencies only.
    """
    from tapeout.tracker import digraph

    edges: dict[str, list[str]] = {}

    def following(issue: str) -> list[str]:
        rows = connection.execute(f"SELECT target FROM dependencies WHERE issue = ? AND {_WAITS}", (issue,))
        return edges.setdefault(issue, [row[0] for row in rows])

    # The oldest dependency that is to be decided otherwise was ignored and its circle is open now, or it closes a
    # circle with one that is new. So no other circles need to be looked at.
    ignored = connection.execute("SELECT issue FROM dependencies WHERE ignored").fetchall()
    return _cut(connection, edges, digraph.components({*issues, *(issue for (issue,) in ignored)}, following))


def _break_all_circles(connection: sqlite3.Connection) -> None:
    from tapeout.tracker import digraph

    edges: dict[str, list[str]] = {}
    for issue, target in connection.execute(f"SELECT issue, target FROM dependencies WHERE {_WAITS}"):
        edges.setdefault(issue, []).append(target)
    _cut(connection, edges, digraph.components(edges, lambda issue: edges.get(issue, ())))


def _cut(connection: sqlite3.Connection, edges: dict[str, list[str]], component: dict[str, int]) -> list[str]:
    """Ignore what closes circles among these edges, and nothing else; the issues for which that changed."""
    from tapeout.tracker import digraph

    on_circles = [i for i, targets in edges.items() if any(component[i] == component[target] for target in targets)]
    rows = connection.execute(
        "SELECT issue, target, kind, ignored FROM dependencies WHERE issue IN"
        f" (SELECT value FROM json_each(?) UNION SELECT issue FROM dependencies WHERE ignored) AND {_WAITS}"
        " ORDER BY clock, operation, issue, target, kind",
        (json.dumps(on_circles),),
    ).fetchall()
    counting = digraph.Acyclic()
    changed = []
    for issue, target, kind, was_ignored in rows:
        ignored = component[issue] == component[target] and not counting.add(issue, target)
        if ignored != bool(was_ignored):
            changed.append((ignored, issue, target, kind))
    connection.executemany("UPDATE dependencies SET ignored = ? WHERE issue = ? AND target = ? AND kind = ?", changed)
    return [issue for _, issue, *_ in changed]


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
