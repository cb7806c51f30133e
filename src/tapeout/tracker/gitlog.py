"""The log in git: batches of operations, one commit a batch, on `refs/tapeout/log/<replica>` of the hub.

One writer a ref, so pushing never conflicts. Each commit holds one file, `operations`, one JSON array a line; its
parent is the batch before. pygit2 is imported only here and only when there is something to write or rebuild.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from tapeout.base import jsontext as json
from tapeout.base.errors import Busy, EnvironmentProblem
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import fold, schema
from tapeout.tracker.operations import Operation, decode, encode, encode_data

if TYPE_CHECKING:
    import pygit2

LOG_REFS = "refs/tapeout/log/"
FILE_NAME = "operations"
BATCH_LIMIT = 20_000
"""Operations a commit: with `BATCH_BYTES` bounds the memory of a flush."""

BATCH_BYTES = 8_000_000
"""Bytes of operations a commit; one that is longer than that gets a commit of its own."""

GATHER_SECONDS = 0.1
"""How long the background flush waits first, so that a burst of commands becomes one commit."""

LOCK_SECONDS = 30.0
"""How long a rebuild or a check waits for a flush that runs."""


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

    Raises:
        EnvironmentProblem: git cannot be written, such as on a full disk. The outbox stays.
    """
    written = 0
    while has_outbox(connection):
        with _flush_lock(paths) as held:
            if not held:
                return written
            written += _flush_locked(paths, connection)
    return written


def flush_all(paths: StatePaths, connection: sqlite3.Connection) -> None:
    """Write the outbox to git, after whoever flushes right now.

    Raises:
        EnvironmentProblem: git cannot be written; the outbox stays.
        Busy: the other flush does not end.
    """
    with _flush_lock_patiently(paths):
        while has_outbox(connection):
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

    replica, flushed = (
        connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        for key in ("replica", "flushed")
    )
    last, operations = _batch(connection, flushed)
    if last == flushed:  # another process was faster
        return 0
    own = [operation for operation in operations if operation.replica == replica]
    if own:
        _append(paths, str(replica), own)
    faults.point("flush.written")
    with schema.transaction(connection, paths.tracker_db):
        connection.execute("UPDATE meta SET value = ? WHERE key = 'flushed'", (last,))
    return len(own)


def _batch(connection: sqlite3.Connection, after: int) -> tuple[int, list[Operation]]:
    """The next operations that go into one commit, and the sequence number of the last of them."""
    operations: list[Operation] = []
    size = 0
    cursor = connection.execute(
        "SELECT sequence, id, clock, actor, issue, kind, data FROM operations WHERE sequence > ? ORDER BY sequence"
        " LIMIT ?",
        (after, BATCH_LIMIT),
    )
    with contextlib.closing(cursor):
        for sequence, *fields, data in cursor:
            size += len(data)
            if operations and size > BATCH_BYTES:
                break
            operations.append(Operation._make((*fields, json.loads(data))))
            after = sequence
    return after, operations


def _append(paths: StatePaths, replica: str, operations: list[Operation]) -> None:
    """Append one batch. A batch that git already holds, because we died before noting it, is not written twice."""
    import pygit2

    from tapeout.base import git

    repository = git.ensure_bare(paths.hub)
    name = LOG_REFS + replica
    try:
        reference = repository.references.get(name)
        parent = reference.peel(pygit2.Commit) if reference is not None else None
        last = _last_number(parent) if parent is not None else 0
        fresh = [operation for operation in operations if _number(operation) > last]
        if not fresh:
            return
        text = "".join(f"{encode(operation)}\n" for operation in fresh)
        builder = repository.TreeBuilder()
        builder.insert(FILE_NAME, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB)
        message = f"{len(fresh)} operations up to {fresh[-1].id}\n"
        who = git.signature(at=fresh[-1].at)
        parents = [parent.id] if parent is not None else []
        commit = repository.create_commit(None, who, who, message, builder.write(), parents)
    except (pygit2.GitError, OSError, KeyError, ValueError) as error:
        raise EnvironmentProblem(f"cannot write the log in {paths.hub}: {error}") from error
    if not git.move_ref(repository, name, str(commit), str(parent.id) if parent is not None else None):
        raise EnvironmentProblem(f"{name} was moved by somebody else", hint="only one writer a replica is allowed")


def _lines(commit: pygit2.Commit) -> list[str]:
    """The lines of one commit of a log. Only a newline ends one: text may hold other separators."""
    import pygit2

    blob = next((entry for entry in commit.tree if entry.name == FILE_NAME), None)
    if not isinstance(blob, pygit2.Blob):
        raise EnvironmentProblem(f"log commit {commit.id} holds no {FILE_NAME} file")
    return blob.data.decode().removesuffix("\n").split("\n")


def _last_number(commit: pygit2.Commit) -> int:
    """The number of the newest operation of a log whose tip this is."""
    return _number(decode(_lines(commit)[-1]))


def read_batch(commit: pygit2.Commit) -> Iterator[Operation]:
    """The operations of one commit of a log.

    Raises:
        EnvironmentProblem: it is not one of ours, or damaged.
    """
    try:
        for line in _lines(commit):
            yield decode(line)
    except ValueError as error:
        raise EnvironmentProblem(f"log commit {commit.id} cannot be read: {error}") from error


def read_all(paths: StatePaths) -> list[Operation]:
    """All operations in git, of all replicas, in the order of the fold; none if there is no hub yet.

    Raises:
        EnvironmentProblem: the hub or a log in it cannot be read.
    """
    import pygit2

    from tapeout.base import git

    if not os.path.exists(paths.hub):
        return []
    repository = git.open_bare(paths.hub)
    found: dict[str, Operation] = {}
    try:
        for name in repository.references:
            if name.startswith(LOG_REFS):
                for commit in repository.walk(repository.references[name].target, pygit2.enums.SortMode.NONE):
                    found.update((operation.id, operation) for operation in read_batch(commit))
    except (pygit2.GitError, KeyError) as error:
        raise EnvironmentProblem(f"cannot read the log in {paths.hub}: {error}") from error
    return sorted(found.values(), key=lambda operation: (operation.clock, operation.id))


def restore(paths: StatePaths) -> None:
    """Make an index again from git if there is none, or one of an older version; else do nothing."""
    with schema.creation(paths.tracker_db):
        if not schema.is_current(paths.tracker_db):
            _rebuild_locked(paths)


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
    with contextlib.ExitStack() as stack:
        stack.enter_context(_flush_lock_patiently(paths))
        if os.path.exists(paths.tracker_db):
            old = stack.enter_context(contextlib.closing(sqlite3.connect(paths.tracker_db, isolation_level=None)))
            with contextlib.suppress(sqlite3.DatabaseError):
                old.execute(f"PRAGMA busy_timeout = {schema.BUSY_SECONDS * 1000:.0f}")
                old.execute("BEGIN IMMEDIATE")  # nobody writes to it any more
            _salvage(paths, old)
        operations = read_all(paths)
        schema.build(paths.tracker_db, lambda connection: _fill(connection, operations))
    return len(operations)


def _salvage(paths: StatePaths, old: sqlite3.Connection) -> None:
    """Bring to git what only a damaged or outdated index holds, up to where it can be read no further."""
    found: dict[str, list[Operation]] = {}
    with contextlib.suppress(sqlite3.DatabaseError, ValueError):
        for *fields, data in old.execute(
            "SELECT id, clock, actor, issue, kind, data FROM operations ORDER BY sequence"
        ):
            operation = Operation._make((*fields, json.loads(data)))
            if _number(operation) > 0:
                found.setdefault(operation.replica, []).append(operation)
    for replica, operations in found.items():
        _append(paths, replica, operations)


def _fill(connection: sqlite3.Connection, operations: list[Operation]) -> None:
    """Store and apply operations that are in the order of the fold, in an empty index."""
    for operation in operations:
        connection.execute(
            "INSERT INTO operations(id, clock, actor, issue, kind, data) VALUES (?, ?, ?, ?, ?, ?)",
            (*operation[:5], encode_data(operation.data)),
        )
        fold.apply_logged(connection, operation)
    if operations:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'clock'", (operations[-1].clock,))
        connection.execute("UPDATE meta SET value = (SELECT max(sequence) FROM operations) WHERE key = 'flushed'")


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


@contextlib.contextmanager
def _flush_lock_patiently(paths: StatePaths) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with _flush_lock(paths) as held:
            if held:
                yield
                return
        if time.monotonic() > deadline:
            raise Busy(f"another process keeps writing to {paths.hub}", hint="try again")
        time.sleep(0.02)
