"""The SQLite index: how it is made and opened. It can be deleted at any time and is rebuilt from git."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from tapeout.base.errors import Busy, EnvironmentProblem, UsageError
from tapeout.base.ids import new_id
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.tables import EMPTY, INDEXES, SCHEMA_VERSION, TABLES

FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE = 0.001, 0.040, 0.002
"""Seconds that a writer sleeps on average before it tries again: the first time, then, and when it has waited long."""

PATIENCE_SECONDS = 0.080
"""When the sleep is the shortest. The four were measured with 64 writers on 2 cores (`bench/tracker_engine.py`)."""

BUSY_SECONDS = 30.0
"""How long a writer waits for the others. A transaction takes well under a millisecond, so even 64 writers at once
stay far below it."""

LEAST_FREE = 1024 * 1024
"""Bytes. A file system that has less is full: SQLite enlarges its files by up to 32 kB at once, git by a pack."""

REPLICA_LENGTH = 12
"""Characters of a replica's name, 5 random bits each."""


class Outdated(EnvironmentProblem):
    """The index was written by an older version: it is made again from git."""


class Missing(EnvironmentProblem):
    """There is no index: it is made again from git, or empty if there is nothing in git."""


def connect(path: str) -> sqlite3.Connection:
    """Open the index.

    Raises:
        Missing: there is none. Whoever makes one has to look into git first: it may have been lost.
        EnvironmentProblem: the index was written by another version (`Outdated` if by an older one), or is no database.
    """
    with _locked(path, fcntl.LOCK_SH):
        try:
            return _open(path)
        except EnvironmentProblem:
            if os.path.exists(path):
                raise
            raise Missing(f"there is no {path}") from None


def is_current(path: str) -> bool:
    """Whether there is an index of this version at `path`; call it under the lock of `creation`."""
    if not os.path.exists(path):
        return False
    try:
        _open(path).close()
    except Outdated:
        return False
    return True


def _open(path: str) -> sqlite3.Connection:
    """Open an index with all the files that belong to it, so that from now on it can be replaced."""
    try:
        connection = existing(path)
    except sqlite3.OperationalError as error:
        raise translate(error, path) from error
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise translate(error, path) from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise _wrong_version(path, version)
    return connection


def existing(path: str) -> sqlite3.Connection:
    """A connection to a database that is there; one that is not is never made, not even when it is deleted right now.

    Raises:
        OperationalError: it is not there, or cannot be opened.
    """
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(
        f"file:{quoted}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _wrong_version(path: str, version: int) -> EnvironmentProblem:
    if version == 0:  # never ours: a database is complete before it gets its name
        return damaged(path, "it is empty")
    text = f"{path} has schema version {version}, this tapeout reads version {SCHEMA_VERSION}"
    if version < SCHEMA_VERSION:
        return Outdated(text)
    return EnvironmentProblem(text, hint="install the newer version of tapeout")


def damaged(path: str, problem: str) -> EnvironmentProblem:
    """The index at `path` cannot be used; says how to mend it."""
    return EnvironmentProblem(
        f"the index {path} is damaged: {problem}",
        hint="run `tapeout doctor --rebuild`: it is made again from the log in git",
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """A write transaction: all of it or nothing, one writer at a time."""
    try:
        _begin(connection)
        yield
        connection.execute("COMMIT")
    except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
        _rollback(connection)
        raise translate(error, path) from error
    except BaseException:
        _rollback(connection)
        raise


def _begin(connection: sqlite3.Connection) -> None:
    """Wait for the other writers. SQLite's own waiting sleeps longer the longer it has waited, up to 100 ms, while
    newcomers get in at once: of 64 writers some then wait for seconds."""
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        started, waited = time.monotonic(), 0.0
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or waited > BUSY_SECONDS:
                    raise
            else:
                return
            time.sleep(pause(waited) * os.urandom(1)[0] / 128)
            waited = time.monotonic() - started
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")


def pause(waited: float) -> float:
    """How long a writer that has waited for so many seconds sleeps on average before it tries again.

    Whoever has waited longest tries most often, so that nobody is overtaken for long; and few try at once, so that the
    one at work has the processor.
    """
    if not waited:
        return FIRST_PAUSE
    return max(SHORTEST_PAUSE, LONGEST_PAUSE * (1 - waited / PATIENCE_SECONDS))


def translate(error: sqlite3.DatabaseError | UnicodeEncodeError, path: str) -> Exception:
    """What a user can do about an error of SQLite; programming errors come back unchanged."""
    if isinstance(error, UnicodeEncodeError):  # half of a surrogate pair: how Python holds bytes that are no UTF-8
        return UsageError(f"{error.object!r} is not valid UTF-8")
    text = str(error)
    if "disk is full" in text or ("disk I/O" in text and _has_no_space(path)):
        return EnvironmentProblem(
            f"no space to write {path}: {text}", hint="free some space and try again; nothing was lost"
        )
    if "disk I/O" in text:
        return EnvironmentProblem(
            f"cannot read or write {path}: {text}",
            hint="the system refused it: look at its log, at the disk and at limits on file sizes; nothing was lost",
        )
    if "readonly" in text or "unable to open" in text:
        return EnvironmentProblem(f"cannot write {path}: {text}", hint="check the folder's permissions")
    if "locked" in text:
        return Busy(f"{path} stayed locked for {BUSY_SECONDS:.0f} s", hint="try again")
    if "malformed" in text or "not a database" in text:
        return damaged(path, text)
    if "no such module" in text:
        return EnvironmentProblem(
            "searching for words needs an SQLite with FTS5, and that of this Python has none",
            hint="use another Python; queries without words work with this one",
        )
    return error


def _has_no_space(path: str) -> bool:
    """Whether the file system is full: where SQLite maps memory onto it, it says "disk I/O error" of that too."""
    try:
        state = os.statvfs(os.path.dirname(path))
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < LEAST_FREE


def _rollback(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def creation(path: str) -> Iterator[None]:
    """The lock under which an index is made or replaced.

    The first switch to WAL by several processes at once raises "database is locked", hence not even an empty one is
    made without it. Opening shares the lock: who opened the old file would else take the new one's write-ahead log.
    """
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _locked(path: str, mode: int) -> Iterator[None]:
    try:
        lock = _lock_file(path)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot create {path}: {error.strerror or error}",
            hint="check its folder's permissions and space",
        ) from error
    try:
        fcntl.flock(lock, mode)
        yield
    finally:
        os.close(lock)


def _lock_file(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(f"{path}.create", flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(f"{path}.create", flags, 0o666)


def build(path: str, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make an index complete under another name and put it in place, under the lock of `creation`: nobody ever sees
    half of it. One that is there already is kept beside it with the ending `.damaged`.

    Args:
        fill: puts the content into the empty index, in one transaction.
    """
    temporary = f"{path}.new"
    for ending in ("", *_SIDE_FILES):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary + ending)
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.executescript(f"BEGIN; {TABLES} {EMPTY} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        with transaction(connection, temporary):
            new_replica(connection)
            fill(connection)
            for statement in INDEXES.split(";\n"):
                connection.execute(statement)
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        raise translate(error, path) from error
    finally:
        connection.close()
    # A write-ahead log that an index left behind would be replayed into the new one.
    for ending in ("", *_SIDE_FILES):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + ending, f"{path}.damaged{ending}")
    os.rename(temporary, path)


def in_memory() -> sqlite3.Connection:
    """An empty index that nobody else sees and that ends with its connection: for a fold that nobody keeps."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(f"BEGIN; {TABLES} {EMPTY} COMMIT;")
    return connection


def new_replica(connection: sqlite3.Connection) -> str:
    """Give the index a name of its own, under which it writes operations from now on."""
    name = new_id(REPLICA_LENGTH)
    connection.execute("UPDATE replica SET name = ?, number = 0", (name,))
    connection.execute("INSERT INTO own_replicas VALUES (?)", (name,))
    return name


_SIDE_FILES = ("-wal", "-shm")
