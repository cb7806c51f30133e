"""The log as the index holds it: the table `operations`, and what this clone calls itself in it."""

from __future__ import annotations

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.operations import Operation, encode_data

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

COLUMNS = "id, clock, actor, issue, kind, data, act"
"""Of an operation, in the order of its fields."""

_INSERT = f"INTO operations({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"


def from_row(row: tuple[Any, ...]) -> Operation:
    """An operation from a row of `COLUMNS`."""
    identity, clock, actor, issue, kind, data, act = row
    return Operation(identity, clock, actor, issue, kind, json.loads(data), act)


def add(connection: sqlite3.Connection, operations: Iterable[tuple[Operation, str]]) -> None:
    """Add operations of our own, each with its data as JSON."""
    connection.executemany(f"INSERT {_INSERT}", ((*one[:5], data, one.act) for one, data in operations))


def store(connection: sqlite3.Connection, operations: Iterable[Operation]) -> None:
    """Add operations as a log in git has them; those that are there already stay as they are."""
    rows = ((*one[:5], encode_data(one.data), one.act or one.number) for one in operations)
    connection.executemany(f"INSERT OR IGNORE {_INSERT}", rows)


def operations_of(connection: sqlite3.Connection, issue: str) -> list[Operation]:
    """All operations of an issue, in the order of the fold."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM operations WHERE issue = ? ORDER BY clock, id", (issue,))
    return [from_row(row) for row in rows]


def operation(connection: sqlite3.Connection, identity: str) -> Operation | None:
    """One operation, by its id."""
    row = connection.execute(f"SELECT {COLUMNS} FROM operations WHERE id = ?", (identity,)).fetchone()
    return from_row(row) if row else None


def own_operations(connection: sqlite3.Connection, after: int = 0) -> list[Operation]:
    """Operations that this clone wrote, in the order in which it did; only those past a sequence number."""
    own = own_replicas(connection)
    rows = connection.execute(f"SELECT {COLUMNS} FROM operations WHERE sequence > ? ORDER BY sequence", (after,))
    return [one for one in map(from_row, rows) if one.replica in own]


def own_replicas(connection: sqlite3.Connection) -> set[str]:
    """Names under which this clone has written operations, and writes them now."""
    return {row[0] for row in connection.execute("SELECT name FROM own_replicas")}
