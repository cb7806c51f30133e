"""A tracker for each test."""

from collections.abc import Iterator
from pathlib import Path

import pygit2  # noqa: F401 - where it is loaded, a tracker that is closed flushes itself and forks nothing
import pytest

from tapeout.base.paths import StatePaths
from tapeout.tracker import Tracker


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(str(tmp_path / "tracker"))


@pytest.fixture
def tracker(paths: StatePaths) -> Iterator[Tracker]:
    with Tracker.open(paths, "ada") as opened:
        yield opened
