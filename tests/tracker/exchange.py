"""Operations that travel between trackers by hand."""

from typing import Any

from tapeout.tracker import Tracker, log
from tapeout.tracker.operations import Operation
from tests.tracker.tools import contents, receive


def operations(tracker: Tracker) -> list[Operation]:
    rows = tracker._connection.execute("SELECT id, clock, actor, issue, kind, data, act FROM operations")
    return [log.from_row(row) for row in rows]


def deliver(to: Tracker, sent: list[Operation], now: float = 4e9) -> None:
    receive(to, sent, now)


def exchange(*trackers: Tracker) -> None:
    everything = [operation for tracker in trackers for operation in operations(tracker)]
    for tracker in trackers:
        deliver(tracker, everything)


def rows(tracker: Tracker) -> dict[str, list[tuple[Any, ...]]]:
    return contents(tracker.paths)
