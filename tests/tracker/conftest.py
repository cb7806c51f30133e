"""A tracker for each test."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pygit2  # noqa: F401 - where it is loaded, a tracker that is closed flushes itself and forks nothing
import pytest

from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tests.tracker.cloning import Clone, Clones, everywhere


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(str(tmp_path / "tracker"))


@pytest.fixture
def tracker(paths: StatePaths) -> Iterator[Tracker]:
    with Tracker.open(paths, "ada") as opened:
        yield opened


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
    return folder


@pytest.fixture
def clones(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clones]:
    clock = itertools.count(2_000_000_000_000, 10)
    monkeypatch.setattr("time.time", lambda: next(clock) / 1000)
    made = tuple(Clone(tmp_path / name, remote) for name in ("ada", "ben", "cleo"))
    yield made  # type: ignore[misc]
    for one in made:
        one.tracker.close()


@pytest.fixture
def shared(clones: Clones) -> Clones:
    """Ada and Ben have exchanged an issue of each; Cleo has not."""
    ada, ben, _ = clones
    ada.tracker.create(Draft("of ada"))
    ben.tracker.create(Draft("of ben"))
    everywhere(ada, ben)
    return clones
