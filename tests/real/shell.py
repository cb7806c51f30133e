"""A person at a shell in the repository: the public command line, and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import PATIENCE_SECONDS


class Shell:
    """Runs `tapeout` in a repository, with a state directory of its own."""

    def __init__(self, repository: Path, state: Path) -> None:
        self._repository = repository
        self._state = state
        self._env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._env["TAPEOUT_HOME"] = str(state)

    def tapeout(self, *words: str) -> str:
        """What a command prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            self._command(words), cwd=self._repository, env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"tapeout {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *words: str) -> Any:
        """The data of a command's JSON envelope."""
        envelope = json.loads(self.tapeout(*words, "--json"))
        assert envelope["ok"] is True
        return envelope["data"]

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command that goes on for a while."""
        return subprocess.Popen(self._command(words), cwd=self._repository, env=self._env, stdout=subprocess.DEVNULL)

    def issues(self) -> list[dict[str, Any]]:
        """All issues, each as `tapeout issue show` has it."""
        listed = self.ask("issue", "list", "--status", "all", "--limit", "0")
        return [self.ask("issue", "show", issue["id"]) for issue in listed]

    def processes(self) -> list[psutil.Process]:
        """What runs of this state directory: floor, workers, gates, agents and whatever they started."""
        return [process for process in psutil.process_iter() if _environment(process) == str(self._state)]

    def left_running(self) -> list[psutil.Process]:
        """What still runs of it after what ends by itself has had the time to, such as the background flush of a
        command."""
        return psutil.wait_procs(self.processes(), timeout=PATIENCE_SECONDS)[1]

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "tapeout", *words]


def _environment(process: psutil.Process) -> str | None:
    try:
        environment: Mapping[str, str] = process.environ()
    except psutil.Error:
        return None
    return environment.get("TAPEOUT_HOME")
