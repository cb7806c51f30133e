"""The fold: how operations become rows. Deterministic and total: any operation of a log can be applied to any state.

Applied in `(clock, id)` order the result depends on nothing but the set of operations. Fields are last-writer-wins
one by one, labels and dependencies are sets with additions and removals, comments and attachments are a union. Of two
claims that did not know of each other the earlier one holds. An operation of an unknown kind, from a newer version,
changes nothing and is kept in the log.

An operation changes rows of its own issue only. What follows for other issues, such as who waits for whom, is derived
afterwards (`waiting`).
"""

from __future__ import annotations

from collections.abc import Callable

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import log
from tapeout.tracker.operations import Operation

if TYPE_CHECKING:
    from typing import Any

_TEXT = (str,)
_WHOLE = (int,)
_NUMBER = (int, float)
_OPTIONAL_TEXT = (str, type(None))
_OPTIONAL_NUMBER = (int, float, type(None))

FIELDS: dict[str, tuple[type, ...]] = {
    "title": _TEXT,
    "body": _TEXT,
    "acceptance": _TEXT,
    "design": _TEXT,
    "type": _TEXT,
    "priority": _WHOLE,
    "scope": (list,),
    "parent": _OPTIONAL_TEXT,
    "agent": _OPTIONAL_TEXT,
    "assignee": _OPTIONAL_TEXT,
    "needs_person": _OPTIONAL_TEXT,
    "deferred_until": _OPTIONAL_NUMBER,
    "due_at": _OPTIONAL_NUMBER,
    "estimate_minutes": (int, type(None)),
    "external_ref": _OPTIONAL_TEXT,
}
"""Fields of an issue that an operation can set directly, and the types of their values."""

_Applier = Callable[[sqlite3.Connection, Operation], None]

NONSENSE = (
    LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
    sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError,
)  # fmt: skip
"""What applying an operation raises whose data makes no sense to this version."""


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
    except NONSENSE:
        connection.execute("ROLLBACK TO operation")
        return False
    finally:
        connection.execute("RELEASE operation")
    return True


def refold(connection: sqlite3.Connection, issue: str) -> None:
    """Fold one issue again from its operations: needed when an operation arrives that is older than the newest.

    Renewals of a lease are in the index only: a lease that still holds afterwards lives as long as before.
    """
    lease = connection.execute(
        "SELECT lease_expires, lease_granted, id, lease_owner, lease_token FROM issues WHERE id = ?", (issue,)
    ).fetchone()
    for table in ("labels", "dependencies", "comments", "attachments", "attempts", "changes"):
        connection.execute(f"DELETE FROM {table} WHERE issue = ?", (issue,))
    connection.execute("DELETE FROM issues WHERE id = ?", (issue,))
    for operation in log.operations_of(connection, issue):
        apply_logged(connection, operation)
    if lease is not None:
        connection.execute(
            "UPDATE issues SET lease_expires = ?, lease_granted = ?"
            " WHERE id = ? AND lease_owner = ? AND lease_token = ?",
            lease,
        )


def checked_value(name: str, value: Any) -> Any:
    """A field's value as its column holds it.

    Raises:
        TypeError: it is of another type than the field.
    """
    checked = _typed(name, value, FIELDS[name])
    return json.dumps(checked) if name == "scope" else checked


def _typed(name: str, value: Any, types: tuple[type, ...]) -> Any:
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}")
    return value


def _created(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns = {name: checked_value(name, data[name]) for name in data if name in FIELDS}
    when = operation.happened_at
    names = "".join(f", {name}" for name in columns)
    connection.execute(
        f"INSERT OR IGNORE INTO issues(id, created_by, created_at, created_clock, updated_at{names})"
        f" VALUES (?, ?, ?, ?, ?{', ?' * len(columns)})",
        (operation.issue, operation.author, when, operation.clock, when, *columns.values()),
    )
    if "labels" in data:
        rows = [(operation.issue, label) for label in data["labels"]]
        connection.executemany("INSERT OR IGNORE INTO labels VALUES (?, ?)", rows)
    for target, kind in data.get("dependencies", ()):
        _insert_dependency(connection, operation, target, kind)


def _set(connection: sqlite3.Connection, operation: Operation, **columns: Any) -> None:
    assignments = "".join(f", {name} = ?" for name in columns)
    connection.execute(
        f"UPDATE issues SET updated_at = ?{assignments} WHERE id = ?",
        (operation.happened_at, *columns.values(), operation.issue),
    )


def _fields_set(connection: sqlite3.Connection, operation: Operation) -> None:
    columns = {name: checked_value(name, value) for name, value in operation.data.items() if name in FIELDS}
    _set(connection, operation, **columns)


def _labels_changed(connection: sqlite3.Connection, operation: Operation) -> None:
    for label in operation.data.get("remove", ()):
        connection.execute("DELETE FROM labels WHERE issue = ? AND label = ?", (operation.issue, label))
    for label in operation.data.get("add", ()):
        connection.execute("INSERT OR IGNORE INTO labels VALUES (?, ?)", (operation.issue, label))
    _set(connection, operation)


def _insert_dependency(connection: sqlite3.Connection, operation: Operation, target: str, kind: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO dependencies(issue, target, kind, clock, operation) VALUES (?, ?, ?, ?, ?)",
        (operation.issue, target, kind, operation.clock, operation.id),
    )


def _dependency_added(connection: sqlite3.Connection, operation: Operation) -> None:
    _insert_dependency(connection, operation, operation.data["target"], operation.data["kind"])
    _set(connection, operation)


def _dependency_removed(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "DELETE FROM dependencies WHERE issue = ? AND target = ? AND kind = ?",
        (operation.issue, operation.data["target"], operation.data["kind"]),
    )
    _set(connection, operation)


def _commented(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO comments VALUES (?, ?, ?, ?, ?, ?)",
        (
            operation.id,
            operation.issue,
            operation.author,
            operation.happened_at,
            _typed("text", operation.data["text"], _TEXT),
            operation.clock,
        ),
    )
    _set(connection, operation)


def _comment_removed(connection: sqlite3.Connection, operation: Operation) -> None:
    _remove(connection, "comments", operation, operation.data["comment"])


def _attached(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "INSERT OR IGNORE INTO attachments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation.id,
            operation.issue,
            _typed("name", data["name"], _TEXT),
            _typed("blob", data["blob"], _TEXT),
            _typed("size", data["size"], _WHOLE),
            operation.author,
            operation.happened_at,
            operation.clock,
        ),
    )
    _set(connection, operation)


def _detached(connection: sqlite3.Connection, operation: Operation) -> None:
    _remove(connection, "attachments", operation, operation.data["attachment"])


def _remove(connection: sqlite3.Connection, table: str, operation: Operation, identity: str) -> None:
    connection.execute(f"DELETE FROM {table} WHERE id = ? AND issue = ?", (identity, operation.issue))
    _set(connection, operation)


def _closed(connection: sqlite3.Connection, operation: Operation) -> None:
    """Close; what has landed stays landed, whatever another clone decided at the same time."""
    connection.execute(
        "UPDATE issues SET updated_at = ?1, status = 'closed', closed_at = ?1, needs_person = NULL, lease_owner = NULL,"
        " lease_expires = NULL, lease_granted = NULL, resolution = ?2"
        " WHERE id = ?3 AND NOT (status = 'closed' AND resolution = 'landed')",
        (operation.happened_at, operation.data.get("resolution"), operation.issue),
    )
    connection.execute(
        "UPDATE changes SET state = 'withdrawn' WHERE issue = ? AND state IN ('queued', 'gating', 'passed')",
        (operation.issue,),
    )


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


def _claimed(connection: sqlite3.Connection, operation: Operation) -> None:
    """A claim whose token is not above the newest was made without knowing of that one: it holds only if that lease
    had ended by then."""
    data = operation.data
    connection.execute(
        "UPDATE issues SET updated_at = ?1, lease_owner = ?2, lease_token = max(lease_token, ?3), lease_expires = ?4,"
        " lease_granted = ?6 WHERE id = ?5"
        " AND (?3 > lease_token OR lease_owner IS NULL OR lease_expires <= ?1)",
        (
            operation.at,
            _typed("owner", data["owner"], _TEXT),
            _typed("token", data["token"], _WHOLE),
            _typed("expires", data["expires"], _NUMBER),
            operation.issue,
            _typed("granted", data.get("granted", operation.at), _NUMBER),
        ),
    )


def _released(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "UPDATE issues SET updated_at = ?, lease_owner = NULL, lease_expires = NULL, lease_granted = NULL"
        " WHERE id = ? AND lease_token = ? AND lease_owner = coalesce(?, lease_owner)",
        (operation.at, operation.issue, data["token"], data.get("owner")),
    )


def _gave_up(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "UPDATE issues SET updated_at = ?, needs_person = ? WHERE id = ? AND status = 'open'",
        (operation.at, operation.data["reason"], operation.issue),
    )


def _attempt_started(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "INSERT OR IGNORE INTO attempts(id, issue, number, agent, state, host, pid, pid_started, started_at, replica)"
        " VALUES (?, ?, ?, ?, 'starting', ?, ?, ?, ?, ?)",
        (
            data["attempt"],
            operation.issue,
            data["number"],
            data["agent"],
            data["host"],
            data["pid"],
            data["pid_started"],
            operation.at,
            operation.replica,
        ),
    )


_ATTEMPT_FIELDS = ("state", "base", "head", "rounds", "tokens_used", "tokens_window")


def _attempt_updated(connection: sqlite3.Connection, operation: Operation) -> None:
    columns = {name: operation.data[name] for name in _ATTEMPT_FIELDS if name in operation.data}
    _update(connection, "attempts", operation, operation.data["attempt"], columns)


def _attempt_ended(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns = {name: data[name] for name in ("head", "tokens_used", "tokens_window") if data.get(name) is not None}
    columns |= {
        "state": "ended",
        "outcome": data["outcome"],
        "detail": data["detail"],
        "ended_at": operation.at,
    }
    _update(connection, "attempts", operation, data["attempt"], columns)
    connection.execute("DELETE FROM activity WHERE attempt = ?", (data["attempt"],))


def _change_submitted(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        'INSERT OR IGNORE INTO changes(id, issue, attempt, "commit", base, state, submitted_at,'
        " submitted_clock, replica) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
        (
            data["change"],
            operation.issue,
            data["attempt"],
            data["commit"],
            data["base"],
            operation.at,
            operation.clock,
            operation.replica,
        ),
    )
    _update(connection, "attempts", operation, data["attempt"], {"state": "submitted"})


def _change_moved(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns: dict[str, Any] = {name: data[name] for name in ("state", "candidate") if name in data}
    if "verdict" in data:
        columns["verdict"] = json.dumps(data["verdict"])
    _update(connection, "changes", operation, data["change"], columns)


def _change_landed(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    _update(connection, "changes", operation, data["change"], {"state": "landed"})
    _closed(connection, operation._replace(data={**data, "resolution": "landed"}))
    _set(connection, operation, landed_commit=data["commit"])


def _update(
    connection: sqlite3.Connection, table: str, operation: Operation, identity: str, columns: dict[str, Any]
) -> None:
    if not columns:
        return
    assignments = ", ".join(f'"{name}" = ?' for name in columns)
    connection.execute(
        f"UPDATE {table} SET {assignments} WHERE id = ? AND issue = ?", (*columns.values(), identity, operation.issue)
    )


_APPLIERS: dict[str, _Applier] = {
    "created": _created,
    "fields-set": _fields_set,
    "labels-changed": _labels_changed,
    "dependency-added": _dependency_added,
    "dependency-removed": _dependency_removed,
    "commented": _commented,
    "comment-removed": _comment_removed,
    "attached": _attached,
    "detached": _detached,
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
