"""What a worker tells the tracker while its agent works: milestones in the log, the rest in the live view only."""

import contextlib
import time

import anyio

from tapeout.agents import Text, ToolCall, Update, Usage
from tapeout.base.errors import TapeoutError
from tapeout.floor.cuts import Cut, Tell
from tapeout.floor.health import CUT_STATES, State, WaitsFor
from tapeout.tracker import Tracker
from tapeout.tracker.model import SUPERVISION, Lease

SHOW_SECONDS = 0.5
"""The live view is written at most this often: an agent streams many updates a second."""

ACTIVITY_LENGTH = 100


class Progress:
    """Reports of one attempt."""

    def __init__(self, tracker: Tracker, lease: Lease, attempt: str) -> None:
        self._tracker = tracker
        self._lease = lease
        self._attempt = attempt
        self._usage: Usage | None = None
        self._shown = 0.0
        self._latest = ""
        self._state: tuple[State, WaitsFor] = ("starting", "")
        self._paused = False
        self._waiting = anyio.Event()
        self._supervised: list[dict[str, object]] = []

    async def show_late(self) -> None:
        """Show what came too soon after the last thing shown; runs for as long as the attempt."""
        while True:
            await self._waiting.wait()
            await anyio.sleep(SHOW_SECONDS)
            self._waiting = anyio.Event()
            self._show(self._latest, force=True)

    def started(self, base: str) -> None:
        """The workspace is there."""
        self._log(state="working", base=base)

    def prompted(self, rounds: int) -> None:
        """A prompt is about to be given, the `rounds`th of this session."""
        self._log(state="working", rounds=rounds)
        self._latest = "thinking"
        self.state("working")

    def paused(self, begins: bool) -> None:
        """A pause begins or ends."""
        self._paused = begins
        self._show(self._latest, force=True)

    def pulled(self, commit: str) -> None:
        """A turn is over and its work is in the hub."""
        used = {"tokens_used": self._usage.used, "tokens_window": self._usage.size} if self._usage else {}
        self._log(head=commit, **used)

    def waiting(self) -> None:
        """The change is in the queue."""
        self._latest = "waiting for the gate"
        self.state("waiting", "gate")

    def state(self, state: State, waits_for: WaitsFor = "") -> None:
        """How the attempt is from now on."""
        self._state = (state, waits_for)
        self._show(self._latest, force=True)

    def handing_over(self) -> None:
        """The session is asked for a handoff."""
        self._show("writing a handoff", force=True)

    def waits(self, what: str) -> None:
        """The session waits for its provider; one line says for which, and until when."""
        self._latest = what
        self.state("waiting", "provider")

    def failed(self, reason: str) -> None:
        """The agent failed."""
        self._show(reason, force=True)

    def supervised(self, answer: Tell | Cut) -> None:
        """A guard told the agent something, or ends its session."""
        kind = answer.kind if isinstance(answer, Cut) else "told"
        self._supervised.append({"kind": kind, "evidence": answer.evidence, "at": time.time()})
        note = {"entries": self._supervised}
        with contextlib.suppress(TapeoutError):  # a lost lease is noticed elsewhere
            self._tracker.note_attempt(self._attempt, SUPERVISION, note, lease=self._lease)
        self._latest = answer.evidence
        if isinstance(answer, Cut):
            self._state = (CUT_STATES.get(answer.kind, "stopping"), "")
        self._show(answer.evidence, force=True)

    def update(self, update: Update) -> None:
        """Something that the agent's session reports."""
        if isinstance(update, Usage):
            self._usage = update
        elif isinstance(update, ToolCall):
            self._show(update.title)
        elif isinstance(update, Text):
            self._show(update.text)

    def _log(self, **fields: str | int) -> None:
        self._tracker.update_attempt(self._lease, self._attempt, **fields)

    def _show(self, text: str, *, force: bool = False) -> None:
        now = time.monotonic()
        self._latest = text
        if not force and now - self._shown < SHOW_SECONDS:
            self._waiting.set()
            return
        self._shown = now
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:ACTIVITY_LENGTH]
        used, size = (self._usage.used, self._usage.size) if self._usage else (None, None)
        with contextlib.suppress(TapeoutError):  # a full disk, say: no reason to end an attempt
            state, waits_for = ("paused", "person") if self._paused else self._state
            self._tracker.set_activity(self._attempt, line, used, size, state=state, waits_for=waits_for)
