"""Bringing operations of other replicas into the index: any of them, in any order, always with the same result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tapeout.base import jsontext as json
from tapeout.base.lean import NamedTuple
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import bulk, fold, knowledge, log, schema, waiting
from tapeout.tracker.operations import Operation, in_order

CLOCK_TRUST_SECONDS = 86_400.0
"""Our clock follows others' clocks, but none that is further ahead than this: one machine that is set to a wrong year
must not move everybody's."""


class Merged(NamedTuple):
    """What a merge brought."""

    new: list[Operation]
    """What was not known before, in the order of the fold."""
    lost_claims: list[str]
    """Issues that somebody held, and that somebody else holds now."""


def holders(connection: sqlite3.Connection) -> dict[str, str]:
    """Issue to who holds it."""
    return dict(connection.execute("SELECT id, lease_owner FROM issues WHERE lease_owner IS NOT NULL").fetchall())


def merge(connection: sqlite3.Connection, operations: Iterable[Operation], now: float) -> list[Operation]:
    """Store and apply operations inside a transaction; those that were new, in the order of the fold.

    Args:
        now: Unix time; clocks far ahead of it do not move ours.
    """
    unknown = {operation.id: operation for operation in operations if not _is_known(connection, operation)}
    fresh = in_order(unknown.values())
    issues: dict[str, list[Operation]] = {}
    for operation in fresh:
        issues.setdefault(operation.issue, []).append(operation)
    newest = {issue: _newest(connection, issue) for issue in issues}
    log.store(connection, fresh)
    concerned = set()
    for issue, ours in issues.items():
        if _apply(connection, issue, ours, newest[issue]):
            concerned.add(issue)
    bulk.settle(connection, concerned)
    _follow_clock(connection, fresh, now)
    _note_heard(connection, fresh)
    return fresh


def _is_known(connection: sqlite3.Connection, operation: Operation) -> bool:
    return connection.execute("SELECT 1 FROM operations WHERE id = ?", (operation.id,)).fetchone() is not None


def _newest(connection: sqlite3.Connection, issue: str) -> tuple[int, str]:
    row = connection.execute(
        "SELECT clock, id FROM operations WHERE issue = ? ORDER BY clock DESC, id DESC LIMIT 1", (issue,)
    ).fetchone()
    return tuple(row) if row else (-1, "")


def _apply(
    connection: sqlite3.Connection, issue: str, operations: Sequence[Operation], newest: tuple[int, str]
) -> bool:
    """Fold the operations of one issue; whether that can change who waits for whom."""
    is_older = operations[0].order < newest
    if is_older or any(fold.depends_on_lease(connection, operation) for operation in operations):
        fold.refold(connection, issue)
        return True
    for operation in operations:
        fold.apply_logged(connection, operation)
    return any(waiting.is_concerned(operation) for operation in operations)


def _follow_clock(connection: sqlite3.Connection, operations: Sequence[Operation], now: float) -> None:
    clocks = [operation.clock for operation in operations if operation.at <= now + CLOCK_TRUST_SECONDS]
    if clocks:
        connection.execute("UPDATE replica SET clock = max(clock, ?)", (max(clocks),))


def _note_heard(connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
    """Remember for the next operation of our own what it is written in knowledge of."""
    text = connection.execute("SELECT heard FROM replica").fetchone()[0]
    heard = json.loads(text) if text else {}
    for replica, number in knowledge.newest_numbers(operations).items():
        heard[replica] = max(number, heard.get(replica, 0))
    if heard:
        connection.execute("UPDATE replica SET heard = ?", (json.dumps(heard),))


def leave_taken_name(connection: sqlite3.Connection, operations: Iterable[Operation]) -> None:
    """Write on under another name if these operations have our next numbers: the index was restored from a backup."""
    name, number = connection.execute("SELECT name, number FROM replica").fetchone()
    if knowledge.newest_numbers(operations).get(name, 0) > number:
        take_new_name(connection)


def take_new_name(connection: sqlite3.Connection) -> None:
    """Write on under a name that nobody else counts on under, in knowledge of all that is in the index."""
    known = knowledge.known_numbers(connection)
    schema.new_replica(connection)
    connection.execute("UPDATE replica SET heard = ?", (json.dumps(known) if known else "",))


def fill(connection: sqlite3.Connection, operations: Sequence[Operation], now: float) -> None:
    """Store and apply all operations of a tracker, in the order of the fold, in an empty index."""
    log.store(connection, operations)
    bulk.apply_log(connection, operations)
    waiting.settle_all(connection)
    _follow_clock(connection, operations, now)
    _note_heard(connection, operations)
