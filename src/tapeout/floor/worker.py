"""A worker: the process that owns one attempt, from claim to the end, and reports to the tracker only.

It claims the issue, makes a workspace, starts the agent, prompts it, submits what git holds after each turn, waits for
the verdict and lets the same session refine. What the agent says is kept in the transcript and believed nowhere.

What may go wrong: the agent dies or hangs (the attempt ends as interrupted, its work is saved, the next one goes on
from there); the lease is lost to somebody else (the worker saves the work and writes nothing more: the floor's salvage
job ends the attempt); a person stops the floor or closes the issue (the work is saved); `tapeout.toml` of the target
branch is not valid any more (the queue stops and says so); this process is killed (the salvage job saves the work).
"""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial

import anyio
import anyio.abc
import anyio.to_thread

from tapeout import agents, gate, workspaces
from tapeout.base import processes
from tapeout.base.errors import Conflict, TapeoutError, UsageError, cause_of
from tapeout.base.faults import point
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import Config
from tapeout.floor import policy, prompt, sharing
from tapeout.floor.guarding import Watched, guards_for
from tapeout.floor.guards import TurnFacts
from tapeout.floor.lanes import lane_of
from tapeout.floor.progress import Progress
from tapeout.floor.report import give_up_report
from tapeout.floor.supervision import Supervisor
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import OPEN_CHANGE_STATES, Attempt, Change, Lease

RENEWALS = 3
"""How often a lease is renewed in the time that it lives: two may fail."""

CLOSED = policy.EndAttempt("stopped", "the issue was closed meanwhile")

MAX_LOOK_SECONDS = 10.0
"""A verdict is looked for when the bell rings, and at the latest after this time."""


STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(
    state_root: str, repository_root: str, git_dir: str, branch: str, issue: str, attempt: str, agent: str
) -> None:
    """Entry of the worker's process."""
    processes.become_subreaper()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until there is somebody to receive them
    paths = StatePaths(state_root)
    with Tracker.open(paths, f"worker:{attempt}") as tracker:
        try:
            config = target_config(paths, branch)
        except UsageError as error:  # no worker can begin until a person mends it
            tracker.stop_queue(error.message)
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
        worker = Worker(paths, repository, branch, config, tracker, lease, begun, hold)
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
        self._supervisor = Supervisor([], note=self._progress.supervised, show=self._progress.update)
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
                self._ending = await self._work()
                tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._end(self._ending)
                await self._hold.release()

    def _lose_lease(self, scope: anyio.CancelScope) -> None:
        self._lost_lease = True
        scope.cancel()

    async def _stop_on_signal(self, signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
        async for _ in signals:
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
                return await self._turns(session, workspace)
        except (TapeoutError, OSError, ExceptionGroup) as error:
            return self._after_error(cause_of(error))

    def _after_error(self, error: Exception) -> policy.EndAttempt:
        if isinstance(error, Conflict):  # the tracker refuses what a stale holder writes
            self._lost_lease = True
            return policy.EndAttempt("interrupted", error.message)
        if self._tracker.issue(self._lease.issue).status == "closed":
            return CLOSED
        reason = _one_line(error)
        self._progress.failed(reason)
        return policy.after_interruption(reason, self._earlier, self._limits)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[agents.Session, workspaces.Workspace]]:
        """The agent, started in a fresh workspace with a terminal recording and a block of ports."""
        spec = agents.resolve(self._attempt.agent, self._config)
        self._supervisor = self._supervise(spec)
        hub = open_bare(self._paths.hub)
        base = resolve(hub, f"refs/heads/{self._branch}")
        assert base is not None
        resumed = policy.resume_from(self._earlier)
        start = resumed.head if resumed else None
        with contextlib.ExitStack() as resources:
            ports = resources.enter_context(workspaces.lease(os.path.dirname(self._paths.root)))
            workspace = await anyio.to_thread.run_sync(workspaces.create, self._paths, self._id, base, start)
            self._progress.started(workspace.base)
            point("worker.workspace")
            recording = resources.enter_context(
                workspaces.Recorder(os.path.join(self._paths.terminals, f"{self._id}.cast"))
            )
            transcript = resources.enter_context(
                agents.Transcript(os.path.join(self._paths.transcripts, f"{self._id}.jsonl"))
            )
            async with agents.open_session(
                spec,
                cwd=workspace.code,
                env=self._environment(workspace, ports),
                on_update=self._supervisor.update,
                transcript=transcript,
                terminal=recording,
                permissions=self._limits.permissions,
                start_timeout=self._limits.start_timeout,
            ) as session:
                yield session, workspace

    def _supervise(self, spec: agents.AgentSpec) -> Supervisor:
        issue = self._tracker.issue(self._lease.issue)
        _, lane = lane_of(issue, self._config)
        watched = Watched(issue, self._attempt, tuple(self._earlier), spec, lane, self._config)
        return Supervisor(guards_for(watched), note=self._progress.supervised, show=self._progress.update)

    def _environment(self, workspace: workspaces.Workspace, ports: workspaces.PortLease) -> dict[str, str]:
        settings = workspaces.Settings(
            attempt=self._id,
            issue=self._lease.issue,
            number=self._attempt.number,
            tmp=workspace.tmp,
            repository=self._repository.root,
            home=os.path.dirname(self._paths.root),
            port_base=ports.base,
            port_count=ports.count,
        )
        return workspaces.environment(os.environ, settings)

    async def _turns(self, session: agents.Session, workspace: workspaces.Workspace) -> policy.EndAttempt:
        """Prompt, submit, wait for the verdict; again while the policy says to refine."""
        text = prompt.first_prompt(self._assignment())
        rounds = 0
        while True:
            rounds += 1
            self._progress.prompted(rounds)
            point("worker.prompted")
            with anyio.move_on_after(self._limits.turn_timeout) as turn:
                await self._supervisor.turn(session, text)
            if turn.cancelled_caught:
                reason = f"the turn took longer than {self._limits.turn_timeout:.0f} s"
                return policy.after_interruption(reason, self._earlier, self._limits)
            pulled = await self._pull(workspace)
            change = await self._verdict_on(pulled) if pulled.changed else None
            self._supervisor.turn_ended(turn_facts(rounds, pulled, change))
            if self._supervisor.cut is not None:
                return policy.after_interruption(self._supervisor.cut.evidence, self._earlier, self._limits)
            decision = self._decide(change, rounds)
            if isinstance(decision, policy.EndAttempt):
                return decision
            if change is not None and change.verdict is not None:
                text = prompt.refinement_prompt(change.verdict, rounds, self._limits.refine_rounds)
            else:
                text = prompt.no_change_prompt()

    def _decide(self, change: Change | None, rounds: int) -> policy.Refine | policy.EndAttempt:
        """What follows a turn; `change` is None when it left nothing to submit."""
        if change is None:
            return policy.after_failure("the turn ended without a change", rounds, self._earlier, self._limits)
        if change.state == "landed":
            return policy.EndAttempt("landed", "landed")
        if change.state == "withdrawn":
            return CLOSED
        verdict = change.verdict or {}
        if change.state == "conflict":
            return policy.after_conflict(verdict.get("paths", ()), self._earlier, self._limits)
        return policy.after_failure(str(verdict.get("reason")), rounds, self._earlier, self._limits)

    async def _pull(self, workspace: workspaces.Workspace) -> workspaces.Pulled:
        """Bring the turn's work to the hub."""
        pulled = await anyio.to_thread.run_sync(workspaces.pull, workspace)
        self._progress.pulled(pulled.commit)
        point("worker.pulled")
        return pulled

    async def _verdict_on(self, pulled: workspaces.Pulled) -> Change:
        """Submit a commit and wait until the gate has decided on it."""
        with Doorbell(self._paths.bells) as bell:
            change = self._tracker.submit(self._lease, self._id, commit=pulled.commit, base=pulled.base)
            point("worker.submitted")
            self._progress.waiting()
            while change.state in OPEN_CHANGE_STATES:
                with anyio.move_on_after(MAX_LOOK_SECONDS):
                    await anyio.wait_readable(bell)
                bell.clear()
                change = self._tracker.change(change.id)
            return change

    def _assignment(self) -> prompt.Assignment:
        issue = self._tracker.issue(self._lease.issue)
        return prompt.Assignment(
            issue=issue,
            number=self._attempt.number,
            branch=self._branch,
            checks=self._config.check,
            comments=self._tracker.comments(issue.id),
            earlier=self._earlier,
            changes=changes_by_attempt(self._tracker.all_changes(issue.id)),
            resumed=policy.resume_from(self._earlier),
        )

    async def _end(self, decision: policy.EndAttempt) -> None:
        """Leave nothing behind but what is in the hub and the tracker."""
        await anyio.to_thread.run_sync(processes.end_descendants)
        head = await anyio.to_thread.run_sync(save_work, self._paths, self._id)
        point("worker.saved")
        if self._lost_lease:
            return
        if decision.give_up:
            write_report(self._tracker, self._id, decision, head)
        self._tracker.end_attempt(
            self._lease, self._id, decision.outcome, decision.detail, head=head, give_up=decision.give_up
        )


def turn_facts(rounds: int, pulled: workspaces.Pulled, change: Change | None) -> TurnFacts:
    """What a turn came to; `change` is None when it left nothing to submit."""
    verdict = (change.verdict if change is not None else None) or {}
    refused = bool(verdict) and not verdict.get("passed")
    findings = tuple((one["check"], one["reason"], one.get("excerpt", "")) for one in verdict.get("findings", ()))
    return TurnFacts(
        round=rounds,
        commit=pulled.commit,
        tree=pulled.tree,
        changed=pulled.changed,
        reason=str(verdict.get("reason", "")) if refused else "",
        findings=findings if refused else (),
    )


def _one_line(error: Exception) -> str:
    if isinstance(error, TapeoutError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.filename or 'the machine'}: {error.strerror or error}"
    raise error


def save_work(paths: StatePaths, attempt: str) -> str | None:
    """Bring all that the workspace holds to the hub and remove it; the commit that the attempt's work ends at."""
    workspaces.remove(paths, attempt)
    return resolve(open_bare(paths.hub), f"refs/tapeout/attempts/{attempt}")


def write_report(tracker: Tracker, attempt: str, decision: policy.EndAttempt, head: str | None) -> None:
    """Comment on the issue, for a person, why no agent goes on and what was tried."""
    issue = tracker.issue(tracker.attempt(attempt).issue)
    counted = [
        one if one.id != attempt else one._replace(outcome=decision.outcome, detail=decision.detail, head=head)
        for one in tracker.budget_attempts(issue.id)
    ]
    changes = changes_by_attempt(tracker.all_changes(issue.id))
    tracker.comment(issue.id, give_up_report(issue, decision.give_up or "", counted, changes))


def changes_by_attempt(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Attempt id to its changes, in order of submission."""
    found: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda one: one.submitted_at):
        found.setdefault(change.attempt, []).append(change)
    return found


def target_config(paths: StatePaths, branch: str) -> Config:
    """What `tapeout.toml` says at the tip of the target branch in the hub."""
    hub = open_bare(paths.hub)
    commit = resolve(hub, f"refs/heads/{branch}")
    assert commit is not None
    return gate.load_config(hub, commit)
