"""`tapeout queue` and `tapeout status` stay short however much waits."""

import json
import subprocess

import pytest

from tapeout.base.git import ensure_bare
from tapeout.base.paths import find_repository, state_paths
from tapeout.tracker import Draft, Tracker
from tests.cli.conftest import Cli

WAITING = 60


@pytest.fixture
def many(cli: Cli) -> Cli:
    """A repository in whose queue many changes wait, each in the hands of an attempt."""
    subprocess.run(["git", "-C", cli.folder, "commit", "-q", "--allow-empty", "-m", "Start"], check=True)
    paths = state_paths(find_repository(str(cli.folder)))
    ensure_bare(paths.hub)
    with Tracker.open(paths, "test") as tracker:
        for number in range(WAITING):
            issue = tracker.create(Draft(f"Number {number} " + "long " * 40))
            lease = tracker.claim(issue.id, owner=f"a{number}")
            tracker.start_attempt(lease, f"a{number}", agent="scripted", host="here", pid=1, pid_started=0.0)
            tracker.submit(lease, f"a{number}", commit=f"{number:040x}", base="0" * 40)
    return cli


def test_the_queue_is_cut_and_says_so(many: Cli) -> None:
    lines = many("queue").out.splitlines()
    assert lines[0].startswith(f"queue: {WAITING} changes")
    assert lines[-1] == "... and more: --limit 0 shows all (now 50)"
    assert len([line for line in lines if "Number" in line]) == 50
    assert len([line for line in many("queue", "--limit", "0").out.splitlines() if "Number" in line]) == WAITING
    assert len(many("queue", "--json").data["queue"]) == WAITING


def test_why_all_of_them_wait_is_said_once_before_the_titles(many: Cli) -> None:
    out = many("queue", "--limit", "3").out
    assert out.count("start a floor with `tapeout up`") == 1
    assert out.index("start a floor") < out.index("Number")


def test_the_status_is_cut_and_says_where_the_rest_is(many: Cli) -> None:
    lines = many("status").out.splitlines()
    assert len(lines) < 60
    assert f"... and {WAITING - 20} more: `tapeout queue` says more" in lines
    assert f"... and {WAITING - 20} more: `tapeout status --json` has all" in lines
    assert len(json.loads(many("status", "--json").out)["data"]["queue"]) == WAITING
