"""Permissions and other questions of agents: answered by policy, or by a person within a time; never left hanging."""

import time
from collections.abc import Callable

import anyio

from tapeout import agents
from tapeout.floor.health import State, WaitsFor
from tapeout.tracker import Tracker
from tapeout.tracker.model import Lease, Question

MOST_WAITING = 20
"""Questions of one session that wait at a time: more are refused, for nobody reads them all."""


class Answers:
    """Asks people what the agent of one session asks, and waits for them."""

    def __init__(
        self,
        tracker: Tracker,
        lease: Lease,
        *,
        timeout: float,
        show: Callable[[State, WaitsFor], None],
    ) -> None:
        """
        Args:
            lease: the attempt's, as it was granted: renewals change its expiry only.
            timeout: seconds that the agent waits for an answer.
            show: told of the state of the attempt.
        """
        self._tracker = tracker
        self._attempt = lease.owner
        self._lease = lease
        self._timeout = timeout
        self._show = show
        self._waiting: dict[str, tuple[anyio.Event, list[str]]] = {}
        self._always: set[str] = set()
        self.waits: Callable[[bool], None] = lambda _: None
        """Told when waiting for a person begins and ends."""

    async def decide(self, request: agents.Question) -> agents.Decision:
        """What a person answers to a request of the agent. Waits without an end: whoever asks sets a limit.

        Raises:
            TapeoutError: it cannot be asked, on a full disk say.
        """
        if request.title in self._always:
            return "allow"
        if len(self._waiting) >= MOST_WAITING:
            return "deny"
        kinds, until = [kind for kind, _ in request.options], time.time() + self._timeout
        answer = await self._wait(self._tracker.ask(self._lease, self._attempt, request.title, kinds, until).id)
        if answer == "always":
            self._always.add(request.title)
        return "allow" if answer in ("allow", "always") else "deny"

    async def _wait(self, question: str) -> str:
        """The answer to a question."""
        event, box = anyio.Event(), [""]
        self._waiting[question] = (event, box)
        self.waits(True)
        self._show("waiting", "permission")
        try:
            await event.wait()
        finally:
            del self._waiting[question]
            self.waits(False)
            if not self._waiting:
                self._show("working", "")
        return box[0]

    def answered(self, question: Question) -> bool:
        """Take a person's answer; False if there is more to tell the agent than yes or no, or if it waits no more."""
        waiting = self._waiting.get(question.id)
        if waiting is None:
            return False
        waiting[1][0] = question.answer
        waiting[0].set()
        return question.answer in ("allow", "always", "deny")
