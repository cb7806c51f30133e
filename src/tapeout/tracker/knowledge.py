"""Which operations the author of another one could have known of.

Operations of others reach a clone by merging only. The first operation that it writes after that is `heard`, which says
up to which number it has the operations of each other replica. So of any two operations it can be told whether one was
written in knowledge of the other, or both without.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapeout.base import jsontext as json
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.operations import Operation

KIND = "heard"


def newest_numbers(operations: Iterable[Operation]) -> dict[str, int]:
    """Replica to the highest number among these operations."""
    numbers: dict[str, int] = {}
    for operation in operations:
        numbers[operation.replica] = max(numbers.get(operation.replica, 0), operation.number)
    return numbers


class Knowledge:
    """What every replica had heard of when, as the log tells it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._heard: dict[str, list[tuple[int, dict[str, int]]]] = {}
        for identity, data in connection.execute("SELECT id, data FROM operations WHERE kind = 'heard'"):
            replica, _, number = identity.rpartition(".")
            self._heard.setdefault(replica, []).append((int(number), json.loads(data)))

    def knew(self, later: Operation, earlier: Operation) -> bool:
        """Whether `later` was written where `earlier` was known."""
        if later.replica == earlier.replica:
            return earlier.number < later.number
        return any(
            number < later.number
            and isinstance(heard.get(earlier.replica), int)
            and heard[earlier.replica] >= earlier.number
            for number, heard in self._heard.get(later.replica, ())
        )

    def are_concurrent(self, one: Operation, other: Operation) -> bool:
        """Whether neither knew of the other."""
        return one.id != other.id and not self.knew(one, other) and not self.knew(other, one)
