"""A small repository with a gate, and the `tapeout` command on it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tapeout.base.paths import StatePaths, find_repository, state_paths
from tapeout.tracker import Tracker

TAPEOUT = [sys.executable, "-m", "tapeout"]
LIMIT_SECONDS = 120.0

CONFIG = """
[project]
branch = "main"

[floor]
agent = "scripted"
workers = 4
interruptions = 20
start_timeout = "20s"

[[check]]
name = "sound"
kind = "custom"
run = "test ! -e broken && echo sound"
timeout = "20s"
"""


def step(**fields: Any) -> str:
    """One step of a script."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join(["[[turn.step]]", *lines])


def turn(*steps: str, session: int | None = None) -> str:
    """One turn of a script."""
    head = ["[[turn]]"] + ([f"session = {session}"] if session is not None else [])
    return "\n".join([*head, *steps])


def script(*turns: str) -> str:
    """A body with a script for the scripted agent."""
    return "\n".join(["Do it.", "", "```tapeout-script", *turns, "```"])


def writes(name: str, text: str = "done\n") -> str:
    """A script that writes a file and commits it."""
    return script(turn(step(write=name, text=text), step(commit=f"Write {name}"), step(say="Done.")))


class Workbench:
    """A user's repository and the command, as a user has them."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment
        self.command = TAPEOUT
        self.started: list[subprocess.Popen[str]] = []

    @property
    def paths(self) -> StatePaths:
        return state_paths(find_repository(str(self.root)))

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "Change") -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def start(self, *words: str, **extra: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self.command, *words], cwd=self.root, env={**self.environment, **extra}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        """Stop what a failed test left running, so that it does not disturb the next one."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def run(self, *words: str, code: int = 0, **extra: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*words, **extra)
        out, err = process.communicate(timeout=LIMIT_SECONDS)
        done = subprocess.CompletedProcess(words, process.returncode, out, err)
        assert done.returncode == code, f"exit {done.returncode}\n{out[-4000:]}\n{err[-2000:]}"
        assert "Traceback" not in out + err
        return done

    def data(self, *words: str, code: int = 0) -> Any:
        envelope = json.loads(self.run(*words, "--json", code=code).stdout)
        return envelope["data"] if envelope["ok"] else envelope["error"]

    def new(self, title: str, body: str = "", *words: str) -> str:
        return str(self.data("issue", "new", title, "--body", body, *words)["id"])

    def up(self, *words: str, code: int = 0, **extra: str) -> "subprocess.CompletedProcess[str]":
        return self.run("up", "--until-idle", *words, code=code, **extra)

    def issue(self, identity: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.data("issue", "show", identity)
        return shown

    def tracker(self) -> Tracker:
        return Tracker.open(self.paths, "test")

    @property
    def hub(self) -> pygit2.Repository:
        return pygit2.Repository(self.paths.hub)

    def landings(self) -> dict[str, int]:
        """Issue to how many commits of main say that they land it."""
        found: dict[str, int] = {}
        commit = self.hub.branches["main"].peel(pygit2.Commit)
        while True:
            for line in commit.message.splitlines():
                if line.startswith("Tapeout-Issue: "):
                    issue = line.removeprefix("Tapeout-Issue: ")
                    found[issue] = found.get(issue, 0) + 1
            if not commit.parents:
                return found
            commit = commit.parents[0]


@pytest.fixture
def bench(tmp_path: Path, _private_state: None) -> Iterator[Workbench]:
    """A repository with one commit that holds `tapeout.toml`."""
    root = tmp_path / "project"
    root.mkdir()
    workbench = Workbench(root, dict(os.environ))
    workbench.git("init", "-q", "-b", "main")
    workbench.commit({"tapeout.toml": CONFIG, "README.md": "hello\n"}, "Start")
    yield workbench
    workbench.close()
