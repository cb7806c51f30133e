"""The floor: reads the tracker, starts processes, and nothing else.

It sleeps until the tracker's bell rings, a process ends, or time makes an issue ready; then it takes a snapshot, lets
`dispatch` decide, and starts what the plan says. It never opens a workspace, a terminal recording or a transcript, and
asks no model anything. Killed at any moment it loses nothing: workers go on, and the next floor adopts them.
"""

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import anyio
import anyio.abc
import anyio.to_thread

from tapeout.base.errors import EnvironmentProblem, TapeoutError
from tapeout.base.faults import point
from tapeout.base.ids import new_id
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import Config
from tapeout.engine import Executor, Job, Running
from tapeout.engine.local import LocalExecutor
from tapeout.floor.admission import Start
from tapeout.floor.admitting import Admitting
from tapeout.floor.budgets.run import WHOLE_RUN, begin_run, end_run
from tapeout.floor.dispatch import MAX_FAILURES, SALVAGE, Plan, Snapshot, plan_dispatch
from tapeout.floor.overlap import LOOK_AHEAD
from tapeout.floor.providers.pauses import try_again
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Attempt, Change

GATE_JOB = "gate"
SYNC_JOB = "sync"
FLUSH_SECONDS = 0.1
"""Operations reach git at most this long after they were written."""

LOOK_SECONDS = 30.0
"""The floor looks at the tracker at the latest after this time, should a bell ever be lost."""

LOOK_FAR = 2000
"""Most ready issues that are looked at to find some whose provider or lane lets them be started."""

STOP_SECONDS = 20.0
"""How long workers may take to save their work before they are killed; salvage then saves it."""


@dataclass(frozen=True)
class FloorSettings:
    """What a floor is started with."""

    paths: StatePaths
    repository: Repository
    branch: str
    workers: int
    agents: tuple[str, ...]
    """For issues that name none and whose lane names none: the first that is to be had."""
    until_idle: bool
    config: Config
    """As it is on the target branch when the floor starts."""
    sync_seconds: float | None = None
    """How often issues are exchanged with the remote; None for not at all."""
    remote: str = ""
    """Which remote; empty for the usual one."""
    given: Mapping[str, float] = field(default_factory=dict)
    """Limits of the run (`time` in seconds, `tokens`, `cost`) in place of those of the configuration."""
    missing: frozenset[str] = frozenset()
    """Agents that are not installed: others of their chain take their place."""


@dataclass
class _State:
    """What the floor itself remembers; all of it can be lost without harm."""

    starting: dict[str, Start] = field(default_factory=dict)
    """As in `Snapshot`."""
    salvages: dict[str, int] = field(default_factory=dict)
    """As in `Snapshot`."""
    worker_deaths: int = 0
    """Workers in a row that ended before they began."""
    gate_deaths: int = 0
    """Gate runs in a row that decided nothing."""
    gate_killer: str | None = None
    """Issue whose change was refused because the gate died of it; nothing was decided since."""
    gate_began_with: frozenset[str] = frozenset()
    """What there was for the gate to do when it was started."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """As in `Snapshot`."""
    ending: set[str] = field(default_factory=set)
    """Attempts that were asked to end, for a budget is used up."""
    stopping: bool = False
    asked_to_stop: bool = False


class Floor:
    """The running orchestrator of one repository."""

    def __init__(self, settings: FloorSettings, tracker: Tracker, executor: Executor, bell: Doorbell) -> None:
        self._settings = settings
        self._tracker = tracker
        self._executor = executor
        self._bell = bell
        self._state = _State()
        self._wake = anyio.Event()
        self._admitting = Admitting(
            tracker, begin_run(tracker, settings.given), settings.config, settings.agents, settings.missing
        )

    async def run(self) -> None:
        """Work until stopped, or with `until_idle` until there is nothing left to do."""
        self._tracker.start_queue()
        try_again(self._tracker)
        async with anyio.create_task_group() as tasks:
            for watch in (self._watch_bell, self._watch_jobs, self._watch_signals, self._exchange_regularly):
                tasks.start_soon(watch)
            await self._cycle(tasks)
            tasks.cancel_scope.cancel()
        await self._executor.end_orphans()
        end_run(self._tracker)
        self._flush()
        await self._exchange_once()
        lost = [attempt for attempt, tries in self._state.salvages.items() if tries >= MAX_FAILURES]
        if lost and self._settings.until_idle:
            raise EnvironmentProblem(
                f"the work of {', '.join(lost)} cannot be saved: see {self._settings.paths.logs}",
                hint="it is still in its workspace; the next `tapeout up` tries again",
            )

    async def _cycle(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            self._wake = anyio.Event()
            snapshot, plan = self._plan()
            await self._perform(plan)
            self._end_over_budget(plan, tasks)
            ends = self._state.stopping or self._settings.until_idle or WHOLE_RUN in self._admitting.reached
            if plan.idle and ends:
                return
            if snapshot.queue_stopped and self._settings.until_idle:
                self._state.stopping = True  # only a person can mend the gate
            if self._state.stopping and not self._state.asked_to_stop:
                self._state.asked_to_stop = True
                tasks.start_soon(self._stop_workers)
            with anyio.move_on_after(self._sleep_seconds(plan)):
                await self._wake.wait()

    def _plan(self) -> tuple[Snapshot, Plan]:
        """A plan from what the tracker says; looking further while what is ready first cannot be started."""
        look = self._settings.workers + LOOK_AHEAD
        while True:
            snapshot = self._snapshot(look)
            plan = plan_dispatch(snapshot)
            if not plan.starved or look >= LOOK_FAR or len(snapshot.ready) < look:
                return snapshot, plan
            look *= 4

    def _snapshot(self, look: int) -> Snapshot:
        tracker, state = self._tracker, self._state
        running = tracker.attempts(running=True)
        for attempt in running:
            self._adopt(attempt)
            if state.starting.pop(attempt.id, None) is not None:
                state.worker_deaths = 0
        jobs = self._executor.running()
        free = self._settings.workers > len(running) + len(state.starting)
        ready = tracker.ready(limit=look + len(running) if free else 1)
        admission = self._admitting.admission(ready, running, state.starting)
        return Snapshot(
            slots=self._settings.workers,
            ready=ready,
            running=running,
            jobs=frozenset(jobs),
            starting=dict(state.starting),
            salvages=dict(state.salvages),
            queued=len(tracker.changes()),
            publish_due=tracker.unpublished() == "",
            gate_runs=GATE_JOB in jobs,
            queue_stopped=tracker.queue_stopped(),
            stopping=state.stopping,
            paused=bool(tracker.floor_rests()),
            scopes={one: tracker.issue(one).scope for one in self._worked_on(running)},
            passed_over=state.passed_over,
            admission=admission,
            over_budget=self._admitting.over_budget(running),
        )

    def _worked_on(self, running: list[Attempt]) -> set[str]:
        """Issues with an attempt, or with a change that waits to land."""
        queued = {change.issue for change in self._tracker.changes()}
        starting = {start.issue.id for start in self._state.starting.values()}
        return queued | {attempt.issue for attempt in running} | starting

    async def _perform(self, plan: Plan) -> None:
        settings = self._settings
        state_root, repository = settings.paths.root, settings.repository
        for attempt in plan.salvage:
            by_person = "yes" if self._state.stopping else ""
            words = (state_root, repository.root, repository.git_dir, settings.branch, attempt.id, by_person)
            await self._executor.submit(Job(f"{SALVAGE}{attempt.id}", "tapeout.floor.salvage:main", words))
        for passed in plan.passed_over:
            self._state.passed_over[passed] = self._state.passed_over.get(passed, 0) + 1
        for start in plan.start:
            self._state.passed_over.pop(start.issue.id, None)
            await self._start_worker(start)
        if plan.gate:
            self._state.gate_began_with = self._for_the_gate()
            arguments = (state_root, repository.root, repository.git_dir)
            await self._executor.submit(Job(GATE_JOB, "tapeout.gate.job:main", arguments))

    async def _start_worker(self, start: Start) -> None:
        settings, attempt = self._settings, f"a-{new_id()}"
        self._state.starting[attempt] = start
        self._admitting.started(attempt, start)
        arguments = (
            settings.paths.root,
            settings.repository.root,
            settings.repository.git_dir,
            settings.branch,
            start.issue.id,
            attempt,
            start.agent,
            ",".join(agent for agent in settings.agents if agent not in settings.missing),
        )
        await self._executor.submit(Job(attempt, "tapeout.floor.worker:main", arguments))
        point("floor.dispatched")

    def _adopt(self, attempt: Attempt) -> None:
        """Take over a worker of a floor that was killed; it may report only now."""
        if attempt.id not in self._executor.running():
            self._executor.adopt(attempt.id, Running(attempt.pid, attempt.pid_started))

    async def _watch_bell(self) -> None:
        """Wake up when anybody writes to the tracker, and bring what was written to git soon after."""
        while True:
            await anyio.wait_readable(self._bell)
            self._bell.clear()
            self._wake.set()
            await anyio.sleep(FLUSH_SECONDS)
            self._flush()

    def _flush(self) -> None:
        """Write to git; what cannot be written now, on a full disk say, waits in the index and ends no floor."""
        with contextlib.suppress(EnvironmentProblem):
            self._tracker.flush()

    async def _exchange_regularly(self) -> None:
        """Exchange issues with other clones, if that is wanted."""
        while self._settings.sync_seconds is not None:
            if SYNC_JOB not in self._executor.running() and not self._state.stopping:
                await self._start_exchange()
            await anyio.sleep(self._settings.sync_seconds)

    async def _exchange_once(self) -> None:
        """Tell other clones what was done, before the floor ends."""
        if self._settings.sync_seconds is None:
            return
        with anyio.move_on_after(STOP_SECONDS):
            if SYNC_JOB not in self._executor.running():
                await self._start_exchange()
            while await self._executor.next_gone() != SYNC_JOB:
                pass

    async def _start_exchange(self) -> None:
        settings = self._settings
        words = (settings.paths.root, settings.repository.root, settings.repository.git_dir, settings.remote)
        await self._executor.submit(Job(SYNC_JOB, "tapeout.floor.sharing:exchange", words))

    async def _watch_jobs(self) -> None:
        while True:
            job = await self._executor.next_gone()
            await self._note_gone(job)
            self._wake.set()

    async def _note_gone(self, job: str) -> None:
        """Count processes that ended without having done their job, so that nothing is started for ever."""
        if job == SYNC_JOB:
            return
        if job == GATE_JOB:
            self._note_gate_gone()
        elif job.startswith(SALVAGE):
            self._note_salvage_gone(job.removeprefix(SALVAGE))
        else:
            await self._note_worker_gone(job)

    async def _note_worker_gone(self, attempt: str) -> None:
        """A worker that ends without having reported, though its issue is still to be had, has died."""
        state = self._state
        start = state.starting.pop(attempt, None)
        issue = start.issue.id if start is not None else None
        state.ending.discard(attempt)
        if self._is_running(attempt):
            await self._executor.end_orphans()
        elif issue is not None and self._has_reported(attempt):
            state.worker_deaths = 0
        elif issue is not None:
            self._admitting.not_started(attempt)
            self._note_stillborn(attempt, issue)

    def _note_stillborn(self, attempt: str, issue: str) -> None:
        if self._is_free(issue) and self._tracker.queue_stopped() is None:
            self._state.worker_deaths += 1
            if self._state.worker_deaths == MAX_FAILURES:
                self._tracker.stop_queue(f"workers end before they begin: see {self._log(attempt)}")

    def _note_salvage_gone(self, attempt: str) -> None:
        if not self._is_running(attempt):
            self._state.salvages.pop(attempt, None)
            return
        tries = self._state.salvages[attempt] = self._state.salvages.get(attempt, 0) + 1
        if tries == MAX_FAILURES:
            log = self._log(f"{SALVAGE}{attempt}")
            self._tracker.record("cannot-save", {"attempt": attempt, "log": log}, self._tracker.attempt(attempt).issue)

    def _note_gate_gone(self) -> None:
        """A gate process that decides nothing and does not say why has died. Dying of one change again and again
        refuses that change; dying of others too, or before it judges one, stops the queue."""
        state = self._state
        if self._tracker.queue_stopped() is not None or not state.gate_began_with <= self._for_the_gate():
            state.gate_deaths, state.gate_killer = 0, None
            return
        state.gate_deaths += 1
        if state.gate_deaths < MAX_FAILURES:
            return
        judged = self._tracker.changes(("gating",))
        if len(judged) == 1 and state.gate_killer in (None, judged[0].issue):
            state.gate_deaths, state.gate_killer = 0, judged[0].issue
            self._refuse_killer(judged[0])
        else:  # without a change, or of another one too: the machine is at fault
            self._tracker.stop_queue(f"the gate's process keeps dying: see {self._log(GATE_JOB)}")

    def _refuse_killer(self, change: Change) -> None:
        """A change whose code kills whoever judges it must not keep all others from landing."""
        reason = f"the gate's process died {MAX_FAILURES} times while it judged this change"
        finding = {"check": GATE_JOB, "reason": reason, "excerpt": f"See {self._log(GATE_JOB)}"}
        verdict = {"passed": False, "reason": reason, "findings": [finding]}
        self._tracker.record_verdict(change.id, change.candidate or "", verdict)

    def _for_the_gate(self) -> frozenset[str]:
        """The changes in the queue, and publishing if it is due."""
        due = ["publish"] if self._tracker.unpublished() == "" else []
        return frozenset([*due, *(change.id for change in self._tracker.changes())])

    def _log(self, job: str) -> str:
        return os.path.join(self._settings.paths.logs, f"{job}.log")

    def _is_free(self, issue: str) -> bool:
        found = self._tracker.issue(issue)
        return found.status == "open" and (found.lease_expires or 0) <= time.time()

    def _is_running(self, attempt: str) -> bool:
        return any(one.id == attempt for one in self._tracker.attempts(running=True))

    def _has_reported(self, attempt: str) -> bool:
        with contextlib.suppress(TapeoutError):
            self._tracker.attempt(attempt)
            return True
        return False

    async def _watch_signals(self) -> None:
        """First signal: a clean stop. Second: workers are killed, and their work is salvaged."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                if self._state.stopping:
                    self._cancel_jobs(kill=True)
                self._state.stopping = True
                self._wake.set()

    def _end_over_budget(self, plan: Plan, tasks: anyio.abc.TaskGroup) -> None:
        """Have workers end for whose lane, or for all of whom, a budget is used up: once each."""
        new = [attempt for attempt in plan.end if attempt not in self._state.ending]
        if new and not self._state.stopping:
            self._state.ending.update(new)
            tasks.start_soon(self._end_workers, new)

    async def _end_workers(self, attempts: list[str]) -> None:
        for attempt in attempts:
            self._executor.cancel(attempt)
        await anyio.sleep(STOP_SECONDS)
        for attempt in attempts:
            self._executor.cancel(attempt, kill=True)

    async def _stop_workers(self) -> None:
        self._cancel_jobs(kill=False)
        await anyio.sleep(STOP_SECONDS)
        self._cancel_jobs(kill=True)

    def _cancel_jobs(self, *, kill: bool) -> None:
        for job in list(self._executor.running()):
            if not job.startswith(SALVAGE):
                self._executor.cancel(job, kill=kill)

    def _sleep_seconds(self, plan: Plan) -> float:
        wake = self._tracker.next_wake()
        waits = [None if wake is None else wake - time.time(), plan.later, self._admitting.seconds_left()]
        return min([LOOK_SECONDS, *(max(0.05, wait + 0.01) for wait in waits if wait is not None)])


@contextlib.asynccontextmanager
async def open_floor(settings: FloorSettings) -> AsyncIterator[Floor]:
    """A floor with its processes' server; the caller holds the floor's lock."""
    with Tracker.open(settings.paths, "floor") as tracker, Doorbell(settings.paths.bells) as bell:
        async with LocalExecutor("tapeout.floor.preload", settings.paths.logs) as executor:
            yield Floor(settings, tracker, executor, bell)
