"""A supervisor that waits for the model's provider: a turn that it did not answer is given again after a short wait in
the same session; for a long one the session ends, its work is kept, and another attempt goes on.

Whether a provider is to blame is the agent's word. In an error of the protocol it is believed; at the end of a turn
that seems to have ended well only `MOST_BELIEVED` times in a session.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import anyio

from tapeout import agents
from tapeout.agents.problems import ProviderProblem, problem_of_error, problem_of_turn
from tapeout.base.moments import clock
from tapeout.config import Config
from tapeout.floor.budgets.accounts import Accounts
from tapeout.floor.guards import Cut, Guard, Tell
from tapeout.floor.pausing import Pause
from tapeout.floor.providers import provider_of, provider_settings
from tapeout.floor.providers.backoff import full_jitter
from tapeout.floor.providers.circuit import Circuit, Trouble
from tapeout.floor.providers.pauses import note_answer, note_trouble
from tapeout.floor.supervision import Supervisor
from tapeout.tracker import Tracker

MOST_BELIEVED = 3
"""How often in a session the text at the end of a turn is taken for an error of the provider."""

BASE_SECONDS = 4.0
"""Longest wait after the first failure of a session."""

SHORTEST_SECONDS = 0.5
"""No turn is given again sooner."""

AGAIN = (
    "Your last turn was cut off: the model's provider did not answer. If you have begun with what follows, go on where"
    " you were.\n\n"
)


@dataclass(frozen=True)
class ProviderRules:
    """The provider of a session, and how long the session waits for it."""

    name: str
    patience: float
    """Seconds, for all waits of one turn together."""

    @classmethod
    def of(cls, agent: str, config: Config) -> Self:
        """Those of an agent."""
        name = provider_of(agent, config)
        return cls(name, provider_settings(name, config).patience)


def wait_for(
    circuit: Circuit, trouble: Trouble, tries: int, waited: float, patience: float, now: float, draw: float
) -> float | None:
    """How long a session waits before it gives its turn again; None if that would be too long. Pure.

    Args:
        tries: failures of this turn, from 1.
        waited: seconds that it has waited for them.
        now: Unix time.
        draw: a random number from 0 up to 1.
    """
    if trouble.kind == "auth":
        return None
    drawn = full_jitter(tries, draw, base=BASE_SECONDS, cap=patience)
    paused = 0.0
    if circuit.state(now) == "open":
        if circuit.until is None:
            return None
        paused = circuit.until - now
    wait = max(SHORTEST_SECONDS, drawn, paused)
    return wait if waited + wait <= patience else None


class PatientSupervisor(Supervisor):
    """A supervisor that also knows what its session may use and waits for its provider."""

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        note: Callable[[Tell | Cut], None],
        show: Callable[[agents.Update], None],
        say: Callable[[str], None],
        tracker: Tracker,
        accounts: Accounts,
        provider: ProviderRules,
        pause: Pause,
    ) -> None:
        """
        Args:
            say: told in a line what is waited for.
            pause: see `Supervisor`.
        """
        super().__init__([*guards, accounts.guard], note=note, show=show, pause=pause)
        self._say = say
        self._tracker = tracker
        self._accounts = accounts
        self._provider = provider
        self._believed = 0
        self._in_trouble = False
        self._began = False

    def update(self, update: agents.Update) -> None:
        """The session reported something."""
        super().update(update)
        if isinstance(update, agents.Spent):
            self._accounts.look()
        if self._in_trouble and isinstance(update, agents.ToolCall):  # only a model that answers calls a tool
            self._answered()

    async def turn(self, session: agents.Session, prompt: str) -> agents.TurnResult | None:
        """As `Supervisor.turn`; what the provider did not answer is given again, or ends the session by a cut."""
        self._began = True
        text, tries, waited = prompt, 0, 0.0
        while True:
            result, trouble, error = await self._try(session, text)
            if trouble is None:
                if result is not None and self.cut is None:
                    self._answered()
                return result
            tries += 1
            wait = self._wait_or_cut(trouble, tries, waited)
            if wait is None:
                if error is not None and self.cut is None:
                    raise error
                return result
            await self._sleep(wait)
            if self.cut is not None:
                return None
            waited += wait
            text = AGAIN + prompt

    def blame(self, error: Exception) -> None:
        """The session could not be started: was it the provider?"""
        trouble = None if self._began else _trouble(problem_of_error(error, time.time()), hearsay=False)
        if trouble is not None:
            self._wait_or_cut(trouble, 1, self._provider.patience)

    async def _try(
        self, session: agents.Session, text: str
    ) -> tuple[agents.TurnResult | None, Trouble | None, Exception | None]:
        """One try at a turn: its result, what kept the provider from answering, and the error that told it."""
        try:
            result = await super().turn(session, text)
        except* agents.AgentError as group:
            error = _only(group)
        else:
            if result is None or self.cut is not None or self._believed >= MOST_BELIEVED:
                return result, None, None
            trouble = _trouble(problem_of_turn(result.text, time.time()), hearsay=True)
            self._believed += trouble is not None
            return result, trouble, None
        finally:
            self._accounts.turn_over()
        trouble = _trouble(problem_of_error(error, time.time()), hearsay=False)
        if trouble is None or self.cut is not None:
            raise error
        return None, trouble, error

    def _wait_or_cut(self, trouble: Trouble, tries: int, waited: float) -> float | None:
        """How long to wait; None if the session ends, by a cut if the provider is paused for everybody."""
        self._in_trouble = True
        circuit = note_trouble(self._tracker, self._provider.name, trouble)
        now = time.time()
        wait = wait_for(circuit, trouble, tries, waited, self._provider.patience, now, random.random())  # noqa: S311 - to spread
        if wait is None and circuit.state(now) == "open":
            self.take(Cut("provider", f"{self._provider.name}: {trouble.message}"))
        return wait

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless somebody ends the session meanwhile."""
        self._say(f"waiting for {self._provider.name} until {clock(time.time() + seconds)}")
        with anyio.move_on_after(seconds):
            await self.watch_between_turns()

    def _answered(self) -> None:
        self._in_trouble = False
        note_answer(self._tracker, self._provider.name)


def _trouble(problem: ProviderProblem | None, *, hearsay: bool) -> Trouble | None:
    """What the provider has to do with a problem; None if it is the request's."""
    if problem is None or problem.kind == "other":
        return None
    return Trouble(problem.kind, problem.message, problem.resets_at, hearsay)


def _only(group: BaseExceptionGroup) -> agents.AgentError:
    error = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, agents.AgentError)
    return error
