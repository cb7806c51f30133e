"""A worker's sandbox: what its agent sees, writes, reaches and uses up.

An agent writes to its workspace, to a home and to a folder for temporary files of its own. It does not see the user's
home but for the programs on `PATH` and a copy of its own login, nor the user's checkout, nor anything of Tapeout's
state but its workspace.

What may go wrong: there is no sandbox here, or one that cannot do what is asked (`problem_of` says so before any
attempt begins); the agent uses too much (`watch` asks for the end of its session, and says of what it was too much).
"""

import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread

from tapeout import agents, workspaces
from tapeout.base.egress import Filtered, Gateway, allow_list, named_by_urls, proxy_environment
from tapeout.base.git import open_bare
from tapeout.base.paths import DOOR_VARIABLE, Repository, StatePaths
from tapeout.base.proctree import pids_below
from tapeout.base.sandbox import Absence, Confined, Confinement, Limits, Policy, Sandbox, detect, exceeded, measure
from tapeout.base.sandbox.nothing import Nothing
from tapeout.base.sandbox.surroundings import written
from tapeout.base.sandbox.usage import size
from tapeout.config import Config
from tapeout.floor.confines import Confines, Surroundings, agent_policy, door_policy, limits_for
from tapeout.floor.door import Door, opened
from tapeout.floor.guards import Cut
from tapeout.floor.preparation import Preparation
from tapeout.tracker.model import Attempt

LOOK_SECONDS = 1.0
"""How often processes and memory are looked at."""

DISK_SHARE = 50
"""Walking a workspace takes at most one part in so many of a worker's time."""


@dataclass(frozen=True)
class Site:
    """Whose worker it is."""

    config: Config
    paths: StatePaths
    repository: Repository


@dataclass(frozen=True)
class Room:
    """Where an agent works."""

    spec: agents.AgentSpec
    """The agent, with the variables that it needs in there."""
    confinement: Confinement
    limits: Limits
    """How much everything in it may use together."""


def sandbox_for(config: Config) -> Sandbox:
    """The sandbox of workers under this configuration; see `problem_of`."""
    found = Absence(("switched off",)) if config.sandbox.use == "off" else detect()
    return found if isinstance(found, Sandbox) else Nothing()


def problem_of(config: Config) -> str:
    """Why no worker can start under this configuration on this machine; empty if they can."""
    wanted = config.sandbox
    if wanted.use == "off":
        return ""
    found = detect()
    if isinstance(found, Absence):
        if wanted.use == "required":
            return f"there is no sandbox here, and [sandbox] use is required: {found.reason}"
        if wanted.network != "all":
            return (
                f"[sandbox] network is {wanted.network}, and there is no sandbox here that could do it: {found.reason}"
            )
        return ""
    if wanted.network != "all" and not found.isolates_network:
        return f"[sandbox] network is {wanted.network}, and {found.name} cannot do it: it needs bubblewrap"
    return ""


def in_layers(spec: agents.AgentSpec, site: Site, commit: str) -> bool:
    """Whether the workspace for an agent at a commit should be a layer; see `workspaces.create`."""
    wanted = site.config.workspace.overlay
    sandbox = sandbox_for(site.config)
    # A program named by a path of the workspace is looked for from outside.
    if wanted == "never" or not sandbox.overlays or (os.sep in spec.command[0] and not os.path.isabs(spec.command[0])):
        return False
    known = wanted == "always" or workspaces.layers_exist(site.paths)
    if not known and not workspaces.is_large(open_bare(site.paths.hub), commit):
        return False
    return workspaces.layers_work(site.paths, sandbox)


def attempt_environment(
    site: Site, attempt: Attempt, workspace: workspaces.Workspace, ports: workspaces.PortLease
) -> dict[str, str]:
    """The environment of all that runs for an attempt, but for what its agent adds."""
    settings = workspaces.Settings(
        attempt=attempt.id,
        issue=attempt.issue,
        number=attempt.number,
        tmp=workspace.tmp,
        repository=site.repository.root,
        home=os.path.dirname(site.paths.root),
        port_base=ports.base,
        port_count=ports.count,
    )
    return workspaces.environment(os.environ, settings)


@contextlib.asynccontextmanager
async def isolated(
    spec: agents.AgentSpec,
    workspace: workspaces.Workspace,
    env: Mapping[str, str],
    site: Site,
    *,
    start: str,
    show: Callable[[str], None],
    cut: Callable[[Cut], None],
    stop: Callable[[str], None],
) -> AsyncIterator[Room]:
    """A sandbox for the agent of a workspace, and the workspace made ready, for the time of the block.

    Args:
        env: the attempt's environment, to which the agent's own variables are added.
        start: the commit that the workspace is at.
        show: told each line that the commands of `[workspace]` print.
        cut: told when the agent uses more than it may.
        stop: told why no workspace can be prepared, when that is so.

    Raises:
        EnvironmentProblem: its private home cannot be made, or `setup` failed.
    """
    await furnish(spec, workspace, env, site.config)
    async with (
        confined(spec, workspace, env, site) as bare,
        _way_to_tracker(spec, workspace, env, site) as asking,
    ):
        room = dataclasses.replace(bare, spec=dataclasses.replace(bare.spec, env={**bare.spec.env, **asking}))
        whole = agents.session_environment(room.spec, env)
        preparation = Preparation(site.config.workspace, workspace, room.confinement, whole, room.limits, show)
        try:
            await preparation.set_up(site.paths, start, stop)
            async with watched(room, workspace, site.config, cut):
                yield room
        finally:
            with anyio.CancelScope(shield=True):
                await preparation.tear_down()


async def furnish(
    spec: agents.AgentSpec, workspace: workspaces.Workspace, env: Mapping[str, str], config: Config
) -> None:
    """Put into the private home of a new workspace what its agent needs of the user's.

    Raises:
        EnvironmentProblem: it cannot be copied.
    """
    if isinstance(sandbox_for(config), Nothing):
        return
    home = agents.session_environment(spec, env).get("HOME", "")
    await anyio.to_thread.run_sync(workspaces.fill_home, home, workspace.home, (*spec.home, *config.sandbox.home))


@contextlib.asynccontextmanager
async def confined(
    spec: agents.AgentSpec, workspace: workspaces.Workspace, env: Mapping[str, str], site: Site
) -> AsyncIterator[Room]:
    """The sandbox of a furnished workspace, with what of the network may be reached from it; without a way to the
    tracker."""
    config, sandbox = site.config, sandbox_for(site.config)
    if isinstance(sandbox, Nothing):
        confines = Confines(Policy(limits=limits_for(config)))
    else:
        full = agents.session_environment(spec, env)
        around, replaces = _surroundings(full, site), sandbox.replaces_folders
        confines = agent_policy(spec, workspace, full, config=config, around=around, replaces=replaces)
    async with _way_out(Confined(sandbox, confines.policy), spec, env, config) as (confinement, proxied):
        known = dataclasses.replace(spec, env={**spec.env, **confines.env, **proxied})
        yield Room(known, confinement, confines.policy.limits)


@contextlib.asynccontextmanager
async def watched(
    room: Room, workspace: workspaces.Workspace, config: Config, cut: Callable[[Cut], None]
) -> AsyncIterator[None]:
    """Somebody looks at what the agent uses, for the time of the block; see `watch`."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, room.limits, config.sandbox.disk, workspace.root, cut)
        yield
        tasks.cancel_scope.cancel()


def _surroundings(env: Mapping[str, str], site: Site) -> Surroundings:
    checkout = (site.repository.root, site.repository.git_dir)
    return Surroundings(env.get("HOME", ""), os.path.dirname(site.paths.root), checkout)


@contextlib.asynccontextmanager
async def _way_to_tracker(
    spec: agents.AgentSpec, workspace: workspaces.Workspace, env: Mapping[str, str], site: Site
) -> AsyncIterator[Mapping[str, str]]:
    """The variables by which a `tapeout` command in the sandbox finds its way to the tracker."""
    sandbox = sandbox_for(site.config)
    if isinstance(sandbox, Nothing):
        yield {}
        return
    around = _surroundings(agents.session_environment(spec, env), site)
    policy = door_policy(workspace, site.paths, site.config, around, env.get("PATH", ""))
    over = Confined(sandbox, policy) if policy.overlays else None
    plain = Confined(sandbox, dataclasses.replace(policy, overlays=()))
    door = Door(plain, {**env, "HOME": workspace.home}, (workspace.tmp, workspace.code), over)
    async with opened(door, workspace.tmp) as path:
        yield {DOOR_VARIABLE: path}


@contextlib.asynccontextmanager
async def _way_out(
    confined: Confined, spec: agents.AgentSpec, env: Mapping[str, str], config: Config
) -> AsyncIterator[tuple[Confinement, Mapping[str, str]]]:
    """The confinement with what it may reach of the network, and the variables that programs need for that."""
    wanted = config.sandbox
    if wanted.network in {"all", "none"} or isinstance(confined.sandbox, Nothing):
        yield confined, {}
        return
    model = (*spec.hosts, *named_by_urls(agents.session_environment(spec, env)))
    gateway = Gateway(allow_list([*model, *(wanted.allow if wanted.network == "list" else ())]))
    try:
        yield Filtered(confined, gateway), proxy_environment(gateway.proxy_port)
    finally:
        with anyio.CancelScope(shield=True):
            await gateway.close()


async def watch(limits: Limits, disk: int, folder: str, cut: Callable[[Cut], None]) -> None:
    """Look at what the descendants of this process use, and at what a folder takes on the disk, until it is too much.

    Args:
        disk: bytes that the folder may take.
    """
    walk_next = 0.0
    while True:
        await anyio.sleep(LOOK_SECONDS)
        reason = _over_limits(limits)
        if not reason and anyio.current_time() >= walk_next:
            begun = anyio.current_time()
            taken = await anyio.to_thread.run_sync(written, folder)
            walk_next = anyio.current_time() + DISK_SHARE * (anyio.current_time() - begun)
            reason = f"was killed for filling its workspace: it holds {size(taken)}" if taken > disk else ""
        if reason:
            cut(Cut("budget", f"the agent {reason}", hard=True))
            return


def _over_limits(limits: Limits) -> str:
    return exceeded(measure(pids_below(os.getpid())[1:], 0, limits), limits)
