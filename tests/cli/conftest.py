"""A repository, and the `tapeout` command run in it as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tapeout.base.paths import StatePaths, find_repository, state_paths

PROGRAM = os.path.join(os.path.dirname(sys.executable), "tapeout")
ENVELOPE = {"schema", "ok", "data"}
FAILURE = {"schema", "ok", "error"}


class Done:
    """What a command did."""

    def __init__(self, process: "subprocess.CompletedProcess[bytes]") -> None:
        self.code = process.returncode
        self.raw = process.stdout
        self.out = process.stdout.decode(errors="surrogateescape")
        self.err = process.stderr.decode(errors="surrogateescape")

    @property
    def data(self) -> Any:
        """Of the envelope of a success."""
        (line,) = self.out.splitlines()
        envelope = json.loads(line)
        assert envelope.keys() == ENVELOPE
        assert (envelope["schema"], envelope["ok"], self.code, self.err) == (1, True, 0, "")
        return envelope["data"]

    @property
    def error(self) -> dict[str, Any]:
        """Of the envelope of a failure."""
        (line,) = self.out.splitlines()
        envelope = json.loads(line)
        assert envelope.keys() == FAILURE
        assert (envelope["schema"], envelope["ok"], self.err) == (1, False, "")
        error: dict[str, Any] = envelope["error"]
        assert error.keys() - {"details"} == {"code", "exit", "message", "hint"}
        assert error["exit"] == self.code
        assert "\n" not in error["message"]
        return error


class Cli:
    """Runs `tapeout` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        *words: str | bytes,
        stdin: bytes = b"",
        env: Mapping[str, str | None] | None = None,
        cwd: str | Path | None = None,
        program: tuple[str, ...] = (PROGRAM,),
        **options: Any,
    ) -> Done:
        """Run a command to its end."""
        changed = {**os.environ, **(env or {})}
        environment = {name: value for name, value in changed.items() if value is not None}
        standard: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "input": stdin}
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [*program, *words],
            cwd=cwd or self.folder,
            env=environment,
            timeout=60,
            check=False,
            **(standard | options),
        )
        done.stdout, done.stderr = done.stdout or b"", done.stderr or b""
        assert b"Traceback" not in done.stderr + done.stdout
        assert b"internal error" not in done.stderr + done.stdout
        assert b"Exception ignored" not in done.stderr
        return Done(done)

    def new(self, *words: str, **options: Any) -> str:
        """File an issue; its id."""
        identity: str = self("issue", "new", *words, "--json", **options).data["id"]
        return identity

    @property
    def paths(self) -> StatePaths:
        """The state directory of the repository."""
        return state_paths(find_repository(str(self.folder)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
    subprocess.run(["git", "-C", folder, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    return folder


@pytest.fixture
def cli(repository: Path) -> Cli:
    return Cli(repository)


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are started by the hundred: let them keep their compiled modules."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
