"""Law 8: kill anything at any moment; a restart continues, nothing is lost, done twice or half landed."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from tapeout.tracker.doorbell import Doorbell
from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes
from tests.floor.test_bad_input import bench_wait_running
from tests.support.processes import words_of

POINTS = [
    "worker.started",
    "worker.workspace",
    "worker.prompted",
    "worker.pulled",
    "worker.submitted",
    "worker.saved",
    "landing.candidate",
    "landing.gating",
    "landing.checked",
    "landing.verdict",
    "landing.noted",
    "landing.moved",
    "landing.recorded",
    "landing.published",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_any_step_is_replaced_and_all_lands_once(
    bench: Workbench, tmp_path: Path, point: str
) -> None:
    issues = [bench.new(f"Issue {number}", writes(f"file{number}.txt")) for number in range(3)]
    flag = tmp_path / "crashed"

    bench.up(TAPEOUT_CRASH_AT=point, TAPEOUT_CRASH_ONCE=str(flag))

    assert flag.exists(), f"nothing came by {point}"
    assert_all_landed_once(bench, issues)


def test_a_killed_salvage_job_is_done_again(bench: Workbench, tmp_path: Path) -> None:
    issue = bench.new(
        "Die", script(turn(step(write="a", text="1"), step(crash=9), session=1), turn(step(write="b", text="2")))
    )
    floor = bench.start("up", "--plain", TAPEOUT_CRASH_AT="salvage.saved", TAPEOUT_CRASH_ONCE=str(tmp_path / "flag"))
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: bool(tracker.attempts(running=True)))
        kill(tracker.attempts(running=True)[0].pid)
        wait_for(bell, lambda: tracker.issue(issue).status == "closed")
    bench.run("stop")
    floor.communicate(timeout=30)
    assert_all_landed_once(bench, [issue])


def test_a_killed_floor_leaves_its_workers_to_the_next_one(bench: Workbench) -> None:
    issues = [
        bench.new(f"Slow {number}", script(turn(step(sleep=2.0), step(write=f"f{number}", text="1"), step(commit="F"))))
        for number in range(3)
    ]
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: sum(a.rounds > 0 for a in tracker.attempts(running=True)) == 3)
        kill(floor.pid)
        floor.communicate()
        workers = {attempt.pid for attempt in tracker.attempts(running=True)}
    assert all(psutil.pid_exists(pid) for pid in workers), "the workers go on"

    bench.up()

    assert_all_landed_once(bench, issues)
    attempts = [attempt for issue in issues for attempt in bench.issue(issue)["attempts"]]
    assert {attempt["pid"] for attempt in attempts} == workers, "nobody was replaced"


def test_a_floor_killed_as_it_starts_a_worker_leaves_it_to_the_next_one(bench: Workbench) -> None:
    issue = bench.new("Write a", script(turn(step(sleep=1.0), step(write="a", text="1"))))
    assert bench.start("up", TAPEOUT_CRASH_AT="floor.dispatched").wait(60) == -signal.SIGKILL

    bench.up()

    assert_all_landed_once(bench, [issue])


def test_a_gate_of_a_killed_floor_ends_its_work_and_the_next_one_waits_for_it(bench: Workbench) -> None:
    bench.commit({"tapeout.toml": CONFIG.replace("test ! -e broken", "sleep 4; test ! -e broken")})
    issue = bench.new("Write a", writes("a"))
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: [change.state for change in tracker.changes()] == ["gating"])
        kill(floor.pid)
        floor.communicate()

    bench.up()

    assert_all_landed_once(bench, [issue])
    assert len(bench.issue(issue)["changes"]) == 1


def test_everything_killed_at_once_is_picked_up_by_the_next_floor(bench: Workbench) -> None:
    body = script(
        turn(step(write="half", text="1"), step(daemon="sleep 600"), step(hang=True), session=1),
        turn(step(run="test -e half"), step(write="whole", text="2"), step(commit="Finish")),
    )
    issue = bench.new("Cut off", body)
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: any("half" in text for text, *_ in tracker.activity().values()) or half(bench))
    for process in [floor.pid, *(p.pid for p in psutil.Process(floor.pid).children(recursive=True))]:
        if "sleep" not in name(process):
            kill(process)
    floor.communicate()

    bench.up()

    assert_all_landed_once(bench, [issue])
    assert (bench.root / "half").exists(), "the work of the killed attempt was kept"


def test_ctrl_c_stops_cleanly_saves_the_work_and_the_next_floor_goes_on(bench: Workbench) -> None:
    body = script(
        turn(step(write="half", text="1"), step(hang=True), session=1),
        turn(step(run="test -e half && echo 2 > whole"), step(commit="Finish")),
    )
    issue = bench.new("Cut off", body)
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: half(bench))
        os.kill(floor.pid, signal.SIGINT)
        out, err = floor.communicate(timeout=30)
        assert floor.returncode == 0, out + err
        attempt = tracker.attempts(issue)[0]
        assert (attempt.outcome, tracker.issue(issue).lease_owner) == ("stopped", None)
        assert "half" in bench.hub[attempt.head or ""].tree

    bench.up()

    assert_all_landed_once(bench, [issue])


def test_stop_now_kills_at_once_and_is_nobodys_failure(bench: Workbench) -> None:
    issue = bench.new("Hang", script(turn(step(write="half", text="1"), step(hang=True, deaf=True))))
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: half(bench))
        bench.run("stop", "--now")
        floor.communicate(timeout=30)
        attempt = tracker.attempts(issue)[0]
        assert attempt.outcome == "stopped"
        assert "half" in bench.hub[attempt.head or ""].tree


def test_a_killed_fork_server_is_replaced(bench: Workbench) -> None:
    first = bench.new("First", writes("first.txt"))
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: tracker.issue(first).status == "closed")
        for child in psutil.Process(floor.pid).children():
            if "forkserver" in " ".join(words_of(child)):
                kill(child.pid)
        second = bench.new("Second", writes("second.txt"))
        wait_for(bell, lambda: tracker.issue(second).status == "closed")
    bench.run("stop")
    floor.communicate(timeout=30)
    assert_all_landed_once(bench, [first, second])


@pytest.mark.parametrize("seed", range(3))
def test_random_kills_of_anything_lose_nothing_and_land_nothing_twice(bench: Workbench, seed: int) -> None:
    chance = random.Random(seed)
    limits = CONFIG.replace("interruptions = 20", "interruptions = 20\nsessions = 10")
    bench.commit({"tapeout.toml": limits})
    issues = [
        bench.new(f"Issue {n}", script(turn(step(write=f"f{n}.txt", text="1"), step(sleep=0.2), step(commit=f"F{n}"))))
        for n in range(8)
    ]
    for _ in range(12):
        floor = bench.start("up", "--until-idle", "--json")
        if not bench_wait_running(bench, floor):
            floor.communicate()
            break  # nothing is left to do
        time.sleep(chance.uniform(0.3, 2.0))  # the moment of the kill is what is random here
        tree = [psutil.Process(floor.pid), *psutil.Process(floor.pid).children(recursive=True)]
        victim = chance.choice(tree)
        kill(victim.pid)
        if victim.pid != floor.pid and chance.random() < 0.5:
            kill(floor.pid)
        elif victim.pid != floor.pid:
            time.sleep(chance.uniform(0, 1.0))
            kill(floor.pid)
        floor.communicate()

    bench.up()

    assert_all_landed_once(bench, issues)


def assert_all_landed_once(bench: Workbench, issues: list[str]) -> None:
    assert bench.landings() == dict.fromkeys(issues, 1)
    hub = bench.hub
    for issue in issues:
        shown = bench.issue(issue)
        assert shown["resolution"] == "landed"
        assert bench.data("gate", "show", shown["landed_commit"])["passed"] is True
        for attempt in shown["attempts"]:
            assert attempt["outcome"] is not None
            assert attempt["head"] is None or attempt["head"] in hub, "work of an attempt was lost"
    assert os.listdir(bench.paths.workspaces) == []
    assert bench.git("rev-parse", "main") == str(hub.branches["main"].target)


def half(bench: Workbench) -> bool:
    """Whether some workspace holds the file `half`."""
    return any(Path(bench.paths.workspaces).glob("*/code/half"))


def wait_for(bell: Doorbell, condition: "object") -> None:
    assert callable(condition)
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        bell.wait(0.1)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return ""
