"""Many operations at once, with the result that one by one would have: an import's, and those of a whole log.

An operation changes rows of its own issue only, and who waits for whom is derived from the rows. So the operations of
different issues can be applied in any order, and what follows from all of them is derived once.
"""

import contextlib
import gc
import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from tapeout.base.sqlite import sqlite3
from tapeout.tracker import fold, log, waiting
from tapeout.tracker.operations import Operation, past

Entry = tuple[str, str, dict[str, Any]]
"""Issue, kind and data of an operation that is to be written."""

CHUNK = 2_000
"""Operations that share a savepoint, or a statement's run."""

SETTLE_ALL_FROM = 500
"""Changed issues from which on it is cheaper to derive everything anew than what follows from each."""


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Hundreds of thousands of values are made, none is garbage, and looking for it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Numbering:
    """Numbers, clocks and the act of the operations that one transaction adds."""

    def __init__(self, connection: sqlite3.Connection, replica: str, number: int, clock: int, act: int) -> None:
        """
        Args:
            number: the last that is taken.
            clock: the last of our own.
            act: number of the transaction's first operation, or 0 if it will be the first of these.
        """
        self._connection = connection
        self._newest: dict[str, int] = {}
        self.replica = replica
        self.number = number
        self.clock = clock
        self.act = act

    def operation(self, actor: str, entry: Entry) -> Operation:
        """The next operation: past our clock, and past all that is known of its issue."""
        issue, kind, data = entry
        self.number += 1
        self.clock += 1
        self.act = self.act or self.number
        clock = max(self.clock, past(self._newest_of(issue), issue))
        self._newest[issue] = clock
        return Operation(f"{self.replica}.{self.number}", clock, actor, issue, kind, data, self.act)

    def _newest_of(self, issue: str) -> int:
        if issue not in self._newest:
            row = self._connection.execute("SELECT max(clock) FROM operations WHERE issue = ?", (issue,)).fetchone()
            return row[0] or 0
        return self._newest[issue]


def add(connection: sqlite3.Connection, numbering: Numbering, actor: str, entries: Iterable[tuple[Entry, str]]) -> int:
    """Write operations and apply them, inside a transaction; how many they were.

    Args:
        entries: each operation with its data as JSON; the data is what that JSON says.
    """
    concerned: set[str] = set()
    source = iter(entries)
    count = 0
    while chunk := list(itertools.islice(source, CHUNK)):
        operations = [numbering.operation(actor, entry) for entry, _ in chunk]
        log.add(connection, zip(operations, (text for _, text in chunk), strict=True))
        for operation in operations:
            fold.apply(connection, operation)
        concerned.update(operation.issue for operation in operations if waiting.is_concerned(operation))
        count += len(chunk)
    settle(connection, concerned)
    return count


def settle(connection: sqlite3.Connection, issues: set[str]) -> None:
    """Derive what follows from changes of these issues; they may have made circles."""
    if len(issues) < SETTLE_ALL_FROM:
        waiting.after_merge(connection, issues)
    else:
        waiting.settle_all(connection)


def apply_log(connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
    """Apply operations of a log to an empty index, as `fold.apply_logged` does one by one.

    Args:
        operations: in the order of the fold.
    """
    # Issue by issue: rows next to each other in a table are written next to each other in time.
    for chunk in _chunks(sorted(operations, key=attrgetter("issue"))):
        connection.execute("SAVEPOINT chunk")
        try:
            for operation in chunk:
                fold.apply(connection, operation)
        except fold.NONSENSE:
            connection.execute("ROLLBACK TO chunk")
            for operation in chunk:
                fold.apply_logged(connection, operation)
        finally:
            connection.execute("RELEASE chunk")


def _chunks(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    for start in range(0, len(operations), CHUNK):
        yield operations[start : start + CHUNK]
