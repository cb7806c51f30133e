"""The door to the index for one process: transactions, appending operations, waking listeners, flushing to git."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from types import TracebackType

from tapeout.base import jsontext as json
from tapeout.base.errors import TapeoutError, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import doorbell, fold, gitlog, schema
from tapeout.tracker.operations import Operation, encode_data, tick

if TYPE_CHECKING:
    from typing import Any, Self

MAX_TEXT_BYTES = 1_000_000
"""Longest body, comment or note, in bytes of UTF-8."""


class Store:
    """One process's connection to the tracker of one repository. Not for use by several threads at once."""

    def __init__(self, paths: StatePaths, actor: str) -> None:
        self.paths = paths
        self.actor = actor
        self._connection, self._file = _open(paths)
        self._wrote = False

    @classmethod
    def open(cls, paths: StatePaths, actor: str) -> Self:
        """Open the tracker, creating it on first use; an index that was lost is made again from git.

        Raises:
            EnvironmentProblem: the state directory cannot be written, or the index is damaged.
        """
        return cls(paths, actor)

    def close(self) -> None:
        """Close the connection. What was written goes to git now, or in the background for a short-lived command.

        What cannot be brought to git, such as on a full disk, waits in the index for the next one who can.
        """
        with contextlib.suppress(TapeoutError, sqlite3.Error, OSError):
            if self._wrote and "pygit2" in sys.modules:
                gitlog.flush(self.paths, self._connection)
        self._connection.close()
        with contextlib.suppress(OSError):
            if self._wrote and "pygit2" not in sys.modules:
                gitlog.flush_in_background(self.paths)

    def check(self) -> None:
        """Look whether the index is sound and git can be written.

        Raises:
            EnvironmentProblem: says what is wrong and how to mend it.
        """
        with self._reading() as connection:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise schema.damaged(self.paths.tracker_db, problem.splitlines()[-1])
            gitlog.flush_all(self.paths, connection)

    def flush(self) -> int:
        """Write what is not in git yet; returns how many operations were written."""
        with self._reading() as connection:
            return gitlog.flush(self.paths, connection)

    def has_outbox(self) -> bool:
        """Whether operations wait to be written to git."""
        with self._reading() as connection:
            return gitlog.has_outbox(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; listeners are woken after it."""
        written = False
        while not written:
            with schema.transaction(self._connection, self.paths.tracker_db):
                if self._is_current():  # looked at with the write lock held: nobody replaces it now
                    yield
                    written = True
            if not written:
                self._reopen()
        self._wrote = True
        doorbell.ring(self.paths.bells)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Errors of the index become errors for people."""
        if not self._is_current():
            self._reopen()
        try:
            yield self._connection
        except sqlite3.DatabaseError as error:
            raise schema.translate(error, self.paths.tracker_db) from error

    def _is_current(self) -> bool:
        """Whether the connection's file is still the index: a rebuild replaces it."""
        return _identity(self.paths.tracker_db) == self._file

    def _reopen(self) -> None:
        """Go on with the new index, after bringing to git what only the old one holds."""
        with contextlib.suppress(TapeoutError, sqlite3.Error, OSError):
            gitlog.flush(self.paths, self._connection)
        old = self._connection
        self._connection, self._file = _open(self.paths)
        old.close()

    def _append(self, issue: str, kind: str, data: dict[str, Any]) -> Operation:
        """Add one operation to the log and apply it; inside `_writing` only."""
        text = _storable(encode_data(data))
        meta = dict(self._connection.execute("SELECT key, value FROM meta WHERE key IN ('replica', 'number', 'clock')"))
        number = meta["number"] + 1
        clock = tick(meta["clock"], time.time())
        # What is folded now is what will be folded from git: the data as it comes back from JSON.
        operation = Operation(
            f"{meta['replica']}.{number}", clock, _storable(self.actor), issue, kind, json.loads(text)
        )
        self._connection.execute(
            "INSERT INTO operations(id, clock, actor, issue, kind, data) VALUES (?, ?, ?, ?, ?, ?)",
            (*operation[:5], text),
        )
        self._connection.executemany("UPDATE meta SET value = ? WHERE key = ?", ((number, "number"), (clock, "clock")))
        fold.apply(self._connection, operation)
        return operation


_Identity = tuple[int, int]


def _open(paths: StatePaths) -> tuple[sqlite3.Connection, _Identity]:
    """A connection to the index, and which file it is open on."""
    while True:
        before = _identity(paths.tracker_db)
        connection = _connect(paths)
        if before is not None and _identity(paths.tracker_db) == before:
            return connection, before
        connection.close()  # made just now, or replaced meanwhile: open it again to be sure which file it is


def _connect(paths: StatePaths) -> sqlite3.Connection:
    lost = not os.path.exists(paths.tracker_db) and os.path.exists(paths.hub)
    if not lost:
        with contextlib.suppress(schema.Outdated):
            return schema.connect(paths.tracker_db)
    gitlog.restore(paths)
    return schema.connect(paths.tracker_db)


def _identity(path: str) -> _Identity | None:
    """Which file is at `path`."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _storable(text: str) -> str:
    """`text` with what is not valid Unicode, such as an odd file name, replaced by question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def checked_text(text: str, what: str) -> str:
    """`text` if it can be stored.

    Raises:
        UsageError: it is not valid UTF-8, holds NUL bytes, or is too long.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the {what} is not valid UTF-8") from error
    if "\0" in text:
        raise UsageError(f"the {what} holds a NUL byte")
    if size > MAX_TEXT_BYTES:
        raise UsageError(f"the {what} is {size:,} bytes long, {MAX_TEXT_BYTES:,} is the most")
    return text
