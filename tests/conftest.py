"""What every test gets: a private state directory and HOME, and the proof that it left no process behind."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pygit2
import pytest

import tapeout.base.git  # noqa: F401 - it switches flushing on

PATIENCE_SECONDS = 10.0
"""How long what is ending by itself may take, such as the background flush of a command."""


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_flushed() -> Iterator[None]:
    """No test cuts the power, and every flush costs milliseconds: that they happen is tested in a process of its own
    (`base/test_git.py`)."""
    pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def _private_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the machine's user is read or written, and every process that a test started is gone after it."""
    home = tmp_path / "home"
    state = tmp_path / "state"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TAPEOUT_HOME", str(state))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@localhost")
    for name in ("TAPEOUT_ATTEMPT", "TAPEOUT_REPOSITORY", "TAPEOUT_CRASH_AT", "TAPEOUT_CRASH_ONCE"):
        monkeypatch.delenv(name, raising=False)
    yield
    left = _left_behind(str(state))
    assert not left, f"processes left behind: {left}"


def _left_behind(state: str) -> list[str]:
    """Processes that were started with this test's state directory in their environment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = [process for process in psutil.process_iter() if _belongs(process, state)]
        if not found or time.monotonic() > deadline:
            names = [_describe(process) for process in found]
            for process in found:
                process.kill()
            return names
        psutil.wait_procs(found, timeout=0.2)


def _belongs(process: psutil.Process, state: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get("TAPEOUT_HOME") == state
    except (psutil.Error, OSError):
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)
