"""An issue's operations one by one: what each of them changed. Pure.

The fold itself says so, in an index in memory: there is no second account of what an operation means. History, blame
and undo are read from the steps.
"""

from __future__ import annotations

import contextlib

from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import fold, schema, values
from tapeout.tracker.operations import Operation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from typing import Any

    Registers = dict[str, Any]
    """What an issue's operations can change, by name: fields, `status`, `resolution` and `landed_commit` as the index
    holds them; the sets as tuples; the lease as owner and token."""

_STATE = ("status", "resolution", "landed_commit")
SETS = ("labels", "dependencies", "comments", "attachments")
"""Registers that hold several elements: each is added or removed by itself."""

LEASE = "lease"


class Step(NamedTuple):
    """One operation and what it did."""

    operation: Operation
    before: Registers
    after: Registers

    @property
    def changed(self) -> list[str]:
        """Names of the registers that it changed."""
        return [name for name, value in self.after.items() if self.before[name] != value]


def replay(operations: Iterable[Operation], index: sqlite3.Connection | None = None) -> list[Step]:
    """The steps of one issue.

    Args:
        operations: all of the issue, in the order of the fold.
        index: where to fold them, from `schema.in_memory`, with nothing of this issue in it: making one takes longer
            than most histories.
    """
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(schema.in_memory())) if index is None else index
        steps = []
        before = _EMPTY
        for operation in operations:
            fold.apply_logged(connection, operation)
            after = _registers(connection, operation.issue, before)
            steps.append(Step(operation, before, after))
            before = after
        return steps


_COLUMNS = (*values.FIELDS, *_STATE)
_EMPTY: Registers = dict.fromkeys((*_COLUMNS, LEASE)) | dict.fromkeys(SETS, ())

_QUERIES = {
    "labels": "SELECT label FROM labels WHERE issue = ? ORDER BY label",
    "dependencies": "SELECT kind, target FROM dependencies WHERE issue = ? ORDER BY kind, target",
    "comments": "SELECT id, actor, text FROM comments WHERE issue = ? ORDER BY clock, id",
    "attachments": "SELECT id, name, blob, size FROM attachments WHERE issue = ? ORDER BY clock, id",
}


def _registers(connection: sqlite3.Connection, issue: str, before: Mapping[str, Any]) -> Registers:
    row = connection.execute(
        f"SELECT lease_owner, lease_token, {', '.join(_COLUMNS)} FROM issues WHERE id = ?", (issue,)
    ).fetchone()
    if row is None:
        return _EMPTY
    found = dict(zip(_COLUMNS, row[2:], strict=True))
    found[LEASE] = None if row[0] is None else (row[0], row[1])
    for name, query in _QUERIES.items():
        rows = connection.execute(query, (issue,)).fetchall()
        found[name] = tuple(one[0] if len(one) == 1 else tuple(one) for one in rows)
    # A long text that did not change is kept once, however many operations there are.
    return {name: before[name] if before[name] == value else value for name, value in found.items()}
