"""What a worker reports of its attempt. Every write is fenced by the attempt's lease."""

from __future__ import annotations

import time

from tapeout.base.errors import Conflict, NotAllowed
from tapeout.base.ids import new_id
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import queries
from tapeout.tracker.commands.leases import LeaseCommands
from tapeout.tracker.model import OPEN_CHANGE_STATES, Activity, Attempt, AttemptNote, Change, Lease, Outcome

if TYPE_CHECKING:
    from typing import Any


class AttemptCommands(LeaseCommands):
    """Attempts and the changes that they submit."""

    def begin_attempt(
        self, issue: str, attempt: str, seconds: float, *, agent: str, host: str, pid: int, pid_started: float
    ) -> tuple[Lease, Attempt]:
        """Claim a ready issue for an attempt and begin it, in one transaction: no lease is without its attempt.

        Raises:
            Conflict: the issue is not ready any more, because somebody else took, closed or blocked it.
        """
        with self._writing():
            if not queries.is_ready(self._connection, issue, time.time()):
                raise Conflict(f"{issue} is not ready any more")
            lease = self._grant(queries.issue(self._connection, issue), attempt, seconds)
            return lease, self._begin(issue, attempt, agent=agent, host=host, pid=pid, pid_started=pid_started)

    def start_attempt(
        self, lease: Lease, attempt: str, *, agent: str, host: str, pid: int, pid_started: float
    ) -> Attempt:
        """Begin an attempt under a lease that was taken before, such as a person's; its number counts up from 1."""
        with self._writing():
            self._fence(lease)
            return self._begin(lease.issue, attempt, agent=agent, host=host, pid=pid, pid_started=pid_started)

    def _begin(self, issue: str, attempt: str, **identity: Any) -> Attempt:
        number = len(queries.attempts(self._connection, issue=issue)) + 1
        self._append(issue, "attempt-started", {"attempt": attempt, "number": number, **identity})
        return queries.attempt(self._connection, attempt)

    def update_attempt(self, lease: Lease, attempt: str, **fields: Any) -> None:
        """Report progress: any of state, base, head, rounds, tokens_used, tokens_window."""
        with self._writing():
            self._fence(lease)
            self._append(lease.issue, "attempt-updated", {"attempt": attempt, **fields})

    def note_attempt(self, attempt: str, topic: str, data: dict[str, Any], *, lease: Lease | None = None) -> None:
        """Remember something of an attempt, in place of what was remembered under that topic.

        Args:
            topic: what it is about, such as `handoff`: at most 200 letters, digits and `.-_`.
            lease: the attempt's, while it runs; None when its worker is known to be gone.

        Raises:
            Conflict: the lease was lost.
        """
        with self._writing():
            if lease is not None:
                self._fence(lease)
            issue = queries.attempt(self._connection, attempt).issue
            self._append(issue, "attempt-noted", {"attempt": attempt, "topic": topic, "data": data})

    def attempt_notes(self, attempt: str) -> dict[str, dict[str, Any]]:
        """What is remembered of an attempt, by topic."""
        with self._reading() as connection:
            return {note.topic: note.data for note in queries.attempt_notes(connection, "attempt", attempt)}

    def noted(self, topic: str, *, limit: int = 1000, since: float = 0.0) -> list[AttemptNote]:
        """The newest notes about a topic, of all attempts, written at `since` (Unix time) or later; newest first."""
        with self._reading() as connection:
            return queries.attempt_notes(connection, "topic", topic, limit, since)

    def end_attempt(
        self,
        lease: Lease,
        attempt: str,
        outcome: Outcome,
        detail: str,
        *,
        head: str | None = None,
        give_up: str | None = None,
    ) -> None:
        """End an attempt and release its lease, in one transaction. A change of it that is in the queue stays there:
        it may still land.

        Args:
            give_up: why no agent should go on with the issue; it then needs a person.
        """
        with self._writing():
            issue = self._fence(lease)
            running = queries.attempt(self._connection, attempt)
            if running.outcome is not None:
                raise NotAllowed(f"attempt {attempt} has ended already ({running.outcome})")
            data = {"attempt": attempt, "outcome": outcome, "detail": detail, "head": head}
            self._append(lease.issue, "attempt-ended", data)
            if issue.status == "open":
                if give_up:
                    self._append(lease.issue, "gave-up", {"reason": give_up})
                self._append(lease.issue, "released", {"token": lease.token, "owner": lease.owner})

    def end_dead_attempt(
        self, attempt: str, outcome: Outcome, detail: str, *, head: str | None, give_up: str | None = None
    ) -> None:
        """End an attempt whose worker is known to be dead, and take its lease away: should it come back after all, its
        writes are refused. One that has ended, or whose issue was closed or claimed meanwhile, is only noted."""
        with self._writing():
            dead = queries.attempt(self._connection, attempt)
            if dead.outcome is not None:
                return
            issue = queries.issue(self._connection, dead.issue)
            mine = queries.changes(self._connection, states=("landed",), issue=dead.issue)
            if any(change.attempt == attempt for change in mine):
                outcome, detail = "landed", "landed"
            data = {"attempt": attempt, "outcome": outcome, "detail": detail, "head": head}
            self._append(dead.issue, "attempt-ended", data)
            if issue.status == "open" and issue.lease_owner == attempt:
                taken = self._grant(issue, self.actor, 0)
                if give_up:
                    self._append(dead.issue, "gave-up", {"reason": give_up})
                self._append(dead.issue, "released", {"token": taken.token, "owner": taken.owner})

    def submit(self, lease: Lease, attempt: str, *, commit: str, base: str) -> Change:
        """Put a commit into the queue.

        Raises:
            NotAllowed: the attempt has a change in the queue, or the issue is closed.
        """
        with self._writing():
            if self._fence(lease).status == "closed":
                raise NotAllowed(f"{lease.issue} was closed meanwhile")
            if any(change.attempt == attempt for change in self._open_changes(lease.issue)):
                raise NotAllowed(f"attempt {attempt} has a change in the queue already")
            return self._submit(lease.issue, attempt, commit=commit, base=base)

    def _submit(self, issue: str, attempt: str, *, commit: str, base: str) -> Change:
        change = new_id()
        data = {"change": change, "attempt": attempt, "commit": commit, "base": base}
        self._append(issue, "change-submitted", data)
        return queries.change(self._connection, change)

    def attempt(self, prefix: str) -> Attempt:
        """One attempt, by id or by the start of its id."""
        with self._reading() as connection:
            return queries.attempt(connection, prefix)

    def attempts(self, issue: str | None = None, *, running: bool = False) -> list[Attempt]:
        """Attempts, oldest first: of one issue, or all that have not ended."""
        with self._reading() as connection:
            return queries.attempts(connection, issue=issue, running=running)

    def budget_attempts(self, issue: str) -> list[Attempt]:
        """The attempts that count against the issue's budget: those since it was last reopened."""
        with self._reading() as connection:
            row = connection.execute("SELECT budget_from FROM issues WHERE id = ?", (issue,)).fetchone()
            used = row[0] if row else 0
            return [a for a in queries.attempts(connection, issue=issue) if a.number > used]

    def set_activity(
        self,
        attempt: str,
        text: str,
        used: int | None = None,
        window: int | None = None,
        *,
        state: str = "",
        waits_for: str = "",
    ) -> None:
        """What an attempt is doing right now, for the live view only: it is not part of the log."""
        with self._writing():
            self._connection.execute(
                "INSERT INTO activity(attempt, text, used, window, at, state, waits_for) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT(attempt) DO UPDATE SET text = excluded.text, used = coalesce(excluded.used, used),"
                " window = coalesce(excluded.window, window), at = excluded.at, state = excluded.state,"
                " waits_for = excluded.waits_for",
                (attempt, text, used, window, time.time(), state, waits_for),
            )

    def activity(self) -> dict[str, Activity]:
        """Attempt id to what it is doing."""
        with self._reading() as connection:
            columns = ", ".join(Activity._fields)
            rows = connection.execute(f"SELECT attempt, {columns} FROM activity").fetchall()
            return {row[0]: Activity(*row[1:]) for row in rows}

    def _open_changes(self, issue: str) -> list[Change]:
        return queries.changes(self._connection, states=OPEN_CHANGE_STATES, issue=issue)
