"""The outbox: operations of the index that are not in git yet, and how they get there.

Whoever holds the flush lock writes for all. The index remembers up to where it did, so a process that dies in between
leaves nothing behind that the next one would not write.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterable

from tapeout.base import locks
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import gitlog, log, schema
from tapeout.tracker.operations import Operation

BATCH_LIMIT = 20_000
"""Operations a commit: with `BATCH_BYTES` bounds the memory of a flush."""

BATCH_BYTES = 8_000_000
"""Bytes of operations a commit; one that is longer than that gets a commit of its own."""

GATHER_SECONDS = 0.1
"""How long the background flush waits first, so that a burst of commands becomes one commit."""

LOCK_SECONDS = 30.0
"""How long a rebuild or a check waits for a flush that runs."""


def is_waiting(connection: sqlite3.Connection) -> bool:
    """Whether operations of this replica wait to be written to git."""
    row = connection.execute(
        "SELECT (SELECT max(sequence) FROM operations) > (SELECT value FROM meta WHERE key = 'flushed')"
    ).fetchone()
    return bool(row[0])


def mark(connection: sqlite3.Connection) -> int:
    """Sequence number of the newest operation that is known to be in git."""
    return int(connection.execute("SELECT value FROM meta WHERE key = 'flushed'").fetchone()[0])


def flush(paths: StatePaths, connection: sqlite3.Connection) -> int:
    """Write the outbox to git; returns how many operations were written.

    Whoever holds the lock writes. If another process holds it this returns at once: that process looks again after
    it has let go, so nothing stays behind.

    Raises:
        EnvironmentProblem: git cannot be written, such as on a full disk. The outbox stays.
    """
    written = 0
    while is_waiting(connection):
        with _flush_lock(paths) as held:
            if not held:
                return written
            written += _flush_locked(paths, connection)
    if written:
        _pack(paths)
    return written


def flush_all(paths: StatePaths, connection: sqlite3.Connection) -> None:
    """Write the outbox to git, after whoever flushes right now, and look whether git has more of us than the index.

    Raises:
        EnvironmentProblem: git cannot be written; the outbox stays.
        Busy: the other flush does not end.
    """
    with flush_lock_patiently(paths):
        _agree(paths, connection, log.own_replicas(connection).union(gitlog.replicas(paths)))
        while is_waiting(connection):
            _flush_locked(paths, connection)


def flush_in_background(paths: StatePaths) -> None:
    """Start a process that flushes and ends; the caller need not wait for git. It is nobody's child, so that nobody
    has to reap it.

    Call it with no SQLite connection open: connections must not cross a fork.
    """
    with _flush_lock(paths) as free:
        if not free:
            return  # the holder looks again after it has let go
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _flush_alone(paths)
    finally:
        os._exit(0)


def _flush_alone(paths: StatePaths) -> None:
    """The background process: holds on to nothing of the command that it comes from."""
    gc.freeze()  # what that dropped would close files of ours, by their numbers
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    time.sleep(GATHER_SECONDS)
    connection = schema.connect(paths.tracker_db)
    flush(paths, connection)
    connection.close()


def _flush_locked(paths: StatePaths, connection: sqlite3.Connection) -> int:
    from tapeout.base import faults

    flushed = mark(connection)
    own = log.own_replicas(connection)
    last, operations = _batch(connection, flushed)
    if last == flushed:  # another process was faster
        return 0
    batches: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.replica in own:
            batches.setdefault(operation.replica, []).append(operation)
    if _agree(paths, connection, batches):
        return 0  # what waits is called otherwise now
    for replica, batch in batches.items():
        gitlog.append(paths, replica, sorted(batch, key=lambda operation: operation.number))
    faults.point("flush.written")
    with schema.transaction(connection, paths.tracker_db):
        connection.execute("UPDATE meta SET value = ? WHERE key = 'flushed'", (last,))
    return sum(map(len, batches.values()))


def _agree(paths: StatePaths, connection: sqlite3.Connection, replicas: Iterable[str]) -> bool:
    """See to it that the index and git have the same under the same ids; whether anything had to be done for it.

    Either may have been restored from a backup, or set back by a power cut. An index that is older than git gives
    numbers out again; a log that is older than the index lacks what the index knows to be there.
    """
    from tapeout.base import faults
    from tapeout.tracker import overlap

    newest = {replica: gitlog.newest(paths, replica) for replica in replicas}
    if not all(overlap.is_known(connection, one) for one in newest.values() if one is not None):
        overlap.reconcile(paths, connection)
        faults.point("flush.reconciled")
        return True
    following = [f"{replica}.{one.number + 1 if one is not None else 1}" for replica, one in newest.items()]
    return _write_again(paths, connection, following)


def _write_again(paths: StatePaths, connection: sqlite3.Connection, lacking: Iterable[str]) -> bool:
    """Put the mark back before the first of these operations that the index takes to be in git; whether one is."""
    places = (connection.execute("SELECT sequence FROM operations WHERE id = ?", (one,)).fetchone() for one in lacking)
    first = min((place[0] for place in places if place is not None), default=None)
    if first is None or first > mark(connection):
        return False
    with schema.transaction(connection, paths.tracker_db):
        connection.execute("UPDATE meta SET value = min(value, ?) WHERE key = 'flushed'", (first - 1,))
    return True


def _batch(connection: sqlite3.Connection, after: int) -> tuple[int, list[Operation]]:
    """The next operations that go into one commit, and the sequence number of the last of them."""
    operations: list[Operation] = []
    size = 0
    cursor = connection.execute(
        f"SELECT sequence, {log.COLUMNS} FROM operations WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (after, BATCH_LIMIT),
    )
    with contextlib.closing(cursor):
        for sequence, *fields in cursor:
            size += len(fields[5])
            if operations and size > BATCH_BYTES:
                break
            operations.append(log.from_row(tuple(fields)))
            after = sequence
    return after, operations


def _pack(paths: StatePaths) -> None:
    """Pack the log's repository when it has become scattered; that can always wait for the next time."""
    from tapeout.base.errors import EnvironmentProblem
    from tapeout.base.packing import pack_if_scattered

    with contextlib.suppress(EnvironmentProblem, OSError):
        pack_if_scattered(paths.tracker_git)


def _flush_lock(paths: StatePaths) -> contextlib.AbstractContextManager[bool]:
    """Try the flush lock; yields whether it is ours."""
    return locks.attempt(os.path.join(paths.root, "flush.lock"))


def flush_lock_patiently(paths: StatePaths) -> contextlib.AbstractContextManager[None]:
    """Hold the flush lock: nobody else writes to the log's repository.

    Raises:
        Busy: whoever holds it does not let go.
    """
    problem = f"another process keeps writing to {paths.tracker_git}"
    return locks.patiently(os.path.join(paths.root, "flush.lock"), LOCK_SECONDS, problem)
