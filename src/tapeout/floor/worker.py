"""A worker: the process that owns one attempt, from claim to the end, and reports to the tracker only.

It claims the issue, makes a workspace, starts the agent and holds the session (`turns`), saves the work (`saving`) and
ends the attempt. What the agent says is kept in the transcript and believed nowhere.

What may go wrong: the agent dies or hangs (the attempt ends as interrupted, its work is saved, the next one goes on
from there); the lease is lost to somebody else (the worker saves the work and writes nothing more: the floor's salvage
job ends the attempt); a person stops the floor or closes the issue (the work is saved); `tapeout.toml` of the target
branch is not valid any more (the queue stops and says so); this process is killed (the salvage job saves the work).
"""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

import anyio
import anyio.abc
import anyio.to_thread

from tapeout import agents, workspaces
from tapeout.base import processes
from tapeout.base.errors import Conflict, TapeoutError, UsageError, cause_of
from tapeout.base.faults import point
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import Config
from tapeout.floor import policy, prompting, sharing, vitals
from tapeout.floor.admission import agent_chain
from tapeout.floor.answers import Answers
from tapeout.floor.budgets.accounts import Accounts
from tapeout.floor.context.limits import LimitRules
from tapeout.floor.context.meter import ContextMeter
from tapeout.floor.context.record import ContextRecord
from tapeout.floor.control import Control
from tapeout.floor.cuts import Cut
from tapeout.floor.guards import Guard
from tapeout.floor.handoff.leaving import leave_handoff
from tapeout.floor.isolation import Room, Site, attempt_environment, in_layers, isolated, problem_of
from tapeout.floor.lanes import lane_of
from tapeout.floor.liveness import Liveness
from tapeout.floor.memory.recorder import Recorder
from tapeout.floor.pausing import Pause
from tapeout.floor.progress import Progress
from tapeout.floor.providers.patience import PatientSupervisor, ProviderRules
from tapeout.floor.saving import save_work, target_config, write_report
from tapeout.floor.spirals.guard import SpiralGuard
from tapeout.floor.turns import CLOSED, Conversation, Engagement, cut_off
from tapeout.tracker import Tracker
from tapeout.tracker.model import Attempt, Lease

RENEWALS = 3
"""How often a lease is renewed in the time that it lives: two may fail."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(
    state_root: str, repository_root: str, git_dir: str, branch: str, issue: str, attempt: str, agent: str, usual: str
) -> None:
    """Entry of the worker's process; `usual` are the floor's agents, with commas between them."""
    processes.become_subreaper()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until there is somebody to receive them
    paths = StatePaths(state_root)
    with Tracker.open(paths, f"worker:{attempt}") as tracker:
        try:
            config = target_config(paths, branch)
        except UsageError as error:  # no worker can begin until a person mends it
            tracker.stop_queue(error.message)
            return
        if problem := problem_of(config):
            tracker.stop_queue(problem)
            return
        repository = Repository(repository_root, git_dir)
        hold = sharing.take(tracker, repository, config.tracker, issue, attempt)
        if hold is None:
            return  # it is noted: the floor leaves the issue alone for a while
        host, pid = socket.gethostname(), os.getpid()
        started = processes.start_time(pid)
        try:
            lease, begun = tracker.begin_attempt(
                issue, attempt, config.floor.lease, agent=agent, host=host, pid=pid, pid_started=started
            )
        except Conflict:  # somebody was faster: nothing is wrong
            anyio.run(hold.release)
            return
        point("worker.started")
        worker = Worker(paths, repository, branch, config, tracker, lease, begun, hold, usual.split(","))
        anyio.run(worker.run)


class Worker:
    """One attempt."""

    def __init__(
        self,
        paths: StatePaths,
        repository: Repository,
        branch: str,
        config: Config,
        tracker: Tracker,
        lease: Lease,
        attempt: Attempt,
        hold: sharing.Hold,
        usual: Sequence[str],
    ) -> None:
        self._paths = paths
        self._repository = repository
        self._branch = branch
        self._config = config
        self._limits = config.floor
        self._tracker = tracker
        self._lease = lease
        self._id = attempt.id
        self._attempt = attempt
        self._hold = hold
        self._earlier = [one for one in tracker.budget_attempts(lease.issue) if one.id != attempt.id]
        self._progress = Progress(tracker, lease, attempt.id)
        self._memory = Recorder(paths, tracker, lease, attempt)
        self._issue = tracker.issue(lease.issue)
        chain = agent_chain(self._issue, config, usual)
        self._chain = chain if attempt.agent in chain else ()
        self._lane_name, self._lane = lane_of(self._issue, config)
        self._pause = Pause(processes.stop_descendants, processes.continue_descendants)
        self._accounts = Accounts(
            tracker, lease, attempt, self._earlier, self._lane_name, self._lane, config, self._pause.now
        )
        self._recording = os.path.join(paths.terminals, f"{attempt.id}.cast")
        self._answers = Answers(tracker, lease, timeout=self._limits.answer_timeout, show=self._progress.state)
        self._control = Control(
            tracker, lease, pause=self._pause, show=self._progress.paused, answered=self._answers.answered
        )
        self._supervisor = self._supervise([])
        self._conversation: Conversation | None = None
        self._lost_lease = False
        self._ending = policy.EndAttempt("stopped", "stopped by a person")

    async def run(self) -> None:
        """Work until the attempt has ended in the tracker."""
        with anyio.open_signal_receiver(*STOP_SIGNALS) as signals:  # to the end: no second signal cuts the saving short
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_on_signal, signals, tasks.cancel_scope)
                tasks.start_soon(self._keep_lease, tasks.cancel_scope)
                tasks.start_soon(self._hold.keep, partial(self._lose_lease, tasks.cancel_scope))
                tasks.start_soon(self._progress.show_late)
                tasks.start_soon(self._control.heed, partial(self._end_now, tasks.cancel_scope))
                self._ending = await self._work()
                tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._end(self._ending)
                await self._hold.release()

    def _lose_lease(self, scope: anyio.CancelScope) -> None:
        self._lost_lease = True
        scope.cancel()

    def _end_now(self, scope: anyio.CancelScope, ending: policy.EndAttempt) -> None:
        self._ending = ending
        scope.cancel()

    async def _stop_on_signal(self, signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
        async for _ in signals:
            self._ending = self._accounts.stopped()
            scope.cancel()
            return

    async def _keep_lease(self, scope: anyio.CancelScope) -> None:
        """Renew the lease; stop the work when it is lost, or when the issue was closed and so nobody wants it."""
        while True:
            await anyio.sleep(self._limits.lease / RENEWALS)
            try:
                self._lease = self._tracker.renew(self._lease, self._limits.lease)
                if self._tracker.issue(self._lease.issue).status == "open":
                    continue
                self._ending = CLOSED
            except Conflict:
                self._lose_lease(scope)
                return
            except TapeoutError:  # a full disk, say: what follows may succeed before the lease runs out
                continue
            scope.cancel()
            return

    async def _work(self) -> policy.EndAttempt:
        """From an empty workspace to a decision; agents' failures become decisions too."""
        try:
            async with self._session() as (session, workspace):
                self._conversation = Conversation(self._engagement(), session, workspace)
                return await self._conversation.run(self._first_prompt())
        except (TapeoutError, OSError, ExceptionGroup) as error:
            return self._after_error(cause_of(error))

    def _after_error(self, error: Exception) -> policy.EndAttempt:
        if isinstance(error, Conflict):  # the tracker refuses what a stale holder writes
            self._lost_lease = True
            return policy.EndAttempt("interrupted", error.message)
        if self._tracker.issue(self._lease.issue).status == "closed":
            return CLOSED
        self._supervisor.blame(error)
        cut = self._supervisor.cut
        if cut is not None:  # the agent did not survive being stopped, or its provider is not to be had
            return cut_off(cut, self._earlier, self._limits, agent=self._attempt.agent, chain=self._chain)
        reason = _one_line(error)
        self._progress.failed(reason)
        return policy.after_interruption(reason, self._earlier, self._limits)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[agents.Session, workspaces.Workspace]]:
        """The agent, started in a fresh workspace with a terminal recording and a block of ports."""
        spec = agents.resolve(self._attempt.agent, self._config)
        hub = open_bare(self._paths.hub)
        base = resolve(hub, f"refs/heads/{self._branch}")
        assert base is not None
        resumed = policy.resume_from(self._earlier)
        start = resumed.head if resumed else None
        with contextlib.ExitStack() as resources:
            ports = resources.enter_context(workspaces.lease(os.path.dirname(self._paths.root)))
            site = Site(self._config, self._paths, self._repository)
            layered = in_layers(spec, site, start or base)
            create = partial(workspaces.create, self._paths, self._id, base, start, layered=layered)
            workspace = await anyio.to_thread.run_sync(create)
            workspaces.note_ports(workspace.root, ports)
            self._progress.started(workspace.base)
            point("worker.workspace")
            recording = resources.enter_context(workspaces.Recorder(self._recording))
            self._supervisor = self._supervise([self._liveness(workspace.written), *self._guards(spec)])
            self._control.supervise(self._supervisor)
            transcript = resources.enter_context(
                agents.Transcript(os.path.join(self._paths.transcripts, f"{self._id}.jsonl"))
            )
            env = attempt_environment(site, self._attempt, workspace, ports)
            async with (
                isolated(
                    spec,
                    workspace,
                    env,
                    site,
                    start=start or base,
                    show=recording.line,
                    cut=self._used_too_much,
                    stop=self._tracker.stop_queue,
                ) as room,
                agents.lasting_session(
                    partial(self._open, room, workspace.code, env, transcript, recording, agents.meter_for(spec)),
                    reap=_end_descendants,
                ) as session,
            ):
                yield session, workspace

    def _open(
        self,
        room: Room,
        code: str,
        env: Mapping[str, str],
        transcript: agents.Transcript,
        recording: workspaces.Recorder,
        meter: agents.Meter,
        resume: str | None,
    ) -> contextlib.AbstractAsyncContextManager[agents.Session]:
        """The agent's session, or with `resume` the same in a new process of it."""
        return agents.open_session(
            room.spec,
            confinement=room.confinement,
            cwd=code,
            env=env,
            on_update=self._supervisor.update,
            transcript=transcript,
            terminal=recording,
            permissions=self._limits.permissions,
            on_permission=self._answers.decide,
            park_seconds=self._limits.answer_timeout,
            start_timeout=self._limits.start_timeout,
            resume=resume,
            meter=meter,
        )

    def _guards(self, spec: agents.AgentSpec) -> list[Guard]:
        self._limit_rules = LimitRules(spec.name, self._lane, self._config)
        self._meter = ContextMeter(self._limit_rules.limits(""), agents.expected_window(spec))
        self._record = ContextRecord(self._tracker, self._lease, self._attempt)
        return [self._meter, SpiralGuard(self._memory.earlier)]

    def _liveness(self, code: str) -> Liveness:
        liveness = Liveness(
            partial(vitals.look, code, self._recording),
            self._progress.state,
            stall_after=self._limits.stall_after,
            turn_timeout=self._limits.turn_timeout,
        )
        self._answers.waits = partial(self._waits, liveness)
        return liveness

    def _waits(self, liveness: Liveness, begins: bool) -> None:
        for guard in (liveness, self._accounts.guard):
            guard.waits(begins=begins, now=self._pause.now())

    def _supervise(self, guards: Sequence[Guard]) -> PatientSupervisor:
        return PatientSupervisor(
            guards,
            note=self._progress.supervised,
            show=self._show,
            say=self._progress.waits,
            tracker=self._tracker,
            accounts=self._accounts,
            provider=ProviderRules.of(self._attempt.agent, self._config),
            pause=self._pause,
        )

    def _show(self, update: agents.Update) -> None:
        self._progress.update(update)
        self._record.update(update)

    def _engagement(self) -> Engagement:
        return Engagement(
            paths=self._paths,
            tracker=self._tracker,
            lease=self._lease,
            attempt=self._attempt,
            earlier=tuple(self._earlier),
            limits=self._limits,
            prompts=self._config.prompt,
            progress=self._progress,
            supervisor=self._supervisor,
            meter=self._meter,
            record=self._record,
            limit_rules=self._limit_rules,
            memory=self._memory,
            chain=self._chain,
        )

    def _used_too_much(self, cut: Cut) -> None:
        """The agent was over a limit of its sandbox, which counts as its attempt's budget."""
        self._accounts.guard.exhausted(cut.evidence)
        self._supervisor.take(cut)

    def _first_prompt(self) -> str:
        work = prompting.read_assignment(self._tracker, self._config, self._branch, self._lease.issue, self._attempt)
        return prompting.first_prompt(work, self._config.prompt).text

    async def _end(self, decision: policy.EndAttempt) -> None:
        """Leave nothing behind but what is in the hub and the tracker."""
        await anyio.to_thread.run_sync(processes.end_descendants)
        head = await anyio.to_thread.run_sync(save_work, self._paths, self._id)
        point("worker.saved")
        if self._lost_lease:
            return
        decision = self._accounts.settle(decision)
        if decision.outcome in policy.RESUMED:
            said = self._conversation.handoff if self._conversation is not None else ""
            leave_handoff(self._tracker, self._paths, self._id, head, said=said, lease=self._lease)
            point("worker.noted")
        if decision.give_up:
            write_report(self._tracker, self._id, decision, head)
        self._tracker.end_attempt(
            self._lease, self._id, decision.outcome, decision.detail, head=head, give_up=decision.give_up
        )


async def _end_descendants() -> None:
    await anyio.to_thread.run_sync(processes.end_descendants)


def _one_line(error: Exception) -> str:
    if isinstance(error, TapeoutError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.filename or 'the machine'}: {error.strerror or error}"
    raise error
