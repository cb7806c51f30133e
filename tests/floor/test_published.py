"""What lands reaches the user's branch, whatever is stopped or killed while it is published, and nothing is left behind
in the user's repository that is in anybody's way."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tapeout.base.faults import CRASH_VARIABLE, ONCE_VARIABLE
from tapeout.tracker.doorbell import Doorbell
from tests.floor.conftest import Workbench, script, step, turn, writes
from tests.floor.test_kills import kill, wait_for

POINTS = ["begun", "fetched", "locked", "merged", "indexed", "unnoted"]


class Gated:
    """A user's repository in which git stops in the middle of writing the work tree: at a filter that waits.

    `README.md` is written before it, in the order of names; `landed.txt` is the file that it stops at, `zoo.txt` comes
    after it, and the filter holds `index.lock`, git's or ours.
    """

    def __init__(self, bench: Workbench, folder: Path) -> None:
        self.bench = bench
        self.reached, self.leave = folder / "reached", folder / "leave"
        os.mkfifo(self.reached)
        os.mkfifo(self.leave)
        self.switch = folder / "slow"
        bench.git("config", "filter.slow.clean", "cat")
        stops = (
            f"if mv {self.switch} {self.switch}.used 2>/dev/null; then echo > {self.reached}; read x < {self.leave}; fi"
        )
        bench.git("config", "filter.slow.smudge", f"{stops}; cat")
        bench.commit({".gitattributes": "landed.txt filter=slow\n", "old.txt": "old\n"})
        self.switch.touch()

    def issue(self) -> str:
        """An issue whose change edits, adds and removes."""
        steps = (
            step(write="README.md", text="hello\nlanded\n"), step(write="landed.txt", text="landed\n"),
            step(write="zoo.txt", text="zoo\n"), step(run="git rm -q old.txt"), step(commit="Change all"),
        )  # fmt: skip
        return self.bench.new("Change all", script(turn(*steps)))

    def wait(self) -> None:
        """Until git has come to the filter."""
        self.reached.read_text()

    def go_on(self) -> None:
        """Let the filter, and so git, finish."""
        self.leave.write_text("\n")

    def publisher(self) -> psutil.Process:
        """The process whose git has stopped."""
        git = self.git()
        parent = git.parent()
        assert parent is not None
        return parent

    def git(self) -> psutil.Process:
        """The git that has stopped."""
        return next(process for process in psutil.process_iter() if self._merges(process))

    def _merges(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.cwd() == str(self.bench.root) and "merge" in process.cmdline()
        return False


@pytest.fixture
def gated(bench: Workbench, tmp_path: Path) -> Gated:
    return Gated(bench, tmp_path)


def assert_published(bench: Workbench) -> None:
    """The user's main is what landed, its work tree is clean, and git finds nothing in its way."""
    assert bench.git("rev-parse", "main") == str(bench.hub.branches["main"].target)
    assert bench.git("status", "--porcelain") == ""
    assert_nothing_left(bench)
    assert bench.data("status")["unpublished"] is None


def assert_nothing_left(bench: Workbench) -> None:
    names = {path.name for path in (bench.root / ".git").rglob("*")}
    assert not {name for name in names if name.endswith(".lock") or name in ("tapeout-publishing", "tapeout-index")}
    bench.git("add", "--all")  # takes the lock of the index
    bench.git("fsck", "--no-dangling")


# Each of these goes on after the kill. They are how a floor goes on, is stopped normally, or is started again.


def goes_on(bench: Workbench, floor: "subprocess.Popen[str]") -> None:
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: tracker.unpublished() is None)
        assert bench.git("rev-parse", "main") == str(bench.hub.branches["main"].target), "while the floor runs"
        assert tracker.queue_stopped() is None
    stopped(bench, floor)


def stopped(bench: Workbench, floor: "subprocess.Popen[str]") -> None:
    os.kill(floor.pid, signal.SIGTERM)  # as `tapeout stop` does
    os.kill(floor.pid, signal.SIGCONT)
    out, err = floor.communicate(timeout=60)
    assert floor.returncode == 0, out + err


def started_again(bench: Workbench, floor: "subprocess.Popen[str]") -> None:
    kill(floor.pid)
    floor.communicate()
    bench.up()


def published_by_hand(bench: Workbench, floor: "subprocess.Popen[str]") -> None:
    kill(floor.pid)
    floor.communicate()
    assert "landed, but not published: publishing was cut off" in bench.run("status").stdout
    bench.run("publish")


Next = Callable[[Workbench, "subprocess.Popen[str]"], None]
NEXT = [goes_on, stopped, started_again]


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("at", POINTS)
def test_a_publisher_killed_at_any_step_is_replaced(bench: Workbench, tmp_path: Path, at: str, then: Next) -> None:
    issue = bench.new("First", writes("first.txt"))
    flag = tmp_path / "crashed"
    floor = bench.start("up", **{CRASH_VARIABLE: f"publish.{at}", ONCE_VARIABLE: str(flag)})
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: flag.exists() and tracker.issue(issue).status == "closed")

    then(bench, floor)

    assert (bench.root / "first.txt").read_text() == "done\n"
    assert_published(bench)
    assert bench.landings() == {issue: 1}


@pytest.mark.parametrize("then", [*NEXT, published_by_hand])
def test_a_publisher_killed_while_git_writes_the_files_is_replaced(gated: Gated, then: Next) -> None:
    bench = gated.bench
    gated.issue()
    floor = bench.start("up")
    gated.wait()
    assert (bench.root / ".git" / "index.lock").exists()
    assert (bench.root / "README.md").read_text() == "hello\nlanded\n", "half way"
    if then is not goes_on:
        os.kill(floor.pid, signal.SIGSTOP)  # it must not replace the publisher before it is its turn
    kill(gated.publisher().pid)

    then(bench, floor)

    assert (bench.root / "landed.txt").read_text() == "landed\n"
    assert not (bench.root / "old.txt").exists()
    assert_published(bench)


def test_a_stop_lets_git_finish(gated: Gated) -> None:
    gated.issue()
    floor = gated.bench.start("up", "--json")
    gated.wait()
    gate = gated.publisher()
    os.kill(floor.pid, signal.SIGTERM)
    os.kill(gate.pid, signal.SIGTERM)  # as the floor does; twice makes no difference
    with contextlib.suppress(psutil.TimeoutExpired):
        gate.wait(0.5)  # an end that must not come
    assert gate.is_running()
    gated.go_on()
    out, _ = floor.communicate(timeout=60)
    assert json.loads(out)["data"]["unpublished"] is None
    assert_published(gated.bench)


def test_what_could_not_be_published_at_a_stop_is_told_and_done_by_hand(bench: Workbench) -> None:
    (bench.root / "README.md").write_text("mine\n")
    issue = bench.new("First", writes("first.txt"))
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: tracker.issue(issue).status == "closed")
    stopped(bench, floor)
    assert "landed, but not published:" in (told := bench.run("status").stdout)
    assert "has uncommitted changes on main" in told
    assert "has uncommitted changes" in bench.data("status")["unpublished"]
    assert (bench.root / "README.md").read_text() == "mine\n"

    bench.git("checkout", "--quiet", "README.md")
    bench.run("publish")

    assert_published(bench)
    assert "not published" not in bench.run("status").stdout
