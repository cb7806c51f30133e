"""How a worker ends when somebody stops it, closes its issue, takes its lease, or breaks the configuration."""

import os
import subprocess
import sys

import pytest

from tapeout.base.paths import find_repository
from tapeout.gate import adopt
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Attempt
from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes
from tests.floor.test_kills import half, wait_for

PLAY = """
import os, signal, sys
from tapeout.floor import turns, worker
where, *arguments = sys.argv[1:]
def point(name):
    if name == where:
        os.kill(os.getpid(), signal.SIGTERM)
worker.point = turns.point = point
worker.main(*arguments)
"""
"""A worker that is asked to stop exactly when it passes a point."""

HANGS = script(turn(step(write="half", text="1"), step(hang=True)))
ATTEMPT = "a-1"


@pytest.fixture
def site(bench: Workbench) -> Workbench:
    """A repository whose hub is there, with short leases."""
    bench.commit({"tapeout.toml": CONFIG.replace("workers = 4", 'workers = 4\nlease = "1s"')})
    bench.up()
    return bench


def start(site: Workbench, issue: str, where: str = "-") -> "subprocess.Popen[bytes]":
    repository = find_repository(str(site.root))
    words = [where, site.paths.root, *repository, "main", issue, ATTEMPT, "scripted", "scripted"]
    return subprocess.Popen([sys.executable, "-c", PLAY, *words], env=site.environment, cwd=site.root)


def ended(site: Workbench, process: "subprocess.Popen[bytes]", code: int = 0) -> Attempt:
    assert process.wait(60) == code
    assert os.listdir(site.paths.workspaces) == [], "the work was brought to the hub"
    with site.tracker() as tracker:
        return tracker.attempt(ATTEMPT)


@pytest.mark.parametrize("where", ["worker.started", "worker.workspace", "worker.prompted"])
def test_a_stop_at_any_step_ends_the_attempt_as_stopped(site: Workbench, where: str) -> None:
    attempt = ended(site, start(site, site.new("Hang", HANGS), where))
    assert (attempt.outcome, attempt.detail) == ("stopped", "stopped by a person")


def test_a_stop_while_the_attempt_is_being_ended_does_not_cut_it_short(site: Workbench) -> None:
    """What it came to counts: here the session failed, and that is not turned into an interruption."""
    site.commit({"tapeout.toml": CONFIG.replace("workers = 4", "refine_rounds = 0")})
    site.up()
    attempt = ended(site, start(site, site.new("Talk", script(turn(step(say="Done.")))), "worker.saved"))
    assert (attempt.outcome, attempt.detail) == ("failed", "the turn ended without a change")


def test_a_worker_whose_issue_is_closed_stops(site: Workbench) -> None:
    issue = site.new("Hang", HANGS)
    worker = start(site, issue)
    with site.tracker() as tracker, Doorbell(site.paths.bells) as bell:
        wait_for(bell, lambda: half(site))
        tracker.close_issue(issue, "wontfix")
    attempt = ended(site, worker)
    assert (attempt.outcome, attempt.detail) == ("stopped", "the issue was closed meanwhile")
    assert "half" in site.hub[attempt.head or ""].tree
    assert site.issue(issue)["comments"] == []


@pytest.mark.parametrize("body", [HANGS, script(turn(step(write="half", text="1"), step(sleep=0.6)))])
def test_a_worker_that_lost_its_lease_saves_the_work_and_writes_nothing_more(site: Workbench, body: str) -> None:
    """It learns so from the next renewal, or from the next thing that it writes."""
    issue = site.new("Mine now", body)
    worker = start(site, issue)
    with site.tracker() as tracker, Doorbell(site.paths.bells) as bell:
        wait_for(bell, lambda: half(site))
        tracker.release_issue(issue, "a person", force=True)
        tracker.claim(issue, "a person")
    attempt = ended(site, worker)
    assert attempt.outcome is None
    assert site.hub.references.get(f"refs/tapeout/attempts/{ATTEMPT}") is not None

    site.up()

    shown = site.issue(issue)
    assert (shown["attempts"][0]["outcome"], shown["attempts"][0]["detail"]) == (
        "interrupted",
        "its lease was taken away",
    )
    assert (shown["lease_owner"], shown["comments"]) == ("a person", [])


def break_config(site: Workbench) -> None:
    """As when a person's commit is adopted while workers run."""
    site.commit({"tapeout.toml": "[floor]\nworkers = 0\n"})
    adopt(site.paths, find_repository(str(site.root)), "main")


def test_an_invalid_configuration_stops_the_queue_and_says_where(site: Workbench) -> None:
    issue = site.new("Write a", writes("a"))
    break_config(site)
    assert start(site, issue).wait(60) == 0
    with site.tracker() as tracker:
        assert ":2: floor.workers:" in (tracker.queue_stopped() or "")
        assert tracker.attempts() == []


def test_work_is_salvaged_under_an_invalid_configuration(site: Workbench) -> None:
    worker = start(site, site.new("Hang", HANGS))
    with Doorbell(site.paths.bells) as bell:
        wait_for(bell, lambda: half(site))
    worker.kill()
    worker.wait()
    break_config(site)
    words = [sys.executable, "-c", "import sys; from tapeout.floor.salvage import main; main(*sys.argv[1:])"]
    subprocess.run(
        [*words, site.paths.root, *find_repository(str(site.root)), "main", ATTEMPT], check=True, env=site.environment
    )
    with site.tracker() as tracker:
        attempt = tracker.attempt(ATTEMPT)
    assert (attempt.outcome, attempt.detail) == ("interrupted", "its worker died")
    assert "half" in site.hub[attempt.head or ""].tree
