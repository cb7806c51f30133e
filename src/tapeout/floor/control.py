"""What people tell a worker, heard and done: nudge, pause, resume, kill, hand over; and their answers to its agent.

Orders are rows of the tracker, so they are durable, work with and without a running floor, and concern one attempt: the
one that replaces it never sees them. The worker is woken by a bell of its own; should that ring be lost it looks again
within `LOOK_SECONDS`.
"""

import contextlib
import os
from collections.abc import Callable, Sequence

import anyio

from tapeout.base.errors import TapeoutError
from tapeout.floor.cuts import Cut, Tell
from tapeout.floor.pausing import Pause
from tapeout.floor.policy import HELD, EndAttempt
from tapeout.floor.supervision import Supervisor
from tapeout.floor.words import words_of
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Lease, Order, Question

LOOK_SECONDS = 10.0
"""Orders are looked for when the bell rings, and at the latest after this time."""


class Control:
    """Hears the orders of one attempt."""

    def __init__(
        self,
        tracker: Tracker,
        lease: Lease,
        *,
        pause: Pause,
        show: Callable[[bool], None],
        answered: Callable[[Question], bool],
    ) -> None:
        """
        Args:
            lease: the attempt's, as it was granted: renewals change its expiry only.
            pause: begins and ends as ordered.
            show: told when a pause begins and ends.
            answered: takes an answer to a question; False if nobody waits for it any more.
        """
        self._tracker = tracker
        self._attempt = lease.owner
        self._lease = lease
        self._pause = pause
        self._show = show
        self._answered = answered
        self._supervisor: Supervisor | None = None
        self._early: list[Tell | Cut] = []
        self._known: set[str] = set()
        self._paused_alone = False
        self._ends = False

    def supervise(self, supervisor: Supervisor) -> None:
        """The session is about to begin: what was said before it is for its first turn."""
        self._supervisor = supervisor
        for said in self._early:
            supervisor.take(said)
        self._early.clear()

    async def heed(self, end: Callable[[EndAttempt], None]) -> None:
        """Do what is ordered; runs for as long as the attempt.

        Args:
            end: ends the attempt at once, in whatever state it is.
        """
        folder = self._tracker.paths.worker_bells(self._attempt)
        try:
            with Doorbell(folder) as bell:
                while True:
                    bell.clear()
                    self._look(end)
                    with anyio.move_on_after(LOOK_SECONDS):
                        await anyio.wait_readable(bell)
        finally:
            self._pause.end()
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _look(self, end: Callable[[EndAttempt], None]) -> None:
        with contextlib.suppress(TapeoutError):  # a full disk, or a lost lease, which is noticed elsewhere
            for order in self._tracker.orders(self._attempt):
                if not order.taken and order.id not in self._known:
                    self._known.add(order.id)
                    self._obey(order, end)
            for question in self._tracker.questions(attempt=self._attempt):
                if question.answer and question.id not in self._known:
                    self._known.add(question.id)
                    self._hear(question)
            self._rest(bool(self._tracker.floor_rests()) or self._paused_alone)

    def _obey(self, order: Order, end: Callable[[EndAttempt], None]) -> None:
        match order.kind:
            case "nudge":
                result = self._nudge(order)
            case "pause":
                self._paused_alone, result = True, "paused"
                self._rest(True)
            case "resume":
                self._paused_alone, result = False, "goes on"
                if self._tracker.floor_rests():
                    result = "goes on when the floor does: it is paused"
            case "kill":
                result, self._ends = "ends", True
            case "handoff":
                result, self._ends = "hands over", True
                self._rest(False)
                self._take(Cut("person", f"handed over by {order.actor}{_why(order)}"))
            case _:
                result = "not understood: it was written by another version"
        with contextlib.suppress(TapeoutError):
            self._tracker.take_order(self._lease, order, result)
        if order.kind == "kill":
            self._rest(False)
            end(killed(order))

    def _nudge(self, order: Order) -> str:
        when = "the running turn is cancelled for it" if order.now else "the agent is told when its turn ends"
        evidence = f"{order.actor} says: {' '.join(order.text.split())[:200]}"
        self._take(Tell(words_of(order), evidence, when="now" if order.now else "after"))
        return when

    def _hear(self, question: Question) -> None:
        """An answer: for the agent that waits for it, or that went on without it and is told now."""
        if not self._answered(question):
            self._take(Tell(words_of(question), f"{question.answered_by} answers late", when="after"))

    def _take(self, said: Tell | Cut) -> None:
        if self._supervisor is None:
            self._early.append(said)
        else:
            self._supervisor.take(said)

    def _rest(self, wanted: bool) -> None:
        wanted = wanted and not self._ends  # what is stopped cannot end in an orderly way
        if wanted == self._pause.is_on:
            return
        if wanted:
            self._pause.begin()
        else:
            self._pause.end()
        self._show(wanted)


def killed(order: Order) -> EndAttempt:
    """How an attempt ends that a person killed: as stopped, which is nobody's failure. Its issue is ready again, unless
    it is to be held."""
    detail = f"killed by {order.actor}{_why(order)}"
    return EndAttempt("stopped", detail, f"{HELD}{order.actor}{_why(order)}" if order.now else None)


def kill_among(orders: Sequence[Order]) -> Order | None:
    """The order to kill an attempt, if there is one."""
    return next((order for order in orders if order.kind == "kill"), None)


def _why(order: Order) -> str:
    text = " ".join(order.text.split())
    return f": {text}" if text else ""
