"""What a killed worker cannot do any more: run `[workspace] teardown`, in the sandbox of its workspace.

What may go wrong: the worker was killed while it ran the command, or this is: it runs again. The workspace is gone or
was never complete: then so is what a `setup` made. The agent is not in the configuration any more, the command fails or
takes long: the work is saved all the same.
"""

import contextlib
import os

import anyio

from tapeout import agents, workspaces
from tapeout.base.errors import NotFound, TapeoutError, cause_of
from tapeout.floor.isolation import Site, attempt_environment, confined
from tapeout.floor.preparation import Preparation
from tapeout.tracker.model import Attempt

TEARDOWN_SECONDS = 60.0
"""Longest time for the command: a floor that is to end waits for it, and it may be what the worker hung in."""


def clear_up(site: Site, attempt: Attempt) -> None:
    """Run the command for an attempt of which no process lives; what it says is added to the attempt's recording."""
    if site.config.workspace.teardown is None:
        return
    try:
        workspace = workspaces.open_workspace(site.paths, attempt.id)
    except NotFound:
        return
    with workspaces.Recorder(os.path.join(site.paths.terminals, f"{attempt.id}.cast")) as recording:
        try:
            anyio.run(_tear_down, site, attempt, workspace, recording)
        except (TapeoutError, OSError, ExceptionGroup) as error:
            recording.line(f"teardown: {cause_of(error)}")


async def _tear_down(
    site: Site, attempt: Attempt, workspace: workspaces.Workspace, recording: workspaces.Recorder
) -> None:
    wanted = site.config.workspace
    wanted = wanted.model_copy(update={"setup_timeout": min(wanted.setup_timeout, TEARDOWN_SECONDS)})
    with contextlib.closing(workspaces.lease_again(os.path.dirname(site.paths.root), workspace.root)) as ports:
        env = attempt_environment(site, attempt, workspace, ports)
        async with confined(agents.resolve(attempt.agent, site.config), workspace, env, site) as room:
            whole = agents.session_environment(room.spec, env)
            await Preparation(wanted, workspace, room.confinement, whole, room.limits, recording.line).tear_down()
