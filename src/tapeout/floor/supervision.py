"""Runs the turns of one session under its guards, and does what they ask: tells the agent, cancels its turn, ends it.

What may go wrong: the agent does not end the turn that it was asked to cancel (its prompt is abandoned after
`CANCEL_SECONDS`, and the session can only be closed); a guard speaks up while no turn runs (the next one is not begun).
"""

from collections.abc import Callable, Sequence

import anyio

from tapeout import agents
from tapeout.floor.guards import Answer, Cut, Guard, Tell, first_cut
from tapeout.floor.memory.model import Round
from tapeout.floor.pausing import Pause

CANCEL_SECONDS = 10.0
"""How long an agent may take to end the turn that it was asked to cancel."""

GO_ON = "Then go on with your task, where you were stopped."
"""What follows on what an agent is told in the middle of a turn."""


class Supervisor:
    """Watches one session. Its `update` is what the session is opened with."""

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        note: Callable[[Tell | Cut], None],
        show: Callable[[agents.Update], None] = lambda _: None,
        pause: Pause | None = None,
    ) -> None:
        """
        Args:
            note: told of everything that a guard asks for.
            show: told of everything that the session reports.
            pause: whether the attempt is paused: then no prompt is given, and time stands still.
        """
        self._guards = guards
        self._note = note
        self._show = show
        self._pause = pause or Pause()
        self._cut: Cut | None = None
        self._tell: list[Tell] = []
        self._has_begun = False
        self._is_abandoned = False
        self._changed = anyio.Event()

    @property
    def cut(self) -> Cut | None:
        """Why the session has to end, if it has to."""
        return self._cut

    @property
    def can_prompt(self) -> bool:
        """Whether the session would take another prompt: not if it was left in the middle of a turn, and there is
        nothing to ask one that never was given any."""
        return self._has_begun and not self._is_abandoned and (self._cut is None or not self._cut.hard)

    def update(self, update: agents.Update) -> None:
        """The session reported something."""
        self._show(update)
        now = self._pause.now()
        for guard in self._guards:
            self.take(guard.update(update, now))

    def take(self, answer: Answer) -> None:
        """Something that a guard, or whoever else may, asks for."""
        if answer is None:
            return
        self._note(answer)
        if isinstance(answer, Tell):
            self._tell.append(answer)
        else:
            self._cut = first_cut(self._cut, answer)
        self._changed.set()
        self._changed = anyio.Event()

    async def turn(self, session: agents.Session, prompt: str) -> agents.TurnResult | None:
        """Give a prompt, with what the agent is to be told, and wait until the turn has ended; None if it was cut
        before its end, or not begun: `cut` then says why. What is to be told at once, or as soon as the turn has ended,
        makes further prompts of the same turn.

        Raises:
            AgentError: the agent died, spoke rubbish, or answered with an error.
        """
        rest = [prompt]
        while True:
            await self._pause.over()
            told, self._tell = self._tell, []
            result = await self._prompt(session, "\n\n".join([*(tell.text for tell in told), *rest]), told)
            if self._cut is not None or all(tell.when == "next" for tell in self._tell):
                return result
            rest = [GO_ON] if result is not None and result.stop_reason == "cancelled" else []

    async def _prompt(self, session: agents.Session, text: str, told: Sequence[Tell]) -> agents.TurnResult | None:
        """One prompt; None if it was not given, or its turn did not end."""
        result: agents.TurnResult | None = None
        try:
            now = self._pause.now()
            for guard in self._guards:
                self.take(guard.turn_started(text, now))
            if self._cut is not None:
                return None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, session, tasks.cancel_scope)
                self._has_begun = True
                result = await session.prompt(text)
                tasks.cancel_scope.cancel()
        except* agents.AgentError:
            self._tell[:0] = told  # it was perhaps not heard
            raise
        finally:
            for guard in self._guards:
                guard.turn_stopped(self._pause.now())
        self._is_abandoned = result is None
        if result is None and self._cut is None and (tell := self._interruption) is not None:
            self.take(Cut(tell.unheard, f"{tell.evidence}; it did not end its turn to hear so"))
        return result

    async def last_turn(self, session: agents.Session, prompt: str, seconds: float) -> agents.TurnResult | None:
        """Give one more prompt to a session that was cut, within a time; None if it did not end its turn in that time,
        or passed a hard limit.

        Raises:
            AgentError: the agent died, spoke rubbish, or answered with an error.
        """
        result: agents.TurnResult | None = None
        if not self.can_prompt:
            return None
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_for_hard, tasks.cancel_scope)
                result = await session.prompt(prompt)
                tasks.cancel_scope.cancel()
        return result

    @property
    def _interruption(self) -> Tell | None:
        """What the agent is to be told before its turn goes on."""
        return next((tell for tell in self._tell if tell.when == "now"), None)

    def turn_ended(self, judged: Round | None) -> None:
        """Tell the guards what a turn came to, as `Guard.turn_ended` has it."""
        now = self._pause.now()
        for guard in self._guards:
            self.take(guard.turn_ended(judged, now))

    async def watch_between_turns(self) -> None:
        """Let the guards tick while no turn runs; returns when one of them wants the session to end, or for a reason
        that counts for more than the one known before."""
        before = self._cut
        while self._cut is before:
            await self._next_tick()

    async def _watch(self, session: agents.Session, scope: anyio.CancelScope) -> None:
        """Tick, and end the turn when a guard wants that: after its grace by a cancel, then by force."""
        while self._cut is None and self._interruption is None:
            await self._next_tick()
        deadline = self._pause.now() + (self._cut.grace if self._cut else 0)
        while not self._is_hard and self._pause.now() < deadline:
            await self._next_tick(deadline)
        if not self._is_hard:
            await session.cancel()
            await anyio.sleep(CANCEL_SECONDS)
        scope.cancel()

    @property
    def _is_hard(self) -> bool:
        return self._cut is not None and self._cut.hard

    async def _watch_for_hard(self, scope: anyio.CancelScope) -> None:
        while self._cut is None or not self._cut.hard:
            await self._next_tick()
        scope.cancel()

    async def _next_tick(self, until: float | None = None) -> None:
        """Wait until the next guard is due, until one has spoken, or until a time; while the attempt is paused that
        stands still."""
        changed = self._changed  # what is said in a pause counts when it is over
        await self._pause.over()
        wakes = [until, *(guard.wake for guard in self._guards)]
        due = min((wake for wake in wakes if wake is not None), default=None)
        with anyio.move_on_after(None if due is None else max(0.0, due - self._pause.now())):
            await changed.wait()
            return
        now = self._pause.now()
        for guard in self._guards:
            if guard.wake is not None and guard.wake <= now:
                self.take(guard.tick(now))
