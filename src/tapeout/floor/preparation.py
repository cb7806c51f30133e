"""Makes a workspace ready for its agent, and clears up after it: `[workspace] setup` and `teardown`.

Both come from the target branch's `tapeout.toml`, and run in the agent's own sandbox all the same: what they start is
often code of the tree, which an earlier attempt may have changed.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import anyio.to_thread

from tapeout import workspaces
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import open_bare
from tapeout.base.paths import StatePaths
from tapeout.base.processes import Captured
from tapeout.base.sandbox import Confinement, Limits, exceeded, measure, run_confined
from tapeout.config import WorkspaceConfig


class Preparation:
    """Of one workspace."""

    def __init__(
        self,
        wanted: WorkspaceConfig,
        workspace: workspaces.Workspace,
        confinement: Confinement,
        env: Mapping[str, str],
        limits: Limits,
        show: Callable[[str], None],
    ) -> None:
        """
        Args:
            env: the agent's environment.
            show: told each line that the commands print.
        """
        self._wanted = wanted
        self._workspace = workspace
        self._confinement = confinement
        self._env = env
        self._limits = limits
        self._show = show

    async def set_up(self, paths: StatePaths, start: str, stop: Callable[[str], None]) -> None:
        """Prepare the workspace, which is at commit `start`, with what is kept or by running the command.

        Args:
            stop: told why the command failed on the target branch's own tree: then it would for every issue.

        Raises:
            EnvironmentProblem: the command failed.
        """
        command = self._wanted.setup
        if command is None:
            return
        key = ""
        if self._wanted.setup_inputs:
            outputs, path = self._wanted.setup_outputs, self._env.get("PATH", "")
            recipe = workspaces.Recipe(command, self._wanted.setup_inputs, outputs, path)
            key = recipe.key(open_bare(paths.hub), start)
            if await anyio.to_thread.run_sync(workspaces.restore, paths, key, self._workspace):
                return
        self._show(f"setup: {command}")
        untouched = start == self._workspace.base
        problem = _problem(await self._run(command)) and _problem(
            await self._run(command)
        )  # the network may have failed
        if problem:
            reason = f"[workspace] setup {problem}"
            if untouched:
                stop(reason)
            raise EnvironmentProblem(reason, hint="run it by hand in a fresh clone")
        if key and untouched:
            keep = partial(workspaces.keep, paths, key, self._workspace, self._wanted.setup_outputs)
            try:
                await anyio.to_thread.run_sync(keep)
            except OSError as error:
                self._show(f"setup: nothing is kept for later workspaces: {error.strerror or error}")

    async def tear_down(self) -> None:
        """Run the command that clears up; what it says does not count."""
        if self._wanted.teardown is None:
            return
        self._show(f"teardown: {self._wanted.teardown}")
        try:
            problem = _problem(await self._run(self._wanted.teardown))
        except EnvironmentProblem as error:
            problem = error.message
        if problem:
            self._show(f"teardown {problem}")

    async def _run(self, command: str) -> Captured:
        ended = threading.Event()  # a thread cannot be cancelled, but what it runs is looked at ten times a second
        try:
            captured = await anyio.to_thread.run_sync(partial(self._capture, command, ended), abandon_on_cancel=True)
        finally:
            ended.set()
        for line in captured.output.splitlines():
            self._show(line)
        return captured

    def _capture(self, command: str, ended: threading.Event) -> Captured:
        def watch(pids: list[int], output: int) -> str:
            return "was ended" if ended.is_set() else exceeded(measure(pids, output, self._limits), self._limits)

        return run_confined(
            self._confinement,
            ["/bin/sh", "-c", command],
            cwd=self._workspace.code,
            env=self._env,
            timeout=self._wanted.setup_timeout,
            watch=watch,
        )


def _problem(captured: Captured) -> str:
    """How a command failed, one line; empty if it did not."""
    if captured.exit_code == 0 and not captured.stopped:
        return ""
    how = captured.stopped or ("took too long" if captured.timed_out else f"ended with exit code {captured.exit_code}")
    lines = [line.strip() for line in captured.output.splitlines() if line.strip()]
    return f"{how}: {lines[-1][:200]}" if lines else how
