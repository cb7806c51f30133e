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
from tapeout.gate.trials import TOGETHER, Runs, Work
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


class Held:
    """A run that goes on until it is let go, as if it had been going on for a while."""

    def __init__(self, runs: Runs, seconds: float) -> None:
        reading, self._writing = os.pipe()
        os.set_inheritable(reading, True)

        def work() -> dict[str, Any]:
            with open(f"/proc/{lander}/fd/{reading}", "rb") as file:
                return {"said": file.read().decode()}

        lander = os.getpid()
        self.run = runs.start(work)
        self.run.begun -= seconds
        self._runs, self._reading = runs, reading

    def end(self) -> None:
        """Let it go, and wait until the lander knows."""
        os.close(self._writing)
        while self.run not in self._runs.ended():
            select.select(self._runs.descriptors(), [], [])
        os.close(self._reading)


def test_a_run_that_began_with_one_that_has_ended_is_waited_for(runs: Runs) -> None:
    one, two, early = Held(runs, 100.0), Held(runs, 99.0), Held(runs, 150.0)
    assert runs.more_soon() == 0.0
    one.end()
    assert 0.0 < runs.more_soon() <= TOGETHER * 100.1, "the second one began within a second of it"
    late = Held(runs, 0.0)
    late.end()
    assert runs.more_soon() > 0.0, "one that began later does not make the second one forgotten"
    two.end()
    assert runs.more_soon() == 0.0, "the one that began long before has its own time"
    early.end()
    assert runs.more_soon() == 0.0


def test_a_run_that_is_expected_is_waited_for_until_it_ends(runs: Runs) -> None:
    one = Held(runs, 0.0)
    runs.expect(one.run, 50.0)
    assert 0.0 < runs.more_soon() <= 50.0
    one.end()
    assert runs.more_soon() == 0.0


def test_a_run_that_is_called_off_is_not_waited_for(runs: Runs) -> None:
    one, two = Held(runs, 100.0), Held(runs, 100.0)
    one.end()
    assert runs.more_soon() > 0.0
    runs.call_off(two.run)
    assert runs.more_soon() == 0.0
