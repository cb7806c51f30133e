"""Making the index again from git: when it is lost, of an older version, or damaged."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Container, Iterator, Sequence

from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import bulk, gitlog, knowledge, log, merge, outbox, overlap, schema
from tapeout.tracker.model import REST
from tapeout.tracker.operations import Operation


def restore(paths: StatePaths) -> None:
    """Make an index from git if there is none, or one of an older version; else do nothing. Without a log in git it is
    empty.

    Raises:
        EnvironmentProblem: as `rebuild`.
    """
    with schema.creation(paths.tracker_db):
        if schema.is_current(paths.tracker_db):
            return
        if any(map(os.path.exists, (paths.tracker_db, paths.tracker_git, paths.hub))):
            _rebuild_locked(paths)
        else:
            schema.build(paths.tracker_db, lambda _: None)


def rebuild(paths: StatePaths) -> int:
    """Make the index again from git; returns the number of operations.

    What the old index holds and git lacks is brought to git first, as far as it can be read. The old index is kept
    beside the new one with the ending `.damaged`. Processes that have it open go on with the new one.

    Raises:
        EnvironmentProblem: git cannot be read or written; the old index stays.
        Busy: a flush does not end.
    """
    with schema.creation(paths.tracker_db):
        return _rebuild_locked(paths)


def _rebuild_locked(paths: StatePaths) -> int:
    with bulk.without_garbage_collection():
        return _rebuild(paths)  # whose values are gone before garbage is looked for again


def _rebuild(paths: StatePaths) -> int:
    settings: list[tuple[str, str]] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(outbox.flush_lock_patiently(paths))
        gitlog.adopt_old_place(paths)
        operations = gitlog.read_all(paths)
        with contextlib.suppress(sqlite3.OperationalError):  # there is none
            old = stack.enter_context(contextlib.closing(schema.existing(paths.tracker_db)))
            with contextlib.suppress(sqlite3.DatabaseError):
                old.execute("BEGIN IMMEDIATE")  # nobody writes to it any more
            operations += _salvage(paths, old, operations)
            settings = _settings(old)
        operations.sort(key=lambda operation: operation.order)
        own = gitlog.replicas(paths)

        def fill(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO own_replicas VALUES (?)", ((name,) for name in own))
            connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", settings)
            merge.fill(connection, operations, time.time())
            connection.execute(
                "UPDATE meta SET value = coalesce((SELECT max(sequence) FROM operations), 0) WHERE key = 'flushed'"
            )

        schema.build(paths.tracker_db, fill)
    return len(operations)


def _salvage(paths: StatePaths, old: sqlite3.Connection, logged: Sequence[Operation]) -> list[Operation]:
    """Bring to git what only a damaged or outdated index holds, up to where it can be read no further; returns it. What
    came from other clones is in git as their logs, or comes again: as a log of ours it would be taken for ours."""
    there = {operation.id: operation for operation in logged}
    written = _written(old, set(gitlog.replicas(paths, gitlog.OTHERS_REFS)), there)
    apart = overlap.told_apart(written, there, lambda first: _known(old, first))
    found: dict[str, list[Operation]] = {}
    for operation in (*apart.following, *apart.renamed):
        found.setdefault(operation.replica, []).append(operation)
    for replica, operations in found.items():
        gitlog.append(paths, replica, operations)
    return [operation for operations in found.values() for operation in operations]


def _written(old: sqlite3.Connection, others: set[str], there: Container[str]) -> Iterator[Operation]:
    """What this clone wrote. What the old index knew to be in git is not compared with it: where they differ the index
    is damaged."""
    own = _own(old)
    mark: float = math.inf
    with contextlib.suppress(sqlite3.DatabaseError, TypeError):
        mark = outbox.mark(old)
    with contextlib.suppress(sqlite3.DatabaseError, ValueError):
        for sequence, *row in old.execute(f"SELECT sequence, {_columns(old)} FROM operations ORDER BY sequence"):
            operation = log.from_row(tuple(row))
            is_ours = operation.replica in own if own else operation.replica not in others
            if operation.number > 0 and is_ours and (sequence > mark or operation.id not in there):
                yield operation._replace(act=operation.act or operation.number)


def _known(old: sqlite3.Connection, first: Operation) -> dict[str, int]:
    """What the old index knew when it wrote an operation, as far as it can be read."""
    with contextlib.suppress(sqlite3.DatabaseError):
        return knowledge.known_numbers(old, before=first.id)
    return {}


def _own(old: sqlite3.Connection) -> set[str]:
    """Names under which the old index wrote; none if it does not tell."""
    with contextlib.suppress(sqlite3.DatabaseError):
        return {row[0] for row in old.execute("SELECT name FROM own_replicas")}
    return set()


def _columns(old: sqlite3.Connection) -> str:
    """The columns of an operation; versions before the fourth did not know which ones make one act."""
    known = {row[1] for row in old.execute("PRAGMA table_info(operations)")}
    return ", ".join(name if name in known else "0" for name in log.COLUMNS.split(", "))


def _settings(old: sqlite3.Connection) -> list[tuple[str, str]]:
    """What the old index knows that is in no log: why the queue is stopped, how claims are shared, that the floor is
    paused, which run it is in."""
    kept = ("queue-stopped", "shared-claims", REST, "floor-run")
    with contextlib.suppress(sqlite3.DatabaseError):
        return old.execute(f"SELECT key, value FROM meta WHERE key IN ({', '.join('?' * len(kept))})", kept).fetchall()
    return []
