"""The fold: how operations become rows. Deterministic and total: any operation of a log can be applied to any state.

Applied in `(clock, id)` order the result depends on nothing but the set of operations. Fields are last-writer-wins
one by one, labels and dependencies are sets with additions and removals, comments and attachments are a union. Of two
claims that did not know of each other the earlier one holds. An operation of an unknown kind, from a newer version,
changes nothing and is kept in the log.

An operation changes rows of its own issue only. What follows for other issues, such as who waits for whom, is derived
afterwards (`waiting`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import log, values
from tapeout.tracker.model import FAILURES, MOST_SIGNATURES
from tapeout.tracker.operations import Operation

if TYPE_CHECKING:
    from typing import Any

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


OF_AN_ISSUE = (
    "labels", "dependencies", "comments", "attachments", "attempts", "attempt_notes", "failure_signatures", "changes",
)  # fmt: skip
"""Tables whose rows belong to an issue each."""


def refold(connection: sqlite3.Connection, issue: str) -> None:
    """Fold one issue again from its operations: needed when an operation arrives that is older than the newest.

    Renewals of a lease are in the index only: a lease that still holds afterwards lives as long as before.
    """
    lease = connection.execute(
        "SELECT lease_expires, lease_granted, id, lease_owner, lease_token FROM issues WHERE id = ?", (issue,)
    ).fetchone()
    for table in OF_AN_ISSUE:
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


def depends_on_lease(connection: sqlite3.Connection, operation: Operation) -> bool:
    """Whether what an operation does depends on a lease that this index may know better than the log, which has no
    renewals: then its issue has to be folded again, or two clones would come to two results."""
    if operation.kind not in ("claimed", "released"):
        return False
    row = connection.execute("SELECT lease_owner FROM issues WHERE id = ?", (operation.issue,)).fetchone()
    return row is not None and row[0] is not None


_optional_text = values.optional(values.text)


def _created(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns = _columns(data)
    when = operation.happened_at
    names = ", ".join(("id, created_by, created_at, created_clock, updated_at", *columns))
    connection.execute(
        f"INSERT OR IGNORE INTO issues({names}) VALUES (?, ?, ?, ?, ?{', ?' * len(columns)})",
        (values.name(operation.issue), operation.author, when, operation.clock, when, *columns.values()),
    )
    if "labels" in data:
        _insert_labels(connection, operation.issue, data["labels"])
    for target, kind in data.get("dependencies", ()):
        _insert_dependency(connection, operation, target, kind)


def _set(connection: sqlite3.Connection, operation: Operation, **columns: Any) -> None:
    assignments = "".join(f", {name} = ?" for name in columns)
    done = connection.execute(
        f"UPDATE issues SET updated_at = ?{assignments} WHERE id = ?",
        (operation.happened_at, *columns.values(), operation.issue),
    )
    if done.rowcount == 0:
        raise LookupError(f"there is no issue {operation.issue}")  # nothing hangs on what is not there


def _fields_set(connection: sqlite3.Connection, operation: Operation) -> None:
    _set(connection, operation, **_columns(operation.data))


def _columns(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of an issue among an operation's data."""
    fields = values.FIELDS
    return {name: fields[name](value) for name, value in data.items() if name in fields}


def _labels_changed(connection: sqlite3.Connection, operation: Operation) -> None:
    for label in operation.data.get("remove", ()):
        connection.execute("DELETE FROM labels WHERE issue = ? AND label = ?", (operation.issue, values.text(label)))
    _insert_labels(connection, operation.issue, operation.data.get("add", ()))
    _set(connection, operation)


def _insert_labels(connection: sqlite3.Connection, issue: str, labels: Iterable[Any]) -> None:
    rows = [(issue, values.text(label)) for label in labels]
    connection.executemany("INSERT OR IGNORE INTO labels VALUES (?, ?)", rows)


def _insert_dependency(connection: sqlite3.Connection, operation: Operation, target: str, kind: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO dependencies(issue, target, kind, clock, operation) VALUES (?, ?, ?, ?, ?)",
        (operation.issue, values.text(target), values.text(kind), operation.clock, operation.id),
    )


def _dependency_added(connection: sqlite3.Connection, operation: Operation) -> None:
    _insert_dependency(connection, operation, operation.data["target"], operation.data["kind"])
    _set(connection, operation)


def _dependency_removed(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "DELETE FROM dependencies WHERE issue = ? AND target = ? AND kind = ?",
        (operation.issue, values.text(operation.data["target"]), values.text(operation.data["kind"])),
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
            values.text(operation.data["text"]),
            operation.clock,
        ),
    )
    _set(connection, operation)


def _comment_removed(connection: sqlite3.Connection, operation: Operation) -> None:
    _remove(connection, "comments", operation, values.text(operation.data["comment"]))


def _attached(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "INSERT OR IGNORE INTO attachments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation.id,
            operation.issue,
            values.text(data["name"]),
            values.text(data["blob"]),
            values.number(data["size"]),
            operation.author,
            operation.happened_at,
            operation.clock,
        ),
    )
    _set(connection, operation)


def _detached(connection: sqlite3.Connection, operation: Operation) -> None:
    _remove(connection, "attachments", operation, values.text(operation.data["attachment"]))


def _remove(connection: sqlite3.Connection, table: str, operation: Operation, identity: str) -> None:
    connection.execute(f"DELETE FROM {table} WHERE id = ? AND issue = ?", (identity, operation.issue))
    _set(connection, operation)


def _closed(connection: sqlite3.Connection, operation: Operation) -> None:
    """Close; what has landed stays landed, whatever another clone decided at the same time."""
    connection.execute(
        "UPDATE issues SET updated_at = ?1, status = 'closed', closed_at = ?1, needs_person = NULL, lease_owner = NULL,"
        " lease_expires = NULL, lease_granted = NULL, resolution = ?2"
        " WHERE id = ?3 AND NOT (status = 'closed' AND resolution = 'landed')",
        (operation.happened_at, _optional_text(operation.data.get("resolution")), operation.issue),
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


_TOKENS_AHEAD = 1_000_000
"""A token so far above the newest was never granted: believing it would leave none to grant."""


def _claimed(connection: sqlite3.Connection, operation: Operation) -> None:
    """A claim whose token is not above the newest was made without knowing of that one: it holds only if that lease
    had ended by then."""
    data = operation.data
    connection.execute(
        "UPDATE issues SET updated_at = ?1, lease_owner = ?2, lease_token = max(lease_token, ?3), lease_expires = ?4,"
        " lease_granted = ?6 WHERE id = ?5"
        " AND (?3 > lease_token OR lease_owner IS NULL OR lease_expires <= ?1) AND ?3 < lease_token + ?7",
        (
            operation.at,
            values.text(data["owner"]),
            values.number(data["token"]),
            values.moment(data["expires"]),
            operation.issue,
            values.moment(data.get("granted", operation.at)),
            _TOKENS_AHEAD,
        ),
    )


def _released(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "UPDATE issues SET updated_at = ?, lease_owner = NULL, lease_expires = NULL, lease_granted = NULL"
        " WHERE id = ? AND lease_token = ? AND lease_owner = coalesce(?, lease_owner)",
        (operation.at, operation.issue, values.number(data["token"]), _optional_text(data.get("owner"))),
    )


def _gave_up(connection: sqlite3.Connection, operation: Operation) -> None:
    connection.execute(
        "UPDATE issues SET updated_at = ?, needs_person = ? WHERE id = ? AND status = 'open'",
        (operation.at, values.text(operation.data["reason"]), operation.issue),
    )


def _attempt_started(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        "INSERT OR IGNORE INTO attempts(id, issue, number, agent, state, host, pid, pid_started, started_at, replica)"
        " SELECT ?, id, ?, ?, 'starting', ?, ?, ?, ?, ? FROM issues WHERE id = ?",
        (
            values.name(data["attempt"]),
            values.number(data["number"]),
            values.text(data["agent"]),
            values.text(data["host"]),
            values.number(data["pid"]),
            values.real(data["pid_started"]),
            operation.at,
            operation.replica,
            operation.issue,
        ),
    )


_ATTEMPT_FIELDS: dict[str, values.Check] = {
    "state": values.text,
    "base": _optional_text,
    "head": _optional_text,
    "rounds": values.number,
    "tokens_used": values.optional(values.number),
    "tokens_window": values.optional(values.number),
}


def _attempt_updated(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns = {name: check(data[name]) for name, check in _ATTEMPT_FIELDS.items() if name in data}
    _update(connection, "attempts", operation, values.text(data["attempt"]), columns)


def _attempt_noted(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    if not isinstance(data["data"], dict):
        raise TypeError("a note is an object")
    connection.execute(
        "INSERT INTO attempt_notes(attempt, topic, issue, at, data) SELECT ?, ?, id, ?, ? FROM issues WHERE id = ?"
        " ON CONFLICT(attempt, topic) DO UPDATE SET at = excluded.at, data = excluded.data",
        (
            values.name(data["attempt"]),
            values.name(data["topic"]),
            operation.at,
            json.dumps(data["data"]),
            operation.issue,
        ),
    )
    if data["topic"] == FAILURES:
        _index_failures(connection, operation.issue, data["attempt"], data["data"].get("signatures"))


def _index_failures(connection: sqlite3.Connection, issue: str, attempt: str, signatures: object) -> None:
    """So that what failed in one way is found among ten thousand attempts without reading their notes."""
    connection.execute("DELETE FROM failure_signatures WHERE issue = ? AND attempt = ?", (issue, attempt))
    if isinstance(signatures, list):
        rows = [(values.name(one), attempt, issue) for one in signatures[:MOST_SIGNATURES]]
        connection.executemany("INSERT OR IGNORE INTO failure_signatures VALUES (?, ?, ?)", rows)


def _attempt_ended(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    told = [name for name in ("head", "tokens_used", "tokens_window") if data.get(name) is not None]
    columns = {name: _ATTEMPT_FIELDS[name](data[name]) for name in told}
    columns |= {
        "state": "ended",
        "outcome": values.text(data["outcome"]),
        "detail": values.text(data["detail"]),
        "ended_at": operation.at,
    }
    _update(connection, "attempts", operation, values.text(data["attempt"]), columns)
    connection.execute("DELETE FROM activity WHERE attempt = ?", (data["attempt"],))


def _change_submitted(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    connection.execute(
        'INSERT OR IGNORE INTO changes(id, issue, attempt, "commit", base, state, submitted_at,'
        " submitted_clock, replica) SELECT ?, id, ?, ?, ?, 'queued', ?, ?, ? FROM issues WHERE id = ?",
        (
            values.name(data["change"]),
            values.text(data["attempt"]),
            values.text(data["commit"]),
            values.text(data["base"]),
            operation.at,
            operation.clock,
            operation.replica,
            operation.issue,
        ),
    )
    _update(connection, "attempts", operation, data["attempt"], {"state": "submitted"})


def _verdict(value: dict[str, Any]) -> str:
    values.text(value["reason"])
    return json.dumps(value)


_CHANGE_FIELDS: dict[str, values.Check] = {
    "state": values.text,
    "candidate": _optional_text,
    "verdict": values.optional(_verdict),
}


def _change_moved(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    columns: dict[str, Any] = {name: check(data[name]) for name, check in _CHANGE_FIELDS.items() if name in data}
    _update(connection, "changes", operation, values.text(data["change"]), columns)


def _change_landed(connection: sqlite3.Connection, operation: Operation) -> None:
    data = operation.data
    _update(connection, "changes", operation, values.text(data["change"]), {"state": "landed"})
    _closed(connection, operation._replace(data={**data, "resolution": "landed"}))
    _set(connection, operation, landed_commit=values.text(data["commit"]))


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
    "attempt-noted": _attempt_noted,
    "attempt-ended": _attempt_ended,
    "change-submitted": _change_submitted,
    "change-moved": _change_moved,
    "change-landed": _change_landed,
}
