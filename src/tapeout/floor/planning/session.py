"""A planner at work: a throw-away workspace, an agent, its file; what is wrong goes back to it, at most twice.

Nothing of the workspace is kept but the one file. What the planner says is in a transcript that nobody decides by.
"""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import anyio
import anyio.to_thread

from tapeout import agents, workspaces
from tapeout.base import locks, processes
from tapeout.base.errors import EnvironmentProblem, UsageError, cause_of
from tapeout.base.faults import point
from tapeout.base.ids import new_id
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import Config, LaneConfig
from tapeout.floor.context.limits import LimitRules
from tapeout.floor.context.meter import ContextMeter
from tapeout.floor.isolation import Site, confined, furnish, problem_of, watched
from tapeout.floor.planning.prompts import PLAN_FILE, mending_prompt
from tapeout.floor.planning.proposal import MOST_BYTES
from tapeout.floor.supervision import Supervisor
from tapeout.workspaces.files import delete, read_file

MENDINGS = 2
"""How often a file that was refused goes back to the session: repair gains come mostly in the first two rounds
(arXiv 2604.10508)."""

PREFIX = "plan-"
"""Of the names of planners' workspaces: no attempt has one like it."""


@dataclass(frozen=True)
class PlanRequest:
    """Who shall plan what."""

    paths: StatePaths
    repository: Repository
    """The user's, which the planner does not see."""
    config: Config
    """That of the target branch."""
    base: str
    """Commit of the hub that the planner sees."""
    agent: str
    prompt: str
    check: Callable[[bytes], object]
    """Raises `UsageError`, with all problems as its `details`, where a file is no plan."""


class Refused(UsageError):
    """The planner wrote no plan that could be filed, and was told so as often as it may be (exit code 2)."""

    def __init__(self, message: str, content: bytes | None, details: object = None) -> None:
        super().__init__(message, details=details)
        self.content = content
        """What it wrote last, if it could be read."""


async def propose(request: PlanRequest) -> tuple[str, bytes]:
    """Let an agent plan; the plan's name and the content of its file, which `request.check` accepts.

    Raises:
        Refused: what it wrote was no plan, or it wrote nothing.
        AgentError: the agent died, or could not be started; see `tapeout.agents.errors`.
        EnvironmentProblem: it took too long, or there is no room for a workspace, or no sandbox as it is configured; or
            we were told to stop.
    """
    if problem := problem_of(request.config):
        raise EnvironmentProblem(problem)
    await anyio.to_thread.run_sync(remove_leftovers, request.paths)
    identity = f"{PREFIX}{new_id()}"
    content: bytes | None = None
    with _marked(request.paths, identity), anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_on_signal, signals, tasks.cancel_scope)
                content = await _plan(request, identity)
                tasks.cancel_scope.cancel()
        except ExceptionGroup as error:
            raise cause_of(error) from error
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_clean, request.paths, identity)
    if content is None:
        raise EnvironmentProblem("planning was stopped", hint="nothing was filed")
    return identity, content


async def _stop_on_signal(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
        return


async def _plan(request: PlanRequest, identity: str) -> bytes:
    """The turns of the session, until its file is accepted."""
    supervisor = _supervisor(request)
    text = request.prompt
    async with _session(request, identity, supervisor) as (session, workspace):
        for left in reversed(range(MENDINGS + 1)):
            with anyio.move_on_after(request.config.floor.turn_timeout) as turn:
                await supervisor.turn(session, text)
            point("plan.turn")
            content = await anyio.to_thread.run_sync(read_file, os.path.join(workspace.code, PLAN_FILE), MOST_BYTES)
            problems = _problems(request, content)
            if not problems:
                assert content is not None
                return content
            _refuse_if_over(supervisor, turn, left, problems, content)
            text = mending_prompt(problems, left - 1)
    raise AssertionError("the last turn either returns or raises")


def _problems(request: PlanRequest, content: bytes | None) -> list[str]:
    if content is None:
        return [f"there is no file {PLAN_FILE} of at most {MOST_BYTES:,} bytes (a link or a pipe is none)"]
    try:
        request.check(content)
    except UsageError as error:
        return [str(one) for one in error.details] if isinstance(error.details, list) else [error.message]
    return []


def _refuse_if_over(
    supervisor: Supervisor, turn: anyio.CancelScope, left: int, problems: list[str], content: bytes | None
) -> None:
    """End the session where it cannot go on.

    Raises:
        Refused: it cannot; says why.
    """
    if turn.cancelled_caught:
        why = "the planner's turn took too long"
    elif supervisor.cut is not None:
        why = f"the planner was stopped: {supervisor.cut.evidence}"
    elif left == 0:
        why = f"the planner was told {MENDINGS} times what is wrong"
    else:
        return
    raise Refused(f"{why}, and there is no plan: {problems[0]}", content, problems)


def _supervisor(request: PlanRequest) -> Supervisor:
    spec = agents.resolve(request.agent, request.config)
    limits = LimitRules(request.agent, LaneConfig(), request.config).limits("")
    return Supervisor([ContextMeter(limits, agents.expected_window(spec))], note=lambda _: None)


@contextlib.asynccontextmanager
async def _session(
    request: PlanRequest, identity: str, supervisor: Supervisor
) -> AsyncIterator[tuple[agents.Session, workspaces.Workspace]]:
    """The agent, confined as a worker's is, in a fresh workspace that knows of no tracker but its own."""
    paths, config, floor = request.paths, request.config, request.config.floor
    spec = agents.resolve(request.agent, config)
    with contextlib.ExitStack() as resources:
        ports = resources.enter_context(workspaces.lease(os.path.dirname(paths.root)))
        workspace = await anyio.to_thread.run_sync(workspaces.create, paths, identity, request.base)
        await anyio.to_thread.run_sync(delete, os.path.join(workspace.code, PLAN_FILE))
        point("plan.workspace")
        recording = resources.enter_context(workspaces.Recorder(os.path.join(paths.terminals, f"{identity}.cast")))
        transcript = resources.enter_context(agents.Transcript(os.path.join(paths.transcripts, f"{identity}.jsonl")))
        settings = workspaces.Settings(
            attempt=identity,
            issue="",
            number=1,
            tmp=workspace.tmp,
            repository=workspace.code,
            home=os.path.join(workspace.tmp, "tapeout"),
            port_base=ports.base,
            port_count=ports.count,
        )
        env = workspaces.environment(os.environ, settings)
        await furnish(spec, workspace, env, config)
        async with (
            confined(spec, workspace, env, Site(config, paths, request.repository)) as room,
            watched(room, workspace, config, supervisor.take),
            agents.open_session(
                room.spec,
                confinement=room.confinement,
                cwd=workspace.code,
                env=env,
                on_update=supervisor.update,
                transcript=transcript,
                terminal=recording,
                permissions=floor.permissions,
                start_timeout=floor.start_timeout,
            ) as session,
        ):
            yield session, workspace


@contextlib.contextmanager
def _marked(paths: StatePaths, identity: str) -> Iterator[None]:
    """A lock that says that the planner of that name is at work; released by the kernel when we are killed."""
    os.makedirs(paths.workspaces, exist_ok=True)
    lock = _lock_of(paths, identity)
    with locks.attempt(lock):
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(lock)


def _lock_of(paths: StatePaths, identity: str) -> str:
    return os.path.join(paths.workspaces, f".{identity}.lock")


def _clean(paths: StatePaths, identity: str) -> None:
    """End all that the planner started, and delete its workspace; nothing of it is saved."""
    processes.end_marked(workspaces.ATTEMPT_VARIABLE, identity)
    workspaces.remove(paths, identity, save=False)


def remove_leftovers(paths: StatePaths) -> None:
    """Do away with what planners left whose process was killed."""
    try:
        names = os.listdir(paths.workspaces)
    except FileNotFoundError:
        return
    for name in names:
        identity = name.removeprefix(".").removesuffix(".lock")
        if not (identity.startswith(PREFIX) and name == f".{identity}.lock"):
            continue
        with locks.attempt(_lock_of(paths, identity)) as dead:
            if dead:
                _clean(paths, identity)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(_lock_of(paths, identity))
