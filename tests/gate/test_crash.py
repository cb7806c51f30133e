"""Law 8 for the queue: killed at any step, a rerun lands the change exactly once."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tapeout.base.faults import CRASH_VARIABLE, ONCE_VARIABLE
from tapeout.gate.runs import RUN_VARIABLE
from tests.gate.conftest import MakeSite, needs_bubblewrap
from tests.gate.site import CONFIG, ENV, Site, commit_files

STEPS = ["candidate", "gating", "checked", "verdict", "noted", "moved", "recorded", "published"]
PROGRAM = "import sys; from tapeout.gate.job import main; main(*sys.argv[1:])"


def start_job(site: Site, **extra: str) -> "subprocess.Popen[bytes]":
    arguments = [site.paths.root, site.repository.root, site.repository.git_dir]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env={**ENV, **extra}, start_new_session=True)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_a_step_the_rerun_lands_it_exactly_once(site: Site, step: str) -> None:
    change = site.submit({"a.txt": "x"})
    other = site.submit({"b.txt": "x"})
    assert start_job(site, **{CRASH_VARIABLE: f"landing.{step}"}).wait() == -signal.SIGKILL
    site.assert_main_is_validated(settled=False)

    site.run()

    for landed in (change, other):
        assert len(site.merges_of(landed)) == 1, "landed once"
        assert site.state(landed) == "landed"
        issue = site.tracker.issue(landed.issue)
        assert (issue.status, issue.resolution) == ("closed", "landed")
        evidence = site.evidence(site.merges_of(landed)[0])
        assert evidence is not None
        assert evidence["change"] == landed.id
    site.assert_main_is_validated()
    landings = [event for event in site.tracker.events() if event.kind == "change-landed"]
    assert len(landings) == 2
    assert (site.root / "b.txt").exists(), "published"


def test_killed_after_main_moved_what_a_person_closes_meanwhile_has_landed(make_site: MakeSite) -> None:
    site = make_site("[queue]\nslots = 1\n" + CONFIG)  # so that both land in one move
    changes = [site.submit({name: "x"}) for name in ("a.txt", "b.txt")]
    assert start_job(site, **{CRASH_VARIABLE: "landing.moved"}).wait() == -signal.SIGKILL
    for change in changes:
        site.tracker.close_issue(change.issue, "wontfix")
    never = site.submit({"c.txt": "x"})
    site.tracker.close_issue(never.issue, "wontfix")
    site.run()
    assert [site.state(change) for change in (*changes, never)] == ["landed", "landed", "withdrawn"]
    assert [site.tracker.issue(change.issue).resolution for change in changes] == ["landed", "landed"]
    site.assert_main_is_validated()
    before = len(site.tracker.events())
    site.run()
    assert len(site.tracker.events()) == before, "once"


@pytest.mark.parametrize("step", [f"{step}:2" for step in ("gating", "checked", "noted", "moved")])
def test_killed_in_the_middle_of_a_queue_what_landed_stays_landed(site: Site, step: str) -> None:
    good = [site.submit({f"{number}.txt": "x"}) for number in range(2)]
    bad = site.submit({"bad.txt": "x"})
    good += [site.submit({f"{number}.txt": "x"}) for number in range(2, 4)]
    assert start_job(site, **{CRASH_VARIABLE: f"landing.{step}"}).wait() == -signal.SIGKILL
    site.assert_main_is_validated(settled=False)
    site.run()
    assert [len(site.merges_of(change)) for change in good] == [1, 1, 1, 1]
    assert [site.state(change) for change in good] == ["landed"] * 4
    assert site.state(bad) == "failed"
    site.assert_main_is_validated()
    landings = [event for event in site.tracker.events() if event.kind == "change-landed"]
    assert len(landings) == 4


@pytest.mark.parametrize("step", ["forked", "judged"])
@pytest.mark.parametrize("number", [1, 3])
def test_a_run_that_is_killed_blames_nobody(site: Site, tmp_path: Path, step: str, number: int) -> None:
    changes = [site.submit({f"{one}.txt": "x"}) for one in range(number)]
    extra = {CRASH_VARIABLE: f"run.{step}", ONCE_VARIABLE: str(tmp_path / "once")}
    assert start_job(site, **extra).wait() == 0
    assert (tmp_path / "once").exists()
    assert [site.state(change) for change in changes] == ["landed"] * number
    site.assert_main_is_validated()


def test_a_change_of_which_every_run_dies_is_refused_and_the_others_land(site: Site) -> None:
    """Without a sandbox: in one, a check cannot kill its run."""
    changes = [site.submit({f"{one}.txt": "x"}) for one in range(2)]
    killer = site.submit({"killer.txt": "kill -9 $PPID"})
    config = CONFIG.replace("test -f bad.txt", "test -f killer.txt && kill -9 $PPID; test -f bad.txt")
    commit_files(site.root, {"tapeout.toml": "[gate]\nsandbox = 'off'\n" + config})
    assert start_job(site).wait() == 0
    assert [site.state(change) for change in changes] == ["landed"] * 2
    assert site.state(killer) == "failed"
    assert "died" in site.verdict(killer)["reason"]


def test_a_bad_change_does_not_land_through_a_crash(site: Site) -> None:
    change = site.submit({"bad.txt": "x"})
    for step in ("gating", "checked", "verdict"):
        start_job(site, **{CRASH_VARIABLE: f"landing.{step}"}).wait()
    site.run()
    assert site.state(change) == "failed"
    assert site.main == site.main_at_start


HANGING = """
[gate]
sandbox = "{sandbox}"
readable = ["{here}"]

[[check]]
name = "unit"
run = "DAEMON=1 setsid sh -c 'echo started > {here}/fifo; sleep 1000' & sleep 1000"
timeout = "60s"
"""


def hanging_site(make_site: MakeSite, tmp_path: Path, sandbox: str = "preferred") -> Site:
    os.mkfifo(tmp_path / "fifo")
    return make_site(HANGING.format(here=tmp_path, sandbox=sandbox))


def daemon_of(site: Site) -> psutil.Process:
    """What the check left running, as it is seen from outside of any sandbox."""
    runs = os.listdir(site.paths.gate)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = process.environ()
            marked = environ.get(RUN_VARIABLE) in runs and "DAEMON" in environ
            if marked and os.getsid(process.pid) == process.pid:
                return process
    raise AssertionError("the check does not run")


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_killed_in_the_middle_of_a_check_its_processes_and_checkout_are_swept(
    make_site: MakeSite, tmp_path: Path
) -> None:
    site = hanging_site(make_site, tmp_path, sandbox="off")
    change = site.submit({"a.txt": "x"})
    job = start_job(site)
    (tmp_path / "fifo").read_text()  # the check runs now
    daemon = daemon_of(site)
    job.kill()
    job.wait()

    site.tracker.stop_queue("so that the next run only sweeps")
    site.run()
    assert daemon.is_running(), "a stopped queue touches nothing"
    site.tracker.start_queue()
    site.tracker.close_issue(change.issue, "wontfix")
    site.run()

    assert ended(daemon)
    assert os.listdir(site.paths.gate) == []


@needs_bubblewrap
def test_killed_in_the_middle_of_a_check_nothing_in_its_sandbox_goes_on(make_site: MakeSite, tmp_path: Path) -> None:
    site = hanging_site(make_site, tmp_path)
    change = site.submit({"a.txt": "x"})
    job = start_job(site)
    (tmp_path / "fifo").read_text()
    daemon = daemon_of(site)
    job.kill()
    job.wait()
    psutil.wait_procs([daemon], timeout=10)
    assert ended(daemon), "the kernel ends what is in the sandbox"
    site.tracker.close_issue(change.issue, "wontfix")
    site.run()
    assert os.listdir(site.paths.gate) == []


def test_asked_to_end_it_ends_the_check_and_the_change_waits(make_site: MakeSite, tmp_path: Path) -> None:
    site = hanging_site(make_site, tmp_path)
    change = site.submit({"a.txt": "x"})
    job = start_job(site)
    (tmp_path / "fifo").read_text()
    daemon = daemon_of(site)
    job.terminate()
    assert job.wait() == 128 + signal.SIGTERM

    assert ended(daemon)
    assert os.listdir(site.paths.gate) == []
    assert site.state(change) == "gating"


def test_a_living_run_is_not_swept(make_site: MakeSite, tmp_path: Path) -> None:
    """`tapeout gate run` of a person, while the queue starts."""
    site = hanging_site(make_site, tmp_path)
    program = (
        "import sys; from tapeout.gate import run_gate_here; from tapeout.base.paths import Repository, StatePaths;"
        "run_gate_here(StatePaths(sys.argv[1]), Repository(sys.argv[2], sys.argv[3]))"
    )
    arguments = [site.paths.root, site.repository.root, site.repository.git_dir]
    person = subprocess.Popen([sys.executable, "-c", program, *arguments], env=ENV, stderr=subprocess.DEVNULL)
    (tmp_path / "fifo").read_text()
    before = sorted(os.listdir(site.paths.gate))
    site.run()
    assert sorted(os.listdir(site.paths.gate)) == before
    person.kill()
    person.wait()
    site.run()
    assert os.listdir(site.paths.gate) == []
