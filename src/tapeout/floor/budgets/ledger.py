"""What the attempts of a run have used, as the tracker remembers it: each keeps it in a note, with the run's name.

What may go wrong: an attempt's worker is killed (what it used since its last note is missing); the clock jumps (runs
are told apart by name, and what began within the last hour is kept by the monotonic clock).
"""

import time
from dataclasses import dataclass

from tapeout.floor.budgets.run import Run
from tapeout.floor.budgets.spend import Spend, spend_of, total
from tapeout.tracker import Tracker
from tapeout.tracker.model import AttemptNote

SPEND = "spend"
"""Topic of the note in which an attempt keeps what it has used."""

HOUR = 3600.0

MOST_NOTES = 10_000
"""Notes that are read when a floor starts."""


@dataclass(frozen=True)
class _Entry:
    lane: str
    spend: Spend


class Ledger:
    """The sums of one run, kept up to date by reading only what is new."""

    def __init__(self, tracker: Tracker, run: Run) -> None:
        self._tracker = tracker
        self._run = run
        self._seen = run.since
        self._entries: dict[str, _Entry] = {}
        self._sums: dict[str | None, Spend] = {}
        self._began: dict[str, tuple[float, str]] = {}
        self._load()

    def refresh(self) -> None:
        """Read what attempts have noted since the last time."""
        for note in self._tracker.noted(SPEND, since=self._seen, limit=MOST_NOTES):
            self._take(note)

    def started(self, attempt: str, lane: str, agent: str) -> None:
        """An attempt is being started; what it uses comes from its notes."""
        self._put(attempt, _Entry(lane, Spend(attempts=1)))
        self._began[attempt] = time.monotonic(), agent

    def not_started(self, attempt: str) -> None:
        """It ended before it began."""
        self._entries.pop(attempt, None)
        self._began.pop(attempt, None)
        self._sums.clear()

    def spend(self, lane: str | None = None) -> Spend:
        """What the run has used, or the lane in it."""
        if lane not in self._sums:
            self._sums[lane] = total(entry.spend for entry in self._entries.values() if lane in (None, entry.lane))
        return self._sums[lane]

    def lane(self, attempt: str) -> str:
        """The lane of an attempt of the run."""
        entry = self._entries.get(attempt)
        return entry.lane if entry is not None else ""

    def began(self, now: float) -> list[tuple[float, str]]:
        """When (monotonic) the attempts of the last hour began, oldest first, and their agents."""
        self._began = {attempt: one for attempt, one in self._began.items() if one[0] > now - HOUR}
        return sorted(self._began.values())

    def _load(self) -> None:
        """All that this run has used, and what began in the last hour, whatever the run."""
        wall, now = time.time(), time.monotonic()
        own = set(self._tracker.own_replicas())
        for note in self._tracker.noted(SPEND, limit=MOST_NOTES):
            self._take(note)
            begun = note.data.get("started")
            age = wall - begun if isinstance(begun, (int, float)) else HOUR
            if 0 <= age < HOUR and self._tracker.attempt(note.attempt).replica in own:
                self._began[note.attempt] = now - age, str(note.data.get("agent", ""))

    def _take(self, note: AttemptNote) -> None:
        if note.data.get("run") == self._run.id:
            self._seen = max(self._seen, note.at)
            self._put(note.attempt, _Entry(str(note.data.get("lane", "")), spend_of(note.data)))

    def _put(self, attempt: str, entry: _Entry) -> None:
        if self._entries.get(attempt) != entry:
            self._entries[attempt] = entry
            self._sums.clear()


def run_spend(tracker: Tracker, run: Run) -> dict[str, Spend]:
    """What each lane has used in a run; the lane of issues in none is the empty one."""
    found: dict[str, Spend] = {}
    for note in tracker.noted(SPEND, since=run.since, limit=MOST_NOTES):
        if note.data.get("run") == run.id:
            lane = str(note.data.get("lane", ""))
            found[lane] = found.get(lane, Spend()) + spend_of(note.data)
    return found
