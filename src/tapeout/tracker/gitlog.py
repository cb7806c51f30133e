"""The log in git: batches of operations, one commit a batch, on `refs/tapeout/log/<replica>` of the hub.

One writer a ref, so pushing never conflicts. Each commit holds one file, `operations`, one JSON array a line; its
parent is the batch before. pygit2 is imported only here and only when there is something to write or rebuild.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import StatePaths
from tapeout.tracker import fold, schema
from tapeout.tracker.operations import Operation, decode, encode

if TYPE_CHECKING:
    import pygit2

LOG_REFS = "refs/tapeout/log/"
FILE_NAME = "operations"
BATCH_LIMIT = 20_000
"""Operations a commit: bounds the memory of a flush."""

GATHER_SECONDS = 0.1
"""How long the background flush waits first, so that a burst of commands becomes one commit."""


def has_outbox(connection: sqlite3.Connection) -> bool:
    """Whether operations of this replica wait to be written to git."""
    row = connection.execute(
        "SELECT (SELECT max(sequence) FROM operations) > (SELECT value FROM meta WHERE key = 'flushed')"
    ).fetchone()
    return bool(row[0])


def flush(paths: StatePaths, connection: sqlite3.Connection) -> int:
    """Write the outbox to git; returns how many operations were written.

    Whoever holds the lock writes. If another process holds it this returns at once: that process looks again after
    it has let go, so nothing stays behind.
    """
    written = 0
    while has_outbox(connection):
        with _flush_lock(paths) as held:
            if not held:
                return written
            written += _flush_locked(paths, connection)
    return written


def flush_in_background(paths: StatePaths) -> None:
    """Fork a process that flushes and ends; the caller need not wait for git.

    Call it with no SQLite connection open: connections must not cross a fork.
    """
    with _flush_lock(paths) as free:
        if not free:
            return  # the holder looks again after it has let go
    if os.fork():
        return
    status = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        time.sleep(GATHER_SECONDS)
        connection = schema.connect(paths.tracker_db)
        flush(paths, connection)
        connection.close()
        status = 0
    finally:
        os._exit(status)


def _flush_locked(paths: StatePaths, connection: sqlite3.Connection) -> int:
    replica, flushed = (
        connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        for key in ("replica", "flushed")
    )
    rows = connection.execute(
        "SELECT sequence, id, clock, actor, issue, kind, data FROM operations WHERE sequence > ? ORDER BY sequence"
        " LIMIT ?",
        (flushed, BATCH_LIMIT),
    ).fetchall()
    operations = [Operation._make((*row[1:6], json.loads(row[6]))) for row in rows]
    own = [operation for operation in operations if operation.replica == replica]
    if own:
        _append(paths, str(replica), own)
    with schema.transaction(connection, paths.tracker_db):
        connection.execute("UPDATE meta SET value = ? WHERE key = 'flushed'", (rows[-1][0],))
    return len(own)


def _append(paths: StatePaths, replica: str, operations: list[Operation]) -> None:
    """Append one batch. A batch that git already holds, because we died before noting it, is not written twice."""
    import pygit2

    from tapeout.base import git

    repository = git.ensure_bare(paths.hub)
    name = LOG_REFS + replica
    reference = repository.references.get(name)
    parent = reference.peel(pygit2.Commit) if reference is not None else None
    last = _number(list(read_batch(repository, parent))[-1]) if parent is not None else 0
    fresh = [operation for operation in operations if _number(operation) > last]
    if not fresh:
        return
    text = "".join(f"{encode(operation)}\n" for operation in fresh)
    builder = repository.TreeBuilder()
    builder.insert(FILE_NAME, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB)
    who = pygit2.Signature("tapeout", "tapeout@localhost", int(fresh[-1].at), 0)
    message = f"{len(fresh)} operations up to {fresh[-1].id}\n"
    parents = [parent.id] if parent is not None else []
    commit = repository.create_commit(None, who, who, message, builder.write(), parents)
    old = str(parent.id) if parent is not None else None
    if not git.move_ref(repository, name, str(commit), old):
        raise EnvironmentProblem(f"{name} was moved by somebody else", hint="only one writer a replica is allowed")


def read_batch(repository: "pygit2.Repository", commit: "pygit2.Commit") -> Iterator[Operation]:
    """The operations of one commit of a log."""
    import pygit2

    blob = commit.tree[FILE_NAME]
    if not isinstance(blob, pygit2.Blob):
        raise EnvironmentProblem(f"log commit {commit.id} holds no {FILE_NAME} file")
    for line in blob.data.decode().splitlines():
        yield decode(line)


def read_all(paths: StatePaths) -> list[Operation]:
    """All operations in git, of all replicas, in the order of the fold."""
    from pygit2.enums import SortMode

    from tapeout.base import git

    repository = git.open_bare(paths.hub)
    found: list[Operation] = []
    for name in repository.references:
        if name.startswith(LOG_REFS):
            for commit in repository.walk(repository.references[name].target, SortMode.NONE):
                found.extend(read_batch(repository, commit))
    found.sort(key=lambda operation: (operation.clock, operation.id))
    return found


def rebuild(paths: StatePaths) -> int:
    """Make the index again from git; returns the number of operations.

    The old index, if there is one, is kept beside the new one with the ending `.damaged`.
    """
    operations = read_all(paths)
    temporary = f"{paths.tracker_db}.rebuilt"
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary + ending)
    connection = schema.connect(temporary)
    with schema.transaction(connection, temporary):
        insert(connection, operations)
        connection.execute("UPDATE meta SET value = (SELECT max(sequence) FROM operations) WHERE key = 'flushed'")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    if os.path.exists(paths.tracker_db):
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(paths.tracker_db + ending, f"{paths.tracker_db}.damaged{ending}")
        os.rename(paths.tracker_db, f"{paths.tracker_db}.damaged")
    os.rename(temporary, paths.tracker_db)
    return len(operations)


def insert(connection: sqlite3.Connection, operations: list[Operation]) -> None:
    """Store and apply operations that are in fold order and newer than all that the index holds."""
    for operation in operations:
        connection.execute(
            "INSERT OR IGNORE INTO operations(id, clock, actor, issue, kind, data) VALUES (?, ?, ?, ?, ?, ?)",
            (*operation[:5], json.dumps(operation.data, ensure_ascii=False)),
        )
        fold.apply(connection, operation)
    if operations:
        connection.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'clock'", (operations[-1].clock,))


def _number(operation: Operation) -> int:
    return int(operation.id.rpartition(".")[2])


@contextlib.contextmanager
def _flush_lock(paths: StatePaths) -> Iterator[bool]:
    """Try the flush lock; yields whether it is ours."""
    with open(os.path.join(paths.root, "flush.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
