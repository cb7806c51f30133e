"""The turns of one session: prompt, submit what git holds, wait for the verdict, let the session refine.

What may go wrong: the agent dies or speaks rubbish (`AgentError`); a turn takes too long; a guard wants the session to
end, in a turn or while the verdict is awaited; the lease is lost (`Conflict`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from tapeout import agents, workspaces
from tapeout.agents import AgentError
from tapeout.base.faults import point
from tapeout.base.paths import StatePaths
from tapeout.config import FloorConfig, PromptConfig
from tapeout.floor import policy, prompting
from tapeout.floor.context.limits import LimitRules
from tapeout.floor.context.meter import ContextMeter
from tapeout.floor.context.record import ContextRecord
from tapeout.floor.guards import Cut
from tapeout.floor.handoff import handoff_request
from tapeout.floor.memory.model import Round
from tapeout.floor.memory.recorder import Recorder
from tapeout.floor.progress import Progress
from tapeout.floor.supervision import Supervisor
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import OPEN_CHANGE_STATES, Attempt, Change, Lease

CLOSED = policy.EndAttempt("stopped", "the issue was closed meanwhile")

MAX_LOOK_SECONDS = 10.0
"""A verdict is looked for when the bell rings, and at the latest after this time."""


@dataclass(frozen=True)
class Engagement:
    """Whose turns they are, and under which rules."""

    paths: StatePaths
    tracker: Tracker
    lease: Lease
    """As it was granted: renewals change its expiry only."""
    attempt: Attempt
    earlier: tuple[Attempt, ...]
    """The issue's attempts before this one that count against its budget."""
    limits: FloorConfig
    prompts: PromptConfig
    progress: Progress
    supervisor: Supervisor
    meter: ContextMeter
    record: ContextRecord
    limit_rules: LimitRules
    memory: Recorder
    chain: tuple[str, ...] = ()
    """The agents that may work on the issue, in order, where there are several."""


class Conversation:
    """The turns of one session."""

    def __init__(self, engagement: Engagement, session: agents.Session, workspace: workspaces.Workspace) -> None:
        self._on = engagement
        self._session = session
        self._workspace = workspace
        resumed = policy.resume_from(engagement.earlier)
        self._start = (resumed.head if resumed else None) or workspace.base
        self._answer = ""

    @property
    def handoff(self) -> str:
        """What the agent answered when it was asked for a handoff; empty if it did not."""
        return self._answer

    async def run(self, text: str) -> policy.EndAttempt:
        """From the first prompt to a decision.

        Raises:
            AgentError: the agent died, spoke rubbish, or answered with an error.
            Conflict: the lease was lost.
        """
        on, rounds = self._on, 0
        while True:
            rounds += 1
            on.progress.prompted(rounds)
            on.meter.limits = on.limit_rules.limits(self._session.model)
            on.record.limited(on.meter.limits)
            point("worker.prompted")
            begun = time.monotonic()
            result = await on.supervisor.turn(self._session, text)
            decision, change = await self._judge(result, rounds, time.monotonic() - begun)
            if isinstance(decision, policy.EndAttempt):
                return decision
            if change is not None and change.verdict is not None:
                text = prompting.refinement_prompt(change.verdict, rounds, on.limits.refine_rounds, on.prompts)
            else:
                text = prompting.no_change_prompt()

    async def _judge(
        self, result: agents.TurnResult | None, rounds: int, seconds: float
    ) -> tuple[policy.Refine | policy.EndAttempt, Change | None]:
        """What follows a turn, and the change that was decided on, if there was one.

        Work of a turn that was broken off is not submitted: it is not what the agent meant to hand in.
        """
        on = self._on
        pulled = await self._pull()
        whole = result is not None and result.stop_reason != "cancelled"
        change = await self._verdict_on(pulled) if pulled.changed and whole else None
        if change is not None:
            on.record.judged(change, on.meter.reading, model=self._session.model)
        on.supervisor.turn_ended(await self._remember(result, rounds, seconds, pulled, change) if whole else None)
        cut = on.supervisor.cut
        if cut is None:
            return self._decide(change, rounds), change
        decided = self._decide(change, rounds) if change is not None else None
        ended = policy.after_cut_turn(cut.kind, decided)
        if ended is None:
            fruitless = pulled.commit == self._start
            ended = cut_off(cut, on.earlier, on.limits, agent=on.attempt.agent, chain=on.chain, fruitless=fruitless)
            if ended.outcome == "handoff" and not cut.futile:
                await self._ask_for_handoff(cut.evidence)
        return ended, change

    async def _ask_for_handoff(self, why: str) -> None:
        """Ask the session for a handoff, if its context has room for one. What comes of it is looked at later: the
        agent may die of it, go on with the work or say nothing."""
        on = self._on
        if not on.meter.has_room or not on.supervisor.can_prompt:
            return
        point("worker.limit")
        on.progress.handing_over()
        try:
            result = await on.supervisor.last_turn(self._session, handoff_request(why), on.limits.handoff_timeout)
            self._answer = result.text if result is not None else ""
        except* AgentError:  # one is compiled, then
            self._answer = ""
        point("worker.handoff")

    async def _remember(
        self,
        result: agents.TurnResult | None,
        rounds: int,
        seconds: float,
        pulled: workspaces.Pulled,
        change: Change | None,
    ) -> Round | None:
        memory, usage = self._on.memory, result.usage if result is not None else None
        tokens = usage.used if usage is not None else None
        remembered = await anyio.to_thread.run_sync(memory.read, rounds, pulled, change, tokens, seconds)
        memory.note()
        return remembered

    def _decide(self, change: Change | None, rounds: int) -> policy.Refine | policy.EndAttempt:
        """What follows a turn that nobody cut; `change` is None when it left nothing to submit."""
        on = self._on
        if change is None:
            return self._failed("the turn ended without a change", rounds)
        if change.state == "landed":
            return policy.EndAttempt("landed", "landed")
        if change.state == "withdrawn":
            return CLOSED
        verdict = change.verdict or {}
        if change.state == "conflict":
            return policy.after_conflict(verdict.get("paths", ()), on.earlier, on.limits)
        return self._failed(str(verdict.get("reason")), rounds)

    def _failed(self, reason: str, rounds: int) -> policy.Refine | policy.EndAttempt:
        on = self._on
        return policy.after_failure(reason, rounds, on.earlier, on.limits, agent=on.attempt.agent, chain=on.chain)

    async def _pull(self) -> workspaces.Pulled:
        """Bring the turn's work to the hub."""
        pulled = await anyio.to_thread.run_sync(workspaces.pull, self._workspace)
        self._on.progress.pulled(pulled.commit)
        point("worker.pulled")
        return pulled

    async def _verdict_on(self, pulled: workspaces.Pulled) -> Change | None:
        """Submit a commit and wait until the gate has decided on it; None if a guard does not want to wait for that.
        The change is in the queue then, and may still land."""
        on = self._on
        with Doorbell(on.paths.bells) as bell:
            change = on.tracker.submit(on.lease, on.attempt.id, commit=pulled.commit, base=pulled.base)
            point("worker.submitted")
            on.progress.waiting()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_waiting, tasks.cancel_scope)
                while change.state in OPEN_CHANGE_STATES:
                    with anyio.move_on_after(MAX_LOOK_SECONDS):
                        await anyio.wait_readable(bell)
                    bell.clear()
                    change = on.tracker.change(change.id)
                tasks.cancel_scope.cancel()
        return change if change.state not in OPEN_CHANGE_STATES else None

    async def _stop_waiting(self, scope: anyio.CancelScope) -> None:
        """End the wait for a verdict when a guard does not allow it. That a context is full does not matter to it."""
        while True:
            await self._on.supervisor.watch_between_turns()
            cut = self._on.supervisor.cut
            if cut is not None and cut.hard:
                await self._session.close()
            if cut is not None and cut.kind not in policy.WAITS_FOR_VERDICT:
                scope.cancel()
                return


def cut_off(
    cut: Cut,
    earlier: Sequence[Attempt],
    limits: FloorConfig,
    *,
    agent: str,
    chain: Sequence[str] = (),
    fruitless: bool = False,
) -> policy.EndAttempt:
    """How an attempt ends whose session was cut."""
    ended = policy.after_cut(cut.kind, cut.evidence, earlier, limits, agent=agent, chain=chain, fruitless=fruitless)
    return replace(ended, give_up=ended.give_up or cut.evidence) if cut.futile else ended
