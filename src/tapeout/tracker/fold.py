"""The fold: how operations become rows. Deterministic and total: any operation of a log can be applied to any state.

Applied in `(clock, id)` order the result depends on nothing but the set of operations. Fields are last-writer-wins
one by one, labels and dependencies are sets with additions and removals, comments are a union. An operation of an
unknown kind, from a newer version, changes nothing and is kept in the log.
"""

from __future__ import annotations

from collections.abc import Callable

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.operations import Operation

if TYPE_CHECKING:
    from typing import Any

FIELDS = frozenset(
    {
        "title",
        "body",
        "acceptance",
        "type",
        "priority",
        "parent",
        "agent",
        "assignee",
        "needs_person",
        "deferred_until",
    }
)
"""Fields of an issue that an operation can set directly."""

_Applier = Callable[[sqlite3.Connection, Operation], None]


def apply(connection: sqlite3.Connection, operation: Operation) -> None:
    """Apply one operation that is newer than all that were applied to its issue."""
    applier = _APPLIERS.get(operation.kind)
    if applier is not None:
        applier(connection, operation)


def apply_logged(connection: sqlite3.Connection, operation: Operation) -> bool:
    """Apply an operation as a log holds it, inside a transaction; False if its data makes no sense to this version:
    then it changes nothing, so that no operation of anybody can keep an index from being made."""
    connection.execute("SAVEPOINT operation")
    try:
        apply(connection, operation)
    except (*_NONSENSE, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError):
        connection.execute("ROLLBACK TO operation")
        return False
    finally:
        connection.execute("RELEASE operation")
    return True


_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


def refold(connection: sqlite3.Connection, issue: str) -> None:
    """Fold one issue again from its operations: needed when an operation arrives that is older than the newest."""
    for table in ("labels", "dependencies", "comments", "attempts", "changes"):
        connection.execute(f"DELETE FROM {table} WHERE issue = ?", (issue,))
    connection.execute("DELETE FROM issues WHERE id = ?", (issue,))
    rows = connection.execute(
        "SELECT id, clock, actor, issue, kind, data FROM operations WHERE issue = ? ORDER BY clock, id",
        (issue,),
    ).fetchall()
    for identity, clock, actor, subject, kind, data in rows:
        apply_logged(connection, Operation(identity, clock, actor, subject, kind, json.loads(data)))
    recount_blockers(connection, issue)
    _recount_dependents(connection, issue)


def recount_blockers(connection: sqlite3.Connection, issue: str) -> None:
    """Derive how many open issues this one waits for."""
    connection.execute(
        "UPDATE issues SET open_blockers = (SELECT count(*) FROM dependencies d JOIN issues t ON t.id = d.target"
        " WHERE d.issue = ?1 AND d.kind = 'blocks' AND t.status = 'open') WHERE id = ?1",
        (issue,),
    )


def _recount_dependents(connection: sqlite3.Connection, issue: str) -> None:
    dependents = connection.execute(
        "SELECT issue FROM dependencies WHERE target = ? AND kind = 'blocks'", (issue,)
    ).fetchall()
    for (dependent,) in dependents:
        recount_blockers(connection, dependent)


def _created(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    names = sorted(FIELDS & data.keys())
    columns = "".join(f", {name}" for name in names)
    marks = ", ?" * len(names)
    connection.execute(
        f"INSERT OR IGNORE INTO issues(id, created_at, created_clock, updated_at, scope{columns})"
        f" VALUES (?, ?, ?, ?, ?{marks})",
        (
            operation.issue,
            operation.at,
            operation.clock,
            operation.at,
            json.dumps(data.get("scope", [])),
            *(data[name] for name in names),
        ),
    )
    for label in data.get("labels", []):
        connection.execute("INSERT OR IGNORE INTO labels VALUES (?, ?)", (operation.issue, label))
    for target, kind in data.get("dependencies", []):
        connection.execute("INSERT OR IGNORE INTO dependencies VALUES (?, ?, ?)", (operation.issue, target, kind))
    if data.get("dependencies"):
        recount_blockers(connection, operation.issue)
    _recount_dependents(connection, operation.issue)


def _set(connection: sqlite3.Connection, operation: Operation, **columns: Any) -> None:
    assignments = "".join(f", {name} = ?" for name in columns)
    connection.execute(
        f"UPDATE issues SET updated_at = ?{assignments} WHERE id = ?",
        (operation.at, *columns.values(), operation.issue),
    )


def _fields_set(connection: sqlite3.Connection, operation: Operation) -> None:
    columns = {name: value for name, value in operation.data.items() if name in FIELDS}
    if "scope" in operation.data:
        columns["scope"] = json.dumps(operation.data["scope"])
    _set(connection, operation, **columns)


def _labels_changed(connection: sqlite3.Connection, operation: Operation) -> None:
    for label in operation.data.get("remove", []):
        connection.execute("DELETE FROM labels WHERE issue = ? AND label = ?", (operation.issue, label))
    for label in operation.data.get("add", []):
        connection.execute("INSERT OR IGNORE INTO labels VALUES (?, ?)", (operation.issue, label))
    _set(connection, operation)


def _dependency_added(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO dependencies VALUES (?, ?, ?)",
        (operation.issue, operation.data["target"], operation.data["kind"]),
    )
    _set(connection, operation)
    recount_blockers(connection, operation.issue)


def _dependency_removed(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "DELETE FROM dependencies WHERE issue = ? AND target = ? AND kind = ?",
        (operation.issue, operation.data["target"], operation.data["kind"]),
    )
    _set(connection, operation)
    recount_blockers(connection, operation.issue)


def _commented(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO comments VALUES (?, ?, ?, ?, ?, ?)",
        (operation.id, operation.issue, operation.actor, operation.at, operation.data["text"], operation.clock),
    )
    _set(connection, operation)


def _closed(connection: sqlite3.Connection, operation: Operation) -> None:
    _set(
        connection,
        operation,
        status="closed",
        resolution=operation.data.get("resolution"),
        closed_at=operation.at,
        needs_person=None,
        lease_owner=None,
        lease_expires=None,
    )
    connection.execute(
        "UPDATE changes SET state = 'withdrawn' WHERE issue = ? AND state IN ('queued', 'gating', 'passed')",
        (operation.issue,),
    )
    _recount_dependents(connection, operation.issue)


def _reopened(connection: sqlite3.Connection, operation: Operation) -> None:
    used = connection.execute("SELECT count(*) FROM attempts WHERE issue = ?", (operation.issue,)).fetchone()[0]
    _set(
        connection,
        operation,
        status="open",
        resolution=None,
        closed_at=None,
        needs_person=None,
        budget_from=used,
    )
    _recount_dependents(connection, operation.issue)


def _claimed(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    _set(
        connection,
        operation,
        lease_owner=data["owner"],
        lease_token=data["token"],
        lease_expires=data["expires"],
    )


def _released(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "UPDATE issues SET updated_at = ?, lease_owner = NULL, lease_expires = NULL WHERE id = ? AND lease_token = ?",
        (operation.at, operation.issue, operation.data["token"]),
    )


def _gave_up(connection: sqlite3.Connection, operation: Operation) -> None:
    _set(connection, operation, needs_person=operation.data["reason"])


def _attempt_started(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "INSERT OR IGNORE INTO attempts(id, issue, number, agent, state, host, pid, pid_started, started_at)"
        " VALUES (?, ?, ?, ?, 'starting', ?, ?, ?, ?)",
        (
            data["attempt"],
            operation.issue,
            data["number"],
            data["agent"],
            data["host"],
            data["pid"],
            data["pid_started"],
            operation.at,
        ),
    )


_ATTEMPT_FIELDS = ("state", "base", "head", "rounds", "tokens_used", "tokens_window")


def _attempt_updated(connection: sqlite3.Connection, operation: Operation) -> None:
    columns = {name: operation.data[name] for name in _ATTEMPT_FIELDS if name in operation.data}
    _update(connection, "attempts", operation.data["attempt"], columns)


def _attempt_ended(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns = {name: data[name] for name in ("head", "tokens_used", "tokens_window") if data.get(name) is not None}
    columns |= {
        "state": "ended",
        "outcome": data["outcome"],
        "detail": data["detail"],
        "ended_at": operation.at,
    }
    _update(connection, "attempts", data["attempt"], columns)
    connection.execute("DELETE FROM activity WHERE attempt = ?", (data["attempt"],))


def _change_submitted(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        'INSERT OR IGNORE INTO changes(id, issue, attempt, "commit", base, state, submitted_at,'
        " submitted_clock) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)",
        (
            data["change"],
            operation.issue,
            data["attempt"],
            data["commit"],
            data["base"],
            operation.at,
            operation.clock,
        ),
    )
    _update(connection, "attempts", data["attempt"], {"state": "submitted"})


def _change_moved(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns: dict[str, Any] = {name: data[name] for name in ("state", "candidate") if name in data}
    if "verdict" in data:
        columns["verdict"] = json.dumps(data["verdict"])
    _update(connection, "changes", data["change"], columns)


def _change_landed(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    _update(connection, "changes", data["change"], {"state": "landed"})
    _closed(connection, operation._replace(data={"resolution": "landed"}))
    _set(connection, operation, landed_commit=data["commit"])


def _update(connection: sqlite3.Connection, table: str, identity: str, columns: dict[str, Any]) -> None:
    if not columns:
        return
    assignments = ", ".join(f'"{name}" = ?' for name in columns)
    connection.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", (*columns.values(), identity))


_APPLIERS: dict[str, _Applier] = {
    "created": _created,
    "fields-set": _fields_set,
    "labels-changed": _labels_changed,
    "dependency-added": _dependency_added,
    "dependency-removed": _dependency_removed,
    "commented": _commented,
    "closed": _closed,
    "reopened": _reopened,
    "claimed": _claimed,
    "released": _released,
    "gave-up": _gave_up,
    "attempt-started": _attempt_started,
    "attempt-updated": _attempt_updated,
    "attempt-ended": _attempt_ended,
    "change-submitted": _change_submitted,
    "change-moved": _change_moved,
    "change-landed": _change_landed,
}
