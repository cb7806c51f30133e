"""Floors that have only a git remote in common."""

import os
from pathlib import Path

import pytest

from tapeout.tracker import Tracker
from tests.floor.conftest import CONFIG, Workbench, writes

SHARED = """
[tracker]
remote = "origin"
claims = "shared"
sync = "1s"
"""


@pytest.fixture
def two(bench: Workbench, tmp_path: Path) -> tuple[Workbench, Workbench]:
    """Two clones of one project, each with a floor and a state directory of its own."""
    remote = tmp_path / "remote.git"
    bench.git("init", "-q", "--bare", "-b", "main", str(remote))
    bench.git("remote", "add", "origin", str(remote))
    bench.commit({"tapeout.toml": CONFIG.replace('branch = "main"', 'branch = "main"\npublish = "none"') + SHARED})
    bench.git("push", "-q", "origin", "main")
    bench.git("clone", "-q", str(remote), str(tmp_path / "second"))
    return bench, Workbench(tmp_path / "second", dict(os.environ))


def attempts(bench: Workbench) -> dict[str, list[str]]:
    """Issue to the outcomes of its attempts."""
    with bench.tracker() as tracker:
        return {i.id: [one.outcome or one.state for one in tracker.attempts(i.id)] for i in tracker.issues()}


def test_each_issue_is_worked_on_by_one_of_two_floors(two: tuple[Workbench, Workbench]) -> None:
    first, second = two
    filed = [first.new(f"Issue {number}", writes(f"file-{number}")) for number in range(8)]
    first.run("sync")
    second.run("sync")
    floors = [bench.start("up", "--until-idle", "--workers", "2") for bench in two]
    for floor in floors:
        out, err = floor.communicate(timeout=120)
        assert floor.returncode == 0, out + err
    for bench in (*two, *two):
        bench.run("sync")
    assert attempts(first) == attempts(second) == {issue: ["landed"] for issue in filed}
    for bench in two:
        leases = bench.git("ls-remote", "origin", "refs/tapeout/leases/*")
        assert leases == ""


def test_a_remote_that_cannot_be_reached_begins_nothing_and_says_so(two: tuple[Workbench, Workbench]) -> None:
    first, _ = two
    issue = first.new("Issue", writes("file"))
    os.rename(first.git("remote", "get-url", "origin"), f"{first.root}.away")
    floor = first.start("up", "--plain")
    with Tracker.open(first.paths, "test") as tracker:
        from tapeout.tracker.doorbell import Doorbell

        with Doorbell(first.paths.bells) as bell:
            while not (tracker.issue(issue).lease_owner or "").startswith("nobody"):
                bell.wait(1)
    first.run("stop")
    floor.communicate(timeout=60)
    assert attempts(first) == {issue: []}
    assert "cannot be reached" in first.run("logs").stdout
