"""Which operations the author of another one could have known of.

Operations of others reach a clone by merging only. The first operation that it writes after that is `heard`, which says
up to which number it has the operations of each other replica. So of any two operations it can be told whether one was
written in knowledge of the other, or both without.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from tapeout.base import jsontext as json
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.operations import Operation

KIND = "heard"


def newest_numbers(operations: Iterable[Operation]) -> dict[str, int]:
    """Replica to the highest number among these operations."""
    numbers: dict[str, int] = {}
    for operation in operations:
        replica, _, digits = operation.id.rpartition(".")
        number = int(digits)
        if number > numbers.get(replica, 0):
            numbers[replica] = number
    return numbers


def known_numbers(connection: sqlite3.Connection, *, before: str | None = None) -> dict[str, int]:
    """Replica to the highest number in the index.

    Args:
        before: id of an operation; only what the index had when that was written.
    """
    rows = connection.execute(
        "SELECT rtrim(id, '0123456789') AS start, max(CAST(replace(id, rtrim(id, '0123456789'), '') AS INTEGER))"
        " FROM operations WHERE ?1 IS NULL OR sequence < (SELECT sequence FROM operations WHERE id = ?1)"
        " GROUP BY start ORDER BY start",
        (before,),
    )
    return {start.removesuffix("."): number for start, number in rows}


class Knowledge:
    """What every replica had heard of when, as the log tells it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._heard: dict[tuple[str, str], list[tuple[int, int]]] = {}
        rows = connection.execute("SELECT id, data FROM operations WHERE kind = 'heard'").fetchall()
        said = sorted((replica, int(number), data) for (replica, _, number), data in _split(rows))
        for replica, number, data in said:
            for other, newest in json.loads(data).items():
                if type(newest) is int:
                    known = self._heard.setdefault((replica, other), [])
                    known.append((number, max(newest, known[-1][1] if known else 0)))

    def knew(self, later: Operation, earlier: Operation) -> bool:
        """Whether `later` was written where `earlier` was known."""
        if later.replica == earlier.replica:
            return earlier.number < later.number
        known = self._heard.get((later.replica, earlier.replica), [])
        before = bisect_left(known, (later.number, 0))
        return before > 0 and known[before - 1][1] >= earlier.number

    def are_concurrent(self, one: Operation, other: Operation) -> bool:
        """Whether neither knew of the other."""
        return one.id != other.id and not self.knew(one, other) and not self.knew(other, one)


def _split(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str, str], str]]:
    return ((identity.rpartition("."), data) for identity, data in rows)
