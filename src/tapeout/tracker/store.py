"""The door to the index for one process: transactions, appending operations, waking listeners, flushing to git."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType

from tapeout.base import jsontext as json
from tapeout.base.errors import TapeoutError, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import doorbell, fold, knowledge, log, outbox, schema, waiting
from tapeout.tracker.operations import Operation, encode_data, past, tick

if TYPE_CHECKING:
    from typing import Any, Self

    from tapeout.tracker import bulk
    from tapeout.tracker.merge import Merged

MAX_TEXT_BYTES = 1_000_000
"""Longest body, comment or note, in bytes of UTF-8."""


class Store:
    """One process's connection to the tracker of one repository. Not for use by several threads at once."""

    def __init__(self, paths: StatePaths, actor: str) -> None:
        self.paths = paths
        self.actor = actor
        self._connection, self._file = _open(paths)
        self._wrote = False
        self._rehearsing = False
        self._act = 0
        self._guard: Callable[[str], object] | None = None
        """Called with the issue before anything is written about it; refuses by raising."""

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
            if self._wrote and not self._is_current():
                self._reopen()
            if self._wrote and "pygit2" in sys.modules:
                outbox.flush(self.paths, self._connection)
        self._connection.close()
        with contextlib.suppress(OSError):
            if self._wrote and "pygit2" not in sys.modules:
                outbox.flush_in_background(self.paths)

    def check(self) -> None:
        """Look whether the index is sound and git can be written.

        Raises:
            EnvironmentProblem: says what is wrong and how to mend it.
        """
        with self._reading() as connection:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise schema.damaged(self.paths.tracker_db, problem.splitlines()[-1])
            outbox.flush_all(self.paths, connection)

    def tidy(self) -> None:
        """Bring the write-ahead log into the index, give unused space back, and renew what the query planner knows."""
        with self._reading() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA optimize")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def flush(self) -> int:
        """Write what is not in git yet; returns how many operations were written."""
        with self._reading() as connection:
            return outbox.flush(self.paths, connection)

    def has_outbox(self) -> bool:
        """Whether operations wait to be written to git."""
        with self._reading() as connection:
            return outbox.is_waiting(connection)

    def setting(self, name: str) -> str:
        """A setting of this index that is in no log; empty if it is not set."""
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
            return str(row[0]) if row else ""

    def change_setting(self, name: str, value: str) -> None:
        """Set it; empty removes it."""
        if self.setting(name) == value:
            return
        with self._writing():
            self._set(name, value)

    def revise_setting(self, name: str, revise: Callable[[str], str]) -> None:
        """Set it to what `revise` makes of what it is now; nobody else writes in between."""
        with self._writing():
            self._set(name, revise(self.setting(name)))

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("DELETE FROM meta WHERE key = ?", (name,))
        if value:
            self._connection.execute("INSERT INTO meta VALUES (?, ?)", (name, value))

    def merge(self, operations: Sequence[Operation], now: float | None = None) -> Merged:
        """Bring in operations that other clones wrote, in one transaction. Those that are known change nothing.

        Args:
            now: unix time; default: the clock's. Operations from far ahead of it do not move our clock.
        """
        from tapeout.tracker import merge

        with self._writing():
            before = merge.holders(self._connection)
            new = merge.merge(self._connection, operations, time.time() if now is None else now)
            merge.leave_taken_name(self._connection, operations)
            after = merge.holders(self._connection)
            lost = [issue for issue, owner in before.items() if after.get(issue, owner) != owner]
            return merge.Merged(new, sorted(lost))

    def knows(self, operations: Iterable[str]) -> bool:
        """Whether all operations with these ids are in the index. No rebuild is under way when it is answered."""
        with self._writing():
            return all(log.operation(self._connection, identity) is not None for identity in operations)

    def own_replicas(self) -> list[str]:
        """Names under which this clone has written operations, and writes them now."""
        with self._reading() as connection:
            return sorted(log.own_replicas(connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def rehearsing(self) -> Iterator[None]:
        """What is written inside is checked and answered as ever, and then not done."""
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; listeners are woken after it."""
        written = False
        while not written:
            with schema.transaction(self._connection, self.paths.tracker_db):
                if self._is_current():  # looked at with the write lock held: nobody replaces it now
                    self._act = 0
                    with self._taken_back() if self._rehearsing else contextlib.nullcontext():
                        yield
                    written = True
            if not written:
                self._reopen()
        if not self._rehearsing:
            self._wrote = True
            doorbell.ring(self.paths.bells)

    @contextlib.contextmanager
    def _taken_back(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT rehearsal")
        yield
        self._connection.execute("ROLLBACK TO rehearsal")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Errors of the index become errors for people."""
        if not self._is_current():
            self._reopen()
        try:
            yield self._connection
        except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
            raise schema.translate(error, self.paths.tracker_db) from error

    def _is_current(self) -> bool:
        """Whether the connection's file is still the index: a rebuild replaces it."""
        return _identity(self.paths.tracker_db) == self._file

    def _reopen(self) -> None:
        """Go on with the new index, after bringing to it and to git what only the old one holds."""
        old = self._connection
        with contextlib.closing(old):
            kept: list[Operation] = []
            with contextlib.suppress(TapeoutError, sqlite3.Error, OSError):
                mark = outbox.mark(old)
                with contextlib.suppress(TapeoutError, OSError):
                    outbox.flush(self.paths, old)
                kept = log.own_operations(old, mark)  # after the flush: it may have had to rename some
            self._connection, self._file = _open(self.paths)
            if kept:
                self._take_over(old, kept)

    def _take_over(self, old: sqlite3.Connection, operations: list[Operation]) -> None:
        """Bring in what this clone wrote to an index that was deleted, and that another process made again from git
        before it was there."""
        from tapeout.tracker import merge, overlap

        with self._writing():
            here = (log.operation(self._connection, one.id) for one in operations)
            there = {one.id: one for one in here if one is not None}
            apart = overlap.told_apart(operations, there, lambda first: knowledge.known_numbers(old, before=first.id))
            lacking = [*apart.following, *apart.renamed]
            own = {(operation.replica,) for operation in lacking}
            self._connection.executemany("INSERT OR IGNORE INTO own_replicas VALUES (?)", own)
            merge.merge(self._connection, lacking, time.time())

    def _append(self, issue: str, kind: str, data: dict[str, Any]) -> Operation:
        """Add one operation to the log and apply it; inside `_writing` only."""
        if self._guard is not None and issue:
            self._guard(issue)
        text = storable(encode_data(data))
        replica, number, ours, newest = self._counters(issue)
        number, clock = number + 1, tick(ours, time.time())
        self._connection.execute("UPDATE replica SET number = ?, clock = ?", (number, clock))
        self._act = self._act or number
        # What is folded now is what will be folded from git: the data as it comes back from JSON.
        operation = Operation(
            f"{replica}.{number}",
            max(
                clock, past(newest, issue)
            ),  # a wrong clock of another replica counts only on the issues that it wrote to
            storable(self.actor),
            issue,
            kind,
            json.loads(text),
            self._act,
        )
        log.add(self._connection, [(operation, text)])
        fold.apply(self._connection, operation)
        waiting.after(self._connection, operation)
        return operation

    def _counters(self, issue: str) -> tuple[str, int, int, int]:
        """Our replica, the last number on it, our clock, and the newest clock that is known of the issue."""
        replica, number, clock, file, heard, newest = self._connection.execute(
            "SELECT name, number, clock, file, heard, (SELECT max(clock) FROM operations WHERE issue = ?) FROM replica",
            (issue,),
        ).fetchone()
        if file != self._file[1]:
            self._settle_in(is_copy=number > 0)
        elif heard:
            # Before an operation of ours: what of others it is written in knowledge of.
            self._connection.execute("UPDATE replica SET heard = ''")
            self._append("", knowledge.KIND, json.loads(heard))
        else:
            return replica, number, clock, newest or 0
        return self._counters(issue)

    def _settle_in(self, *, is_copy: bool) -> None:
        """The index is new, or a copy made by whoever copied the state directory. A copy is another replica: two that
        count on under one name would write different operations with the same id."""
        if is_copy:
            from tapeout.tracker import merge

            merge.take_new_name(self._connection)
        self._connection.execute("UPDATE replica SET file = ?", (self._file[1],))

    def _append_many(self, entries: Iterable[bulk.Entry]) -> int:
        """Add many operations, with the same result as `_append` for each but in a fraction of the time, and circles of
        waiting issues are broken as after a merge; how many they were. Inside `_writing` only."""
        from tapeout.tracker import bulk

        rest = iter(entries)
        first = next(rest, None)
        if first is None:
            return 0
        replica, number, ours, _ = self._counters("")
        numbering = bulk.Numbering(self._connection, replica, number, tick(ours, time.time()) - 1, self._act)
        stored = (self._stored(entry) for entry in self._guarded(itertools.chain((first,), rest)))
        count = bulk.add(self._connection, numbering, storable(self.actor), stored)
        self._act = numbering.act
        self._connection.execute("UPDATE replica SET number = ?, clock = ?", (numbering.number, numbering.clock))
        return count

    def _guarded(self, entries: Iterable[bulk.Entry]) -> Iterator[bulk.Entry]:
        """The entries, after the guard was asked once about each issue, before anything is written about it."""
        asked = {""}
        for entry in entries:
            issue = entry[0]
            if self._guard is not None and issue not in asked:
                self._guard(issue)
                asked.add(issue)
            yield entry

    @staticmethod
    def _stored(entry: bulk.Entry) -> tuple[bulk.Entry, str]:
        """An operation to be written and its data as JSON; what is folded is what that JSON says."""
        issue, kind, data = entry
        text = encode_data(data)
        if text.isascii() or storable(text) == text:
            return entry, text
        return (issue, kind, json.loads(storable(text))), storable(text)


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
    while True:
        try:
            return schema.connect(paths.tracker_db)
        except (schema.Missing, schema.Outdated):
            from tapeout.tracker import rebuild

            rebuild.restore(paths)


def _identity(path: str) -> _Identity | None:
    """Which file is at `path`."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def storable(text: str) -> str:
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
