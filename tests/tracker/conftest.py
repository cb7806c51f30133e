"""A state directory for each test, and the promise that no process outlives it."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pygit2  # noqa: F401 - where it is loaded, a tracker flushes when it is closed instead of leaving that to a process
import pytest

from tapeout.base.paths import StatePaths
from tapeout.base.processes import become_subreaper, end_descendants
from tapeout.tracker import Tracker


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "TAPEOUT_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    become_subreaper()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    names = [" ".join(child.cmdline()) for child in left if child.status() != psutil.STATUS_ZOMBIE]
    end_descendants(grace=0, keep=before)
    assert not names, f"processes were left: {names}"


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(str(tmp_path / "state"))


@pytest.fixture
def tracker(paths: StatePaths) -> Iterator[Tracker]:
    with Tracker.open(paths, "ada") as opened:
        yield opened
