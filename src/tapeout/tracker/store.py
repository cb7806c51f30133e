"""The door to the index for one process: transactions, appending operations, waking listeners, flushing to git."""

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from tapeout.base.errors import UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import doorbell, fold, gitlog, schema
from tapeout.tracker.operations import Operation, encode_data, tick

MAX_TEXT_BYTES = 1_000_000
"""Longest body, comment or note, in bytes of UTF-8."""


class Store:
    """One process's connection to the tracker of one repository. Not for use by several threads at once."""

    def __init__(self, paths: StatePaths, connection: sqlite3.Connection, actor: str) -> None:
        self.paths = paths
        self.actor = actor
        self._connection = connection
        self._wrote = False

    @classmethod
    def open(cls, paths: StatePaths, actor: str) -> Self:
        """Open the tracker, creating it on first use; an index that was lost is made again from git.

        Raises:
            EnvironmentProblem: the state directory cannot be written, or the index is damaged.
        """
        if not os.path.exists(paths.tracker_db) and os.path.isdir(os.path.join(paths.hub, "refs", "tapeout", "log")):
            gitlog.rebuild(paths)
        return cls(paths, schema.connect(paths.tracker_db), actor)

    def close(self) -> None:
        """Close the connection. What was written goes to git now, or in the background for a short-lived command."""
        if self._wrote and "pygit2" in sys.modules:
            gitlog.flush(self.paths, self._connection)
        self._connection.close()
        if self._wrote and "pygit2" not in sys.modules:
            gitlog.flush_in_background(self.paths)

    def flush(self) -> int:
        """Write what is not in git yet; returns how many operations were written."""
        return gitlog.flush(self.paths, self._connection)

    def has_outbox(self) -> bool:
        """Whether operations wait to be written to git."""
        return gitlog.has_outbox(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; listeners are woken after it."""
        with schema.transaction(self._connection, self.paths.tracker_db):
            yield
        self._wrote = True
        doorbell.ring(self.paths.bells)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Errors of the index become errors for people."""
        try:
            yield self._connection
        except sqlite3.DatabaseError as error:
            raise schema.translate(error, self.paths.tracker_db) from error

    def _append(self, issue: str, kind: str, data: dict[str, Any]) -> Operation:
        """Add one operation to the log and apply it; inside `_writing` only."""
        meta = dict(self._connection.execute("SELECT key, value FROM meta WHERE key IN ('replica', 'number', 'clock')"))
        number = meta["number"] + 1
        clock = tick(meta["clock"], time.time())
        operation = Operation(f"{meta['replica']}.{number}", clock, self.actor, issue, kind, data)
        self._connection.execute(
            "INSERT INTO operations(id, clock, actor, issue, kind, data) VALUES (?, ?, ?, ?, ?, ?)",
            (*operation[:5], encode_data(data)),
        )
        self._connection.executemany("UPDATE meta SET value = ? WHERE key = ?", ((number, "number"), (clock, "clock")))
        fold.apply(self._connection, operation)
        return operation


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
