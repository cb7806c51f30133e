"""What a person tells a worker, and what an agent asks a person. Both are notes of the attempt, so they outlive who
wrote them; the worker is woken by a bell of its own."""

from __future__ import annotations

import time

from tapeout.base.errors import NotAllowed, NotFound, UsageError
from tapeout.base.ids import new_id
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import doorbell, queries
from tapeout.tracker.commands.attempts import AttemptCommands
from tapeout.tracker.model import ANSWER, ORDER, QUESTION, REST, AttemptNote, Lease, Order, OrderKind, Question
from tapeout.tracker.store import checked_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

TITLE_LENGTH = 500
"""Characters kept of what an agent asks."""


class ControlCommands(AttemptCommands):
    """Orders to workers, questions to people."""

    def order(self, attempt: str, kind: OrderKind, text: str = "", *, now: bool = False) -> Order:
        """Tell the worker of a running attempt something; it is woken, and takes its orders in the order given.

        Args:
            text: words for the agent, or why.
            now: see `Order`.

        Raises:
            NotAllowed: the attempt has ended.
        """
        with self._writing():
            found = queries.attempt(self._connection, attempt)
            if found.outcome is not None:
                raise NotAllowed(f"attempt {found.id} has ended already ({found.outcome})")
            identity = new_id()
            data = {"kind": kind, "text": checked_text(text, "text"), "now": now, "by": self.actor, "at": time.time()}
            self._note(found.issue, found.id, f"{ORDER}.{identity}", data)
        doorbell.ring(self.paths.worker_bells(found.id))
        return _order(found.id, identity, data)

    def take_order(self, lease: Lease, order: Order, result: str) -> None:
        """The worker has heard an order; `result` says what it made of it, one line."""
        data = {"kind": order.kind, "text": order.text, "now": order.now, "by": order.actor, "at": order.at}
        self.note_attempt(order.attempt, f"{ORDER}.{order.id}", {**data, "taken": result}, lease=lease)

    def orders(self, attempt: str) -> list[Order]:
        """What people told the worker of an attempt, oldest first."""
        with self._reading() as connection:
            notes = queries.attempt_notes(connection, "attempt", attempt)
        found = [_order(one.attempt, _id(one), one.data) for one in notes if one.topic.startswith(f"{ORDER}.")]
        return sorted(found, key=lambda one: (one.at, one.id))

    def ask(self, lease: Lease, attempt: str, title: str, options: Sequence[str], until: float) -> Question:
        """Park a question of an agent until somebody answers it; the agent waits until `until` (Unix time)."""
        identity, now = new_id(), time.time()
        clean = " ".join("".join(c if c.isprintable() else " " for c in title).split())[:TITLE_LENGTH]
        data = {"title": clean, "options": list(options), "at": now, "until": until}
        self.note_attempt(attempt, f"{QUESTION}.{identity}", data, lease=lease)
        return Question(identity, attempt, lease.issue, clean, tuple(options), now, until, "", "", 0.0)

    def answer(self, question: str, answer: str) -> Question:
        """Answer a question; a later answer replaces an earlier one that nobody has heard yet.

        Args:
            answer: `allow` (once), `always`, `deny`, or words for the agent, which then does not get the permission.

        Raises:
            NotFound: there is no such question.
            NotAllowed: it was answered before, or its issue is closed.
        """
        if not answer.strip():
            raise UsageError("the answer is empty", hint="use allow, always, deny, or words for the agent")
        with self._writing():
            asked = self._question(question)
            if asked.answer:
                raise NotAllowed(f"question {asked.id} was answered by {asked.answered_by}: {asked.answer}")
            if queries.issue(self._connection, asked.issue).status == "closed":
                raise NotAllowed(f"{asked.issue}, which question {asked.id} is about, was closed meanwhile")
            data = {"answer": checked_text(answer, "answer"), "by": self.actor, "at": time.time()}
            self._note(asked.issue, asked.attempt, f"{ANSWER}.{asked.id}", data)
        doorbell.ring(self.paths.worker_bells(asked.attempt))
        return asked._replace(answer=answer, answered_by=self.actor, answered_at=float(str(data["at"])))

    def questions(self, *, attempt: str | None = None, open_only: bool = False) -> list[Question]:
        """What agents asked, oldest first: one attempt, or all.

        Args:
            open_only: only those without an answer whose issue is open.
        """
        with self._reading() as connection:
            if attempt is not None:
                found = _questions(queries.attempt_notes(connection, "attempt", attempt))
            else:
                found = _questions(
                    [*queries.notes_under(connection, QUESTION), *queries.notes_under(connection, ANSWER)]
                )
            if open_only:
                found = [one for one in found if not one.answer]
                closed = {one for one in {each.issue for each in found} if _is_closed(connection, one)}
                found = [one for one in found if one.issue not in closed]
            return found

    def rest_floor(self) -> None:
        """Pause the whole floor: no worker begins, and those that run pause."""
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (REST, f"{self.actor} at {_clock(time.time())}")
            )
            self._append("", "noted", {"what": "floor-paused", "by": self.actor})

    def wake_floor(self) -> None:
        """Let workers begin again."""
        if not self.setting(REST):
            return
        with self._writing():
            self._connection.execute("DELETE FROM meta WHERE key = ?", (REST,))
            self._append("", "noted", {"what": "floor-resumed", "by": self.actor})

    def floor_rests(self) -> str:
        """By whom and since when the whole floor is paused; empty if it is not."""
        return self.setting(REST)

    def _note(self, issue: str, attempt: str, topic: str, data: dict[str, Any]) -> None:
        self._append(issue, "attempt-noted", {"attempt": attempt, "topic": topic, "data": data})

    def _question(self, identity: str) -> Question:
        notes = [
            note
            for prefix in (QUESTION, ANSWER)
            for note in queries.attempt_notes(self._connection, "topic", f"{prefix}.{identity}")
        ]
        found = _questions(notes)
        if not found:
            raise NotFound(f"there is no question {identity!r}", hint="`tapeout questions` lists them")
        return found[0]


def _is_closed(connection: Any, issue: str) -> bool:
    return queries.issue(connection, issue).status == "closed"


def _id(note: AttemptNote) -> str:
    return note.topic.partition(".")[2]


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _order(attempt: str, identity: str, data: dict[str, Any]) -> Order:
    """From what was noted, by whichever version."""
    return Order(
        identity,
        attempt,
        str(data.get("kind", "")),
        str(data.get("text", "")),
        data.get("now") is True,
        str(data.get("by", "")),
        _number(data.get("at")),
        str(data.get("taken", "")),
    )


def _questions(notes: Sequence[AttemptNote]) -> list[Question]:
    answers = {_id(note): note.data for note in notes if note.topic.startswith(f"{ANSWER}.")}
    found = []
    for note in notes:
        if not note.topic.startswith(f"{QUESTION}."):
            continue
        answer, options = answers.get(_id(note), {}), note.data.get("options")
        found.append(
            Question(
                _id(note),
                note.attempt,
                note.issue,
                str(note.data.get("title", "")),
                tuple(map(str, options)) if isinstance(options, list) else (),
                _number(note.data.get("at")),
                _number(note.data.get("until")),
                str(answer.get("answer", "")),
                str(answer.get("by", "")),
                _number(answer.get("at")),
            )
        )
    return sorted(found, key=lambda one: (one.asked_at, one.id))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
