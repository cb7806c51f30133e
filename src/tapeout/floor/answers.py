"""Permissions and other questions of agents: answered by policy, or by a person within a time; never left hanging."""

import time
from collections.abc import Callable, Sequence

import anyio

from tapeout import agents
from tapeout.floor.health import State, WaitsFor
from tapeout.tracker import Tracker
from tapeout.tracker.model import Lease, Order, Question

WORDS_LENGTH = 4000
"""Characters of what a person said that go into a prompt."""

MOST_TOLD = 20
"""How many things that people said about an issue a fresh session is told: the newest ones."""


def words_of(said: Order | Question) -> str:
    """What an agent is told of a person's words."""
    if isinstance(said, Order):
        return f"A person who watches your work says:\n\n{said.text.strip()[:WORDS_LENGTH]}"
    meaning = {
        "allow": "yes, you may do it once.",
        "always": "yes, you may do that whenever you need to.",
        "deny": "no. Find another way.",
    }.get(said.answer, said.answer.strip()[:WORDS_LENGTH])
    return f"You asked: {said.title}\nA person answers: {meaning}"


def words_to_successor(orders: Sequence[Order], questions: Sequence[Question]) -> str:
    """What a fresh session is told of what people said to the sessions before it; empty if they said nothing."""
    said: list[tuple[float, str]] = [(one.at, words_of(one)) for one in orders if one.kind == "nudge"]
    said += [(one.answered_at, words_of(one)) for one in questions if one.answer]
    newest = [text for _, text in sorted(said)][-MOST_TOLD:]
    if not newest:
        return ""
    return "\n\n".join(["In earlier sessions on this issue, people said the following.", *newest])


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
