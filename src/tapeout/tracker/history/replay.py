"""An issue's operations one by one: what each of them changed. Pure.

The fold itself says so, in an index in memory: there is no second account of what an operation means. History, blame
and undo are read from the steps. A step holds what changed and no more: an issue may have very many comments.
"""

from __future__ import annotations

import contextlib

from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import fold, schema, values
from tapeout.tracker.operations import Operation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

LEASE = "lease"

SETS = {
    "labels": ("label",),
    "dependencies": ("kind", "target"),
    "comments": ("clock", "id", "actor", "text"),
    "attachments": ("clock", "id", "name", "blob", "size"),
}
"""Registers that hold several elements, each of which is added or removed by itself, with the columns of an element in
the order by which they are sorted."""


class Change(NamedTuple):
    """A register that holds one value, before and after an operation: a field, `status`, `resolution` or
    `landed_commit` as the index holds them, or the lease as owner and token."""

    old: Any
    new: Any


class Difference(NamedTuple):
    """What an operation did to one of `SETS`, each side sorted."""

    gone: list[tuple[Any, ...]]
    came: list[tuple[Any, ...]]


class Step(NamedTuple):
    """One operation and what it did."""

    operation: Operation
    is_first: bool
    """There was no issue before."""
    lease: tuple[str, int] | None
    """Owner and token before it."""
    changes: dict[str, Change]
    """By the name of the register."""
    differences: dict[str, Difference]
    """By the name of the set."""

    @property
    def lease_after(self) -> tuple[str, int] | None:
        """Owner and token after it."""
        return self.changes[LEASE].new if LEASE in self.changes else self.lease


def replay(operations: Iterable[Operation], index: sqlite3.Connection | None = None) -> list[Step]:
    """The steps of one issue.

    Args:
        operations: all of the issue, in the order of the fold.
        index: where to fold them, from `schema.in_memory`, with nothing of this issue in it: making one takes longer
            than most histories.
    """
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(schema.in_memory())) if index is None else index
        connection.executescript(_WATCHING)
        return list(_steps(connection, operations))


def _steps(connection: sqlite3.Connection, operations: Iterable[Operation]) -> Iterator[Step]:
    before = _NOTHING
    for operation in operations:
        fold.apply_logged(connection, operation)
        seen = _seen(connection)
        after = _registers(connection, operation.issue) if "issues" in seen else before
        changes = {name: Change(before[name], new) for name, new in after.items() if before[name] != new}
        differences = {name: seen[name] for name in SETS if name in seen and (seen[name].gone or seen[name].came)}
        yield Step(operation, before is _NOTHING, before[LEASE], changes, differences)
        before = after


_COLUMNS = (*values.FIELDS, "status", "resolution", "landed_commit")
_NOTHING: dict[str, Any] = dict.fromkeys((*_COLUMNS, LEASE))
"""The registers of an issue that was not filed yet."""


def _registers(connection: sqlite3.Connection, issue: str) -> dict[str, Any]:
    row = connection.execute(
        f"SELECT lease_owner, lease_token, {', '.join(_COLUMNS)} FROM issues WHERE id = ?", (issue,)
    ).fetchone()
    found = dict(zip(_COLUMNS, row[2:], strict=True))
    found[LEASE] = None if row[0] is None else (row[0], row[1])
    return found


def _seen(connection: sqlite3.Connection) -> dict[str, Difference]:
    """Table to what was written to it since the last call; of `issues` it only says that."""
    rows = connection.execute("SELECT * FROM seen ORDER BY rowid").fetchall()
    found: dict[str, list[Difference]] = {}
    for table, came, *columns in rows:
        element = tuple(columns[: len(SETS.get(table, ()))])
        found.setdefault(table, []).append(Difference([], [element]) if came else Difference([element], []))
    if rows:
        connection.execute("DELETE FROM seen")
    return {table: total(each) for table, each in found.items()}


def total(differences: Iterable[Difference]) -> Difference:
    """What several operations, one after the other, did to a set."""
    gone: set[tuple[Any, ...]] = set()
    came: set[tuple[Any, ...]] = set()
    for difference in differences:
        for elements, ours, other in ((difference.gone, gone, came), (difference.came, came, gone)):
            for element in elements:
                if element in other:
                    other.remove(element)
                else:
                    ours.add(element)
    return Difference(sorted(gone), sorted(came))


def _watch(table: str, event: str, row: str, columns: Sequence[str]) -> str:
    noted = [f"{row}.{column}" for column in columns] + ["NULL"] * (_MOST_COLUMNS - len(columns))
    return (
        f"CREATE TEMP TRIGGER IF NOT EXISTS {table}_{event[:6]} AFTER {event} ON main.{table}"
        f" BEGIN INSERT INTO seen VALUES ('{table}', {row == 'NEW'}, {', '.join(noted)}); END;"
    )


_MOST_COLUMNS = max(map(len, SETS.values()))

_WATCHING = "".join(
    (
        f"CREATE TEMP TABLE IF NOT EXISTS seen(name, came, {', '.join(f'c{n}' for n in range(_MOST_COLUMNS))});",
        _watch("issues", "INSERT", "NEW", ()),
        _watch("issues", f"UPDATE OF lease_owner, lease_token, {', '.join(_COLUMNS)}", "NEW", ()),
        *(_watch(table, "INSERT", "NEW", columns) for table, columns in SETS.items()),
        *(_watch(table, "DELETE", "OLD", columns) for table, columns in SETS.items()),
    )
)
"""Has an index note what the fold writes: to read everything after each operation would take a time that grows with the
square of their number."""
