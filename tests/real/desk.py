"""A place for a real agent to work in: a repository, a home, a scripted model, and what is heard of its sessions."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import psutil

from tapeout import agents, workspaces
from tapeout.base.processes import become_subreaper, end_descendants
from tapeout.base.sandbox import UNCONFINED, Confined, Confinement, Sandbox
from tapeout.config import AgentConfig, CheckConfig, Config
from tapeout.floor.confines import Surroundings, agent_policy
from tests.real.library import git


class Screen:
    """A terminal recording that nobody watches."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def line(self, text: str) -> None:
        """Forget it."""


class Desk:
    """The agent as a user's configuration names it, in an empty repository."""

    def __init__(self, folder: Path, agent: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """
        Args:
            folder: to be made.
            agent: its name in Tapeout's catalog.
            command: how to call its program.
            environment: the variables that point it to its home and its model.
        """
        self.code = folder / "code"
        self.code.mkdir(parents=True)
        git(self.code, "init", "--quiet")
        git(self.code, "commit", "--quiet", "--allow-empty", "--message=Start")
        for private in ("tmp", "home"):
            (folder / private).mkdir()
        self._workspace = workspaces.Workspace("desk", str(folder), "", "")
        self._sandbox: Sandbox | None = None
        self._env = {"PATH": os.environ["PATH"], "TERM": "dumb", "TMPDIR": str(folder / "tmp")}
        self._agent = agent
        self._config = AgentConfig(command=command, env=dict(environment))
        self._transcript = folder / "transcript.jsonl"
        self.updates: list[agents.Update] = []
        self.listeners: list[Callable[[agents.Update], None]] = []
        become_subreaper()
        self._before = {child.pid for child in psutil.Process().children(recursive=True)}

    def open(self, *, mode: str | None = None, **options: Any) -> AbstractAsyncContextManager[agents.Session]:
        """A session in the repository."""
        own = self._config.model_copy(update={"mode": mode})
        check = (CheckConfig(name="none", run="true"),)
        config = Config(agents={self._agent: own}, check=check)
        spec, confinement = self._in_sandbox(agents.resolve(self._agent, config), config)
        return agents.open_session(
            spec,
            confinement=confinement,
            cwd=str(self.code),
            env=self._env,
            on_update=self._hear,
            transcript=agents.Transcript(str(self._transcript)),
            terminal=Screen(),
            **options,
        )

    def confine(self, sandbox: Sandbox) -> None:
        """From now on the agent works in a sandbox as a worker's does, with a copy of its login in a private home."""
        self._sandbox = sandbox

    def _in_sandbox(self, spec: agents.AgentSpec, config: Config) -> tuple[agents.AgentSpec, Confinement]:
        if self._sandbox is None:
            return spec, UNCONFINED
        env, place = agents.session_environment(spec, self._env), self._workspace
        if not os.listdir(place.home):
            workspaces.fill_home(env["HOME"], place.home, (*spec.home, "~/.gitconfig"))
        around = Surroundings(env["HOME"], place.root + "-state", ())
        replaces = self._sandbox.replaces_folders
        confines = agent_policy(spec, place, env, config=config, around=around, replaces=replaces)
        spec = dataclasses.replace(spec, env={**spec.env, **confines.env})
        return spec, Confined(self._sandbox, confines.policy)

    async def play(self, *prompts: str) -> list[agents.TurnResult]:
        """One session with these prompts."""
        async with self.open() as session:
            return [await session.prompt(prompt) for prompt in prompts]

    async def kill(self) -> None:
        """SIGKILL to the agent's process, and to nothing that it started."""
        for child in psutil.Process().children():
            if child.pid not in self._before:
                child.kill()
        await anyio.lowlevel.checkpoint()

    def reap(self) -> None:
        """End what agents left running, as a worker does."""
        end_descendants(grace=0, keep=self._before)

    def of(self, kind: type[Any]) -> list[Any]:
        """Updates of one kind."""
        return [update for update in self.updates if isinstance(update, kind)]

    @property
    def log(self) -> list[str]:
        """Subjects of the commits, oldest first."""
        return git(self.code, "log", "--reverse", "--format=%s").splitlines()

    def _hear(self, update: agents.Update) -> None:
        self.updates.append(update)
        for listener in self.listeners:
            listener(update)


def commit(word: str) -> str:
    """A command that changes a file and commits it."""
    return f"echo {word} >> words && git add words && git commit --quiet --message {word}"
