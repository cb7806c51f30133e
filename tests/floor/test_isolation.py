"""What an agent in its sandbox sees, writes, reaches and uses up, with a whole floor around it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tapeout.base import locks
from tapeout.base.sandbox import Sandbox, detect
from tapeout.floor.planning.prompts import PLAN_FILE
from tapeout.tracker.doorbell import Doorbell
from tests.base.egress.test_gateway import server
from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes
from tests.floor.test_kills import kill, wait_for
from tests.support.processes import words_of

SLEEP = f"5{os.getpid()}"
"""Seconds: a process that is told apart from others."""

SANDBOX = detect()
CONFINES = isinstance(SANDBOX, Sandbox) and SANDBOX.replaces_folders

needs_bubblewrap = pytest.mark.skipif(not CONFINES, reason="bubblewrap does not work here")

PROBE = """
import glob, json, os, sys, urllib.request
head = sys.stdin.readline()
def read(path):
    try:
        return open(path).read()
    except OSError as error:
        return type(error).__name__
def write(path):
    try:
        open(path, "w").write("x")
        return "written"
    except OSError as error:
        return type(error).__name__
def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=20).read().decode()
    except OSError as error:
        return getattr(error, "code", "nothing")
facts = {
    "secret": read(os.path.expanduser("~/secret")),
    "login": read(os.path.expanduser("~/.probe/login")),
    "home": write(os.path.expanduser("~/mine")),
    "state": sorted(glob.glob(os.environ["TAPEOUT_HOME"] + "/*/tracker.db")),
    "checkout": read(os.environ["TAPEOUT_REPOSITORY"] + "/tapeout.toml"),
    "others": sorted(os.listdir(os.path.dirname(os.path.dirname(os.getcwd())))),
    "system": write("/usr/made"),
    "temporary": os.listdir("/tmp") if not os.environ["TMPDIR"].startswith("/tmp") else [],
    "namespace": os.environ["TAPEOUT_NAMESPACE"],
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "prepared": read("prepared/name"),
    "model": fetch(os.environ["PROBE_BASE_URL"]),
    "other": fetch(os.environ["PROBE_OTHER"].replace("_", ":")),
}
open("probe.json", "w").write(json.dumps(facts))
"""

FLOOR = """
[agents.probe]
driver = "command"
command = [{python}, "-c", {probe}]
home = ["~/.probe"]
env = {{ PROBE_BASE_URL = "http://127.0.0.1:{model}/model", PROBE_OTHER = "http_//127.0.0.1_{other}/other" }}
{more}
"""


@pytest.fixture
def servers() -> Iterator[tuple[int, int]]:
    """Ports of two servers of this machine: the model, and another."""
    with server() as model, server() as other:
        yield model, other


def configured(bench: Workbench, servers: tuple[int, int], more: str) -> None:
    """Commit a configuration with the probe as agent."""
    home = Path(bench.environment["HOME"])
    (home / ".probe").mkdir(exist_ok=True)
    (home / ".probe/login").write_text("login")
    (home / "secret").write_text("secret")
    text = FLOOR.format(
        python=json.dumps(sys.executable), probe=json.dumps(PROBE), model=servers[0], other=servers[1], more=more
    )
    bench.commit({"tapeout.toml": CONFIG + text}, "Configure")


def probed(bench: Workbench) -> dict[str, object]:
    """What the probe found."""
    found: dict[str, object] = json.loads(bench.git("show", "main:probe.json"))
    return found


@needs_bubblewrap
def test_an_agent_sees_its_workspace_and_its_login_and_reaches_its_model(
    bench: Workbench, servers: tuple[int, int]
) -> None:
    more = """
[sandbox]
use = "required"
network = "model"
[workspace]
overlay = "always"
setup = "mkdir prepared && echo $TAPEOUT_NAMESPACE > prepared/name && echo prepared/ >> .git/info/exclude"
teardown = "echo cleared $TAPEOUT_NAMESPACE"
"""
    configured(bench, servers, more)
    issue = bench.new("Probe", "", "--agent", "probe")
    bench.up()
    facts = probed(bench)
    namespace = str(facts.pop("namespace"))
    assert namespace.startswith("tapeout_a_")
    assert f"cleared {namespace}" in bench.run("replay", issue).stdout
    assert facts.pop("prepared") == namespace + "\n"
    assert facts.pop("processes") in range(1, 6)
    assert facts == {
        "secret": "FileNotFoundError", "login": "login", "home": "written", "state": [],
        "checkout": "FileNotFoundError", "others": [facts["others"][0]],  # type: ignore[index]
        "system": "OSError", "temporary": [], "model": "path /model", "other": "nothing",
    }  # fmt: skip
    assert not (Path(bench.environment["HOME"]) / "mine").exists()
    assert sorted(path.name for path in Path(bench.paths.workspaces).iterdir()) == []


REPORTS = """
[agents.reporter]
driver = "command"
command = [{python}, "-c", {reports}]
[workspace]
overlay = "always"
"""

REPORT = """
import os, subprocess, sys
def tapeout(*words):
    subprocess.run([sys.executable, "-m", "tapeout", "issue", *words], check=True)
own = os.environ["TAPEOUT_ISSUE"]
os.makedirs("notes/deep")
os.chdir("notes/deep")
open("NOTE.md", "w").write("told from a folder that is in the layer only")
tapeout("comment", own, "@NOTE.md")
open("NOTE.md", "w").write("told again")
tapeout("comment", own, "@../deep/NOTE.md")
tapeout("attach", own, "../../tapeout.toml")
"""


@needs_bubblewrap
def test_an_agent_in_a_layer_tells_the_tracker_what_its_files_say(bench: Workbench) -> None:
    floor = REPORTS.format(python=json.dumps(sys.executable), reports=json.dumps(REPORT))
    bench.commit({"tapeout.toml": CONFIG + floor}, "Configure")
    issue = bench.new("Report", "", "--agent", "reporter")
    bench.up()
    said = [one["text"] for one in bench.issue(issue)["comments"]]
    assert said == ["told from a folder that is in the layer only", "told again"]
    assert [one["name"] for one in bench.data("issue", "attachments", issue)] == ["tapeout.toml"]


def test_without_a_sandbox_an_agent_works_as_it_does_elsewhere(bench: Workbench, servers: tuple[int, int]) -> None:
    configured(bench, servers, '[sandbox]\nuse = "off"\nnetwork = "model"\n')
    bench.new("Probe", "", "--agent", "probe")
    bench.up()
    facts = probed(bench)
    assert facts["secret"] == "secret"
    assert facts["other"] == "path /other"


def test_a_failed_setup_is_not_the_issues_fault(bench: Workbench) -> None:
    text = CONFIG + '[workspace]\nsetup = "echo no disk; exit 3"\n'
    bench.commit({"tapeout.toml": text}, "Configure")
    issue = bench.issue(bench.new("Any"))
    bench.up(code=7)
    reason = "[workspace] setup ended with exit code 3: no disk"
    found = bench.issue(issue["id"])
    assert [(one["outcome"], one["detail"]) for one in found["attempts"]] == [("interrupted", reason)]
    assert found["status"] == "open"
    assert bench.data("status")["queue_stopped"] == reason


LIMITS = """
[sandbox]
memory = "150MB"
processes = 20
disk = "40MB"
"""

HOGS = {
    "memory": (
        f"{sys.executable} -c 'import time; x = b\"x\" * (200 << 20); time.sleep(300)'",
        "was killed for memory: it used more than ",
    ),
    "processes": (
        "n=0; while [ $n -lt 30 ]; do sleep 300 & n=$((n + 1)); done; wait",
        "was killed for starting more than 20 processes",
    ),
    "disk": ("head -c 60000000 /dev/zero > big; sleep 300", "was killed for filling its workspace: it holds "),
}


def test_an_agent_that_uses_too_much_is_ended_and_its_attempt_says_of_what(bench: Workbench) -> None:
    bench.commit({"tapeout.toml": CONFIG + LIMITS}, "Configure")
    issues = {}
    for name, (hog, _) in HOGS.items():
        first = turn(step(write=f"kept-{name}", text="1"), step(run=hog), session=1)
        issues[name] = bench.new(name, script(first, turn(step(run="rm -f big"), step(commit=f"Use little {name}"))))
    small = bench.new("Small", writes("small.txt"))
    stubborn = bench.new("Stubborn", script(turn(step(run=HOGS["processes"][0]))))
    bench.up()
    for name, (_, says) in HOGS.items():
        shown = bench.issue(issues[name])
        first, *_ = shown["attempts"]
        assert (first["outcome"], says in first["detail"]) == ("over-budget", True), first["detail"]
        assert f"kept-{name}" in bench.hub[first["head"]].tree, "its work was saved"
        assert shown["resolution"] == "landed", "a fresh session went on from there"
    assert [one["outcome"] for one in bench.issue(small)["attempts"]] == ["landed"], "others notice nothing"
    given_up = bench.issue(stubborn)
    assert "2 attempts ended at their budget; last: the agent was killed for starting" in given_up["needs_person"]
    assert bench.data("status")["queue_stopped"] is None
    assert list(Path(bench.paths.workspaces).iterdir()) == []


SERVICES = """
[sandbox]
use = "required"
writable = [{meeting}]
[workspace]
overlay = "always"
setup = "echo $TAPEOUT_NAMESPACE $TAPEOUT_PORT_BASE >> {folder}/made"
teardown = "echo $TAPEOUT_NAMESPACE $TAPEOUT_PORT_BASE >> {folder}/gone"
"""


@needs_bubblewrap
@pytest.mark.parametrize("victim", ["worker", "agent", "floor"])
def test_whoever_is_killed_nothing_is_left_and_the_work_is_saved(bench: Workbench, tmp_path: Path, victim: str) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    text = CONFIG + SERVICES.format(meeting=json.dumps(str(meeting)), folder=meeting)
    bench.commit({"tapeout.toml": text}, "Configure")
    stays = f"setsid sleep {SLEEP} & rm README.md; echo x > unsaved; touch {meeting}/there"
    waits = f"until test -e {meeting}/go; do sleep 0.05; done"
    last = (step(write="b", text="2"), step(commit="b"))
    issue = bench.new("Die", script(turn(step(run=stays), step(run=waits), *last, session=1), turn(*last)))
    floor = bench.start("up", "--plain")
    wait_until(floor, (meeting / "there").exists)
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        (attempt,) = tracker.attempts(running=True)
        kill({"worker": attempt.pid, "floor": floor.pid, "agent": agent_below(attempt.pid)}[victim])
        if victim == "floor":
            floor.communicate()
            floor = bench.start("up", "--plain")
        (meeting / "go").touch()
        wait_for(bell, lambda: tracker.issue(issue).status == "closed" and not tracker.attempts(running=True))
        outcomes = [one.outcome for one in tracker.attempts(issue=issue)]
    bench.run("stop")
    floor.communicate(timeout=60)

    assert outcomes == (["landed"] if victim == "floor" else ["interrupted", "landed"])
    assert set(bench.git("ls-tree", "--name-only", "main").split()) == {"tapeout.toml", "unsaved", "b"}
    assert list(Path(bench.paths.workspaces).iterdir()) == []
    assert list(Path(bench.paths.bells).iterdir()) == []
    assert bench.paths.root not in Path("/proc/self/mounts").read_text()
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", SLEEP]]
    for block in Path(bench.environment["TAPEOUT_HOME"], "ports").iterdir():
        with locks.attempt(str(block)) as free:
            assert free, "its ports are free again"
    made, gone = ((meeting / name).read_text().splitlines() for name in ("made", "gone"))
    assert len(made) == len(outcomes)
    assert gone == made, "each namespace was cleared up once, with its own ports"


def agent_below(worker: int) -> int:
    """The program of the agent that a worker runs, in its sandbox."""
    for process in psutil.Process(worker).children(recursive=True):
        words = words_of(process)
        if words[:1] == [sys.executable] and "scripted" in words[-1]:
            return process.pid
    raise AssertionError("it has none")


def wait_until(process: "subprocess.Popen[str]", condition: Callable[[], bool]) -> None:
    """Wait as long as a process lives."""
    while not condition():
        assert process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


@needs_bubblewrap
def test_a_planner_is_confined_like_a_worker(bench: Workbench, servers: tuple[int, int]) -> None:
    configured(bench, servers, '[sandbox]\nuse = "required"\nnetwork = "none"\n')
    places = {
        "secret": Path(bench.environment["HOME"], "secret"),
        "checkout": bench.root / "tapeout.toml",
        "tracker": bench.paths.tracker_db,
        "code": "tapeout.toml",
        "door": "$TMPDIR/.tapeout",
    }
    looks = "; ".join(f'test -e "{path}" && seen="$seen {name}"' for name, path in places.items())
    calls = f"{sys.executable} -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:{servers[1]}\")'"
    plan = "---\\ntitle: I see$seen\\nacceptance: it works\\n---\\nDo it.\\n"
    run = f'seen=; {looks}; {calls} && seen="$seen network"; printf %b "{plan}" > {PLAN_FILE}'
    made = bench.data("plan", script(turn(step(run=run))))
    assert [issue["title"] for issue in made["issues"]] == ["I see code"]
