"""The queue's side of a change: gating, verdict, landing."""

from __future__ import annotations

from collections.abc import Sequence

from tapeout.base.errors import NotAllowed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import queries
from tapeout.tracker.model import OPEN_CHANGE_STATES, Change, ChangeState, Decisions
from tapeout.tracker.store import Store

if TYPE_CHECKING:
    from typing import Any

_ALLOWED: dict[str, tuple[ChangeState, ...]] = {
    "gating": ("queued",),
    "queued": ("gating", "passed"),
    "passed": ("gating",),
    "failed": ("gating",),
    "conflict": ("queued", "gating"),
    # Withdrawn at the moment in which main moved: what main contains has landed.
    "landed": ("queued", "gating", "passed", "withdrawn"),
}
"""New state of a change to the states that it can come from."""


class ChangeCommands(Store):
    """What the gate reports of the changes in its queue."""

    def changes(self, states: Sequence[ChangeState] = OPEN_CHANGE_STATES, issue: str | None = None) -> list[Change]:
        """Changes in queue order: urgent issues first, then first come first served."""
        with self._reading() as connection:
            return queries.changes(connection, states=states, issue=issue)

    def all_changes(self, issue: str) -> list[Change]:
        """All changes of an issue, in queue order."""
        with self._reading() as connection:
            return queries.changes(connection, issue=issue)

    def change(self, identity: str) -> Change:
        """One change by its id."""
        with self._reading() as connection:
            return queries.change(connection, identity)

    def decided(self, limit: int) -> Decisions:
        """What became of the latest `limit` changes of this clone that were judged."""
        with self._reading() as connection:
            return queries.decided(connection, limit)

    def decided_after(self, sequence: int) -> set[str]:
        """Issues with a change that landed or was refused since the event of that number."""
        with self._reading() as connection:
            return queries.decided_after(connection, sequence)

    def set_gating(self, change: str, candidate: str) -> None:
        """The gate has begun to check the candidate commit."""
        self._move(change, "gating", candidate=candidate)

    def requeue(self, change: str) -> None:
        """The change goes back into the queue: its gate run did not end, or main moved meanwhile."""
        self._move(change, "queued", candidate=None, verdict=None)

    def record_verdict(self, change: str, candidate: str, verdict: dict[str, Any]) -> None:
        """The gate has judged the candidate; `verdict["passed"]` decides between `passed` and `failed`."""
        self._move(change, "passed" if verdict["passed"] else "failed", candidate=candidate, verdict=verdict)

    def record_conflict(self, change: str, paths: Sequence[str]) -> None:
        """The change cannot be merged: both sides changed these paths."""
        names = ", ".join(paths)
        verdict = {
            "passed": False,
            "reason": f"merge conflict in {names}",
            "paths": list(paths),
            "findings": [],
        }
        self._move(change, "conflict", verdict=verdict)

    def record_landed(self, change: str, commit: str) -> None:
        """Main contains the change: the issue closes as landed, and publishing is due, in the same transaction."""
        with self._writing():
            current = self._expect(change, "landed")
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('unpublished', '')")
            self._append(current.issue, "change-landed", {"change": change, "commit": commit})

    def set_unpublished(self, reason: str | None) -> None:
        """What landed cannot be published for that reason; empty: it is due; None: all is published."""
        if self.unpublished() == reason:
            return
        with self._writing():
            self._connection.execute("DELETE FROM meta WHERE key = 'unpublished'")
            if reason is not None:
                self._connection.execute("INSERT INTO meta VALUES ('unpublished', ?)", (reason,))

    def unpublished(self) -> str | None:
        """Why landed commits are not where the user sees them, as `set_unpublished` was told."""
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'unpublished'").fetchone()
            return str(row[0]) if row else None

    def stop_queue(self, reason: str) -> None:
        """The gate cannot work (a tool is missing, the disk is full): nothing is gated until `start_queue`."""
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('queue-stopped', ?)", (reason,))
            self._append("", "noted", {"what": "queue-stopped", "reason": reason})

    def start_queue(self) -> None:
        """Let the queue work again."""
        with self._writing():
            self._connection.execute("DELETE FROM meta WHERE key = 'queue-stopped'")

    def queue_stopped(self) -> str | None:
        """Why the queue is stopped, or None."""
        return self.setting("queue-stopped") or None

    def _move(self, change: str, state: ChangeState, **data: Any) -> None:
        with self._writing():
            current = self._expect(change, state)
            self._append(current.issue, "change-moved", {"change": change, "state": state, **data})

    def _expect(self, change: str, state: ChangeState) -> Change:
        current = queries.change(self._connection, change)
        if current.state not in _ALLOWED[state]:
            raise NotAllowed(f"change {change} is {current.state}, so it cannot become {state}")
        return current
