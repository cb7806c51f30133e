"""What an agent in its sandbox sees, writes, reaches and uses up, with a whole floor around it."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tapeout.base.sandbox import Sandbox, detect
from tapeout.tracker.doorbell import Doorbell
from tests.base.egress.test_gateway import server
from tests.floor.conftest import CONFIG, Workbench, script, step, turn
from tests.floor.test_kills import kill, wait_for

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


def test_an_agent_that_starts_too_many_processes_is_ended_and_the_attempt_says_so(bench: Workbench) -> None:
    bench.commit({"tapeout.toml": CONFIG + "[sandbox]\nprocesses = 12\n"}, "Configure")
    many = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 300 & done; echo x > made; wait"
    issue = bench.new(
        "Many", script(turn(step(run=many), session=1), turn(step(write="b", text="2"), step(commit="b")))
    )
    bench.up()
    first, *_ = bench.issue(issue)["attempts"]
    assert first["detail"].endswith("was killed for starting more than 12 processes")
    assert bench.issue(issue)["status"] == "closed"


@needs_bubblewrap
def test_a_killed_worker_leaves_no_process_no_mount_and_no_file_and_its_work_is_saved(bench: Workbench) -> None:
    text = CONFIG + '[sandbox]\nuse = "required"\n[workspace]\noverlay = "always"\n'
    bench.commit({"tapeout.toml": text}, "Configure")
    stays = "setsid sleep 321 & rm README.md; echo x > unsaved; sleep 321"
    issue = bench.new("Die", script(turn(step(run=stays), session=1), turn(step(write="b", text="2"))))
    floor = bench.start("up", "--plain")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: bool(tracker.attempts(running=True)))
        (attempt,) = tracker.attempts(running=True)
        unsaved = Path(bench.paths.workspaces, attempt.id, "upper/unsaved")
        while not unsaved.exists():
            assert floor.poll() is None
            time.sleep(0.02)
        kill(attempt.pid)
        wait_for(bell, lambda: tracker.issue(issue).status == "closed")
    bench.run("stop")
    floor.communicate(timeout=60)
    assert set(bench.git("ls-tree", "--name-only", "main").split()) == {"tapeout.toml", "unsaved", "b"}
    assert list(Path(bench.paths.workspaces).iterdir()) == []
    assert bench.paths.root not in Path("/proc/self/mounts").read_text()
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "321"]]
