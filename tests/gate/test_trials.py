"""Gate runs in forked processes: what a run inherits must not disturb it."""

import contextlib
import gc
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tapeout.base.git import open_bare
from tapeout.gate.trials import Runs, Work
from tests.gate.site import Site, git


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with Runs(str(tmp_path / "runs.lock")) as made:
        yield made


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Garbage stays until somebody asks for its collection, which may happen at any moment otherwise."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def answer(runs: Runs, work: Work) -> object:
    run = runs.start(work)
    while not runs.ended():
        select.select(runs.descriptors(), [], [])
    return run.answer()


def opened() -> dict[int, str]:
    found: dict[int, str] = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the list itself
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def packs() -> list[int]:
    return [descriptor for descriptor, name in opened().items() if ".pack" in name]


@pytest.mark.usefixtures("uncollected")
def test_what_the_lander_dropped_closes_no_file_of_a_run(site: Site, runs: Runs, tmp_path: Path) -> None:
    """A repository that nobody uses any more is garbage in a cycle, and closes its packs when it is collected. In a run
    these numbers are other files."""
    git(site.root, "repack", "-qad")
    assert pygit2.Repository(site.repository.git_dir).head.peel(pygit2.Tree)
    highest = max(packs())

    def work() -> dict[str, Any]:
        mine: list[int] = []
        while not mine or mine[-1] < highest:
            mine.append(os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT))
        gc.collect()
        return {"closed": [one for one in mine if one not in opened()]}

    assert answer(runs, work) == {"closed": []}


def test_a_run_reads_on_from_the_packs_of_the_lander(site: Site, runs: Runs) -> None:
    """libgit2 knows each pack once in a process, with the number of its file."""
    hub = open_bare(site.paths.hub)
    assert hub[site.main].peel(pygit2.Tree)
    used = packs()
    assert used

    def work() -> dict[str, Any]:
        return {"open": [one for one in used if ".pack" in opened().get(one, "")]}

    assert answer(runs, work) == {"open": used}
