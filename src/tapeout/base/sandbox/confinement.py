"""How whoever starts a program lets it be confined, without knowing by what."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured, File, Watch, run_captured
from tapeout.base.sandbox.launch import Launch, Sandbox
from tapeout.base.sandbox.nothing import Nothing
from tapeout.base.sandbox.policy import Policy


class Confinement(Protocol):
    """Turns a command into one that runs confined."""

    def launch(self, argv: Sequence[str], cwd: str) -> AbstractContextManager[Launch]:
        """How to start it; to be left when the program has ended."""
        ...


@dataclass(frozen=True)
class Confined:
    """Programs run in a sandbox, all under one policy."""

    sandbox: Sandbox
    policy: Policy

    def launch(self, argv: Sequence[str], cwd: str) -> AbstractContextManager[Launch]:
        """As any confinement."""
        return self.sandbox.launch(self.policy, argv, cwd)


UNCONFINED: Confinement = Confined(Nothing(), Policy())
"""Programs run with our rights."""


class SandboxFailed(EnvironmentProblem):
    """The sandbox could not be set up: the program never ran."""


def run_confined(
    confinement: Confinement,
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout: float,
    keep: int = 262_144,
    stdin: File = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    watch: Watch | None = None,
) -> Captured:
    """Run a command to its end, confined; otherwise as `base.processes.run_captured`.

    Args:
        cwd: the folder in which it runs, which may exist in the sandbox only.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
        SandboxFailed: the sandbox could not be set up.
    """
    with confinement.launch(argv, cwd) as launch:
        captured = run_captured(
            launch.argv,
            cwd=cwd if os.path.isdir(cwd) or not launch.contained else os.sep,
            env=env,
            timeout=timeout,
            keep=keep,
            stdin=stdin,
            before_exec=launch.before_exec,
            pass_fds=(*launch.pass_fds, *pass_fds),
            watch=watch,
            contained=launch.contained,
        )
        if problem := launch.problem(captured.exit_code, captured.output):
            raise SandboxFailed(f"the sandbox cannot be set up: {problem}", hint="`tapeout doctor` tries it")
        return captured._replace(stopped=captured.stopped or launch.refused())
