"""What is remembered of an attempt's context: its limits while it runs, how full it was at each verdict for ever."""

import contextlib
from typing import Any

from tapeout.agents import Update, Usage
from tapeout.base.errors import TapeoutError
from tapeout.floor.context.limits import ContextLimits
from tapeout.floor.context.meter import Reading
from tapeout.floor.context.topics import CONTEXT, UTILISATION
from tapeout.tracker import Tracker
from tapeout.tracker.model import Attempt, Change, Lease

JUDGED = ("landed", "failed")
"""States of a change on which the gate has spoken. A conflict says nothing of the work."""


class ContextRecord:
    """Writes the notes of one attempt."""

    def __init__(self, tracker: Tracker, lease: Lease, attempt: Attempt) -> None:
        self._tracker = tracker
        self._lease = lease
        self._attempt = attempt
        self._limits: ContextLimits | None = None
        self._is_estimated: bool | None = None
        self._verdicts: list[dict[str, Any]] = []

    def limited(self, limits: ContextLimits) -> None:
        """The session's limits are known, or known better."""
        if limits != self._limits:
            self._limits = limits
            self._note_limits()

    def update(self, update: Update) -> None:
        """The session reported something."""
        if isinstance(update, Usage) and update.estimated != self._is_estimated:
            self._is_estimated = update.estimated
            self._note_limits()

    def judged(self, change: Change, reading: Reading | None, *, model: str) -> None:
        """The gate has decided on a change.

        Args:
            reading: how full the context was when it was handed in; None if nobody knows.
            model: empty if nobody says.
        """
        if reading is None or reading.window <= 0 or change.state not in JUDGED:
            return
        verdict = {
            "change": change.id,
            "model": model,
            "used": reading.used,
            "window": reading.window,
            "estimated": reading.estimated,
            "passed": change.state == "landed",
        }
        self._verdicts.append(verdict)
        self._note(UTILISATION, {"agent": self._attempt.agent, "verdicts": self._verdicts})

    def _note_limits(self) -> None:
        if self._limits is not None:
            about = {"limit": self._limits.limit, "ceiling": self._limits.ceiling, "estimated": self._is_estimated}
            self._note(CONTEXT, about)

    def _note(self, topic: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(TapeoutError):  # a lost lease is noticed elsewhere
            self._tracker.note_attempt(self._attempt.id, topic, data, lease=self._lease)
