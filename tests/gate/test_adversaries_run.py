"""What the code of a change may try while the gate runs it, through the real queue: it does not land, or does no harm.

Nobody can decide at run time whether a program that says `5 passed` ran five tests: a `conftest.py` that prints it and
exits, a module `pytest.py` beside the tests, a `sitecustomize.py` on a PYTHONPATH that the check sets, a test that
passes when it sees that it is being gated. What gives those away is the change itself: see
`tests/gate/test_adversaries_change.py`.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeout.base.sandbox import Sandbox, available
from tapeout.base.sandbox.bubblewrap import Bubblewrap
from tapeout.base.sandbox.cgroup import task_group
from tapeout.base.sandbox.landlock import Landlock
from tapeout.gate import confine
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite, needs_bubblewrap
from tests.gate.site import Site, commit_files, git

PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist -p no:timeout"

ATTACK = 'kind = "test"\nrun = "sh ./attack.sh; echo 1 passed"\ntimeout = "50s"\n'
"""A check that passes whatever the attack of the change achieves: so that only the harm counts."""

SECRET = "hunter2-correct-horse"


def config(check: str, gate: str = "") -> str:
    return f'[gate]\n{gate}\n[[check]]\nname = "unit"\n{check}'


def pytest_check() -> str:
    return config(f'kind = "test"\nrun = "{PYTEST}"\n')


@pytest.fixture(params=[Bubblewrap, Landlock], ids=["bubblewrap", "landlock"])
def sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Each kind of sandbox that this machine has."""
    found = next((found for found in available() if isinstance(found, request.param)), None)
    if not isinstance(found, Sandbox):
        pytest.skip("this machine has none of that kind")
    monkeypatch.setattr(confine, "detect", lambda: found)
    return found


def reason(site: Site, files: dict[str, str | None]) -> str:
    """Why a change with these files did not land."""
    change = site.submit(files)
    site.run()
    assert site.tracker.queue_stopped() is None
    assert site.state(change) == "failed"
    assert site.main == site.main_at_start
    return str(site.verdict(change)["reason"])


def assert_the_check_passed(site: Site, change: Change) -> None:
    """The attack ran to its end: whether the change lands, which its files alone may forbid, is another question."""
    run = site.verdict(change)["run"]
    record = json.loads(Path(site.paths.evidence, run, "verdict.json").read_text())
    assert [check["passed"] for check in record["checks"]] == [True]


SKIP_WHEN_GATED = """
import os, pytest
def pytest_collection_modifyitems(items):
    if "TAPEOUT_GATE_RUN" in os.environ:
        for item in items:
            item.add_marker(pytest.mark.skip)
"""
PRETEND = "import os\nprint('1 passed', flush=True)\nos._exit(0)\n"
FAILING_TEST = "def test_it():\n    assert 1 == 2\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"conftest.py": "import os\nos._exit(0)\n"}, "printed nothing, so no test is known to have run"),
        (
            {"conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
                            "def pytest_runtest_protocol(item, nextitem):\n    return True\n"},
            "ran no test",
        ),
        ({"conftest.py": "def pytest_collection_modifyitems(items):\n    items.clear()\n"}, "no tests"),
        ({"conftest.py": "collect_ignore_glob = ['*']\n"}, "no tests"),
        ({"conftest.py": SKIP_WHEN_GATED}, "ran no test"),
        ({"sitecustomize.py": PRETEND, "test_new.py": FAILING_TEST}, "1 failed"),
        ({"evil.pth": PRETEND.replace("\n", ";"), "test_new.py": FAILING_TEST}, "1 failed"),
        ({"usercustomize.py": PRETEND, "test_new.py": FAILING_TEST}, "1 failed"),
    ],
    ids=["exit", "runner", "items", "ignore", "detects-the-gate", "sitecustomize", "pth", "usercustomize"],
)  # fmt: skip
def test_runs_that_are_no_test_runs_do_not_land(make_site: MakeSite, files: dict[str, str], expected: str) -> None:
    site = make_site(pytest_check(), **{"test_base.py": "def test_it():\n    assert True\n"})
    assert expected in reason(site, dict(files))


@pytest.mark.parametrize("entry", ["", ".", "bin"])
def test_programs_of_the_change_do_not_stand_in_for_tools(
    make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """Even with a PATH of the floor that names the current folder."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "linter").write_text("#!/bin/sh\necho the real linter; test ! -e bad.txt\n")
    (tools / "linter").chmod(0o755)
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}{tools}{os.pathsep}{os.environ['PATH']}")
    site = make_site(config('run = "linter"\n'))
    for name in ("linter", "bin/linter"):
        path = site.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)
    commit = commit_files(site.root, {"bad.txt": "x"})
    git(site.root, "branch", "-q", "attack")
    git(site.root, "reset", "-q", "--hard", "HEAD~1")
    git(site.paths.hub, "fetch", "-q", str(site.root), "attack")
    change = site.submit_commit(commit, site.main)
    site.run()
    assert site.state(change) == "failed"
    assert site.verdict(change)["reason"] == "unit: exit code 1: the real linter"


@pytest.mark.parametrize(
    ("attack", "limit", "expected"),
    [
        ("head -c 30000000 /dev/zero > giant", 'file_size = "10MB"', "was killed for writing a file of over 10 MB"),
        ("exec yes", 'output = "10MB"', "was killed for printing more than 10 MB"),
        (
            "for i in $(seq 150); do sleep 40 & done; wait",
            "processes = 100", "was killed for starting more than 100 processes",
        ),
        (
            "exec python3 -c 'import time\nx = [bytes([7]) * 10**7 for _ in range(50)]\ntime.sleep(40)'",
            'memory = "200MB"', "was killed for memory: it used more than 200 MB",
        ),
        ("sleep 40 & sleep 40", 'timeout = "0.5s"', "timed out after 0.5 s"),
    ],
    ids=["giant-file", "output", "processes", "memory", "time"],
)  # fmt: skip
def test_whoever_takes_too_much_is_ended(
    make_site: MakeSite, sandbox: Sandbox, attack: str, limit: str, expected: str
) -> None:
    command = 'kind = "test"\nrun = "exec sh ./attack.sh"\n'
    site = make_site(config(f"{command}{limit}\n"))
    assert reason(site, {"attack.sh": attack}) == f"unit: {expected}"


@pytest.mark.usefixtures("sandbox")
def test_too_many_processes_fail_a_check_even_if_they_end_before_anybody_has_counted(make_site: MakeSite) -> None:
    with task_group(1) as group:
        if group is None:
            pytest.skip("only root can make a group of processes in which the kernel counts them")
    site = make_site(config('kind = "test"\nrun = "exec sh ./attack.sh"\nprocesses = 100\n'))
    short = "(for i in $(seq 450); do sleep 40 & done) 2>/dev/null || true"
    assert reason(site, {"attack.sh": short}) in {
        "unit: was killed for starting more than 100 processes",
        "unit: was kept from starting more than 400 processes and threads",
    }


class Victims:
    """Everything that an attack could want to change."""

    def __init__(self, site: Site, tmp_path: Path, home: Path) -> None:
        self._site = site
        state = Path(site.paths.root)
        self.files = [
            state / "workspaces" / "other" / "work.py",
            state / "evidence" / "earlier" / "verdict.json",
            Path(site.paths.hub) / "config",
            Path(site.paths.hub) / "HEAD",
            home / ".ssh" / "id",
            home / ".bashrc",
            tmp_path / "outside" / "precious",
            site.root / "README.md",
        ]
        for file in self.files:
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(SECRET)
        self._before = self._contents()

    def _contents(self) -> dict[Path, str]:
        return {file: file.read_text() for file in self.files}

    def assert_unharmed(self) -> None:
        assert self._contents() == self._before
        assert sorted(os.listdir(self.files[0].parent)) == ["work.py"]
        self._site.tracker.check()
        git(self._site.paths.hub, "fsck", "--strict")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user-home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("API_TOKEN", SECRET)
    return folder


OVERWRITE = """
for victim in {victims} {tracker}; do
    chmod u+w "$victim"; echo evil > "$victim"; rm -f "$victim"; echo evil > "$(dirname "$victim")/evil"
done
for folder in .git/objects $(cat .git/objects/info/alternates) {hub}/objects; do
    find "$folder" -type f | while read -r file; do chmod u+w "$file"; echo evil > "$file"; done
done
git push -q --force {hub} HEAD:refs/heads/main
git --git-dir {hub} update-ref refs/heads/main HEAD
rm -rf {state}/workspaces {state}/evidence
"""

THROUGH_LINKS = """
ln -s {outside} made
for link in link made; do echo evil > $link/precious; echo evil > $link/evil; rm -f $link/precious; done
ln {outside}/precious hard && echo evil > hard
"""


@pytest.mark.parametrize("attack", [OVERWRITE, THROUGH_LINKS], ids=["paths", "links"])
def test_nothing_outside_the_checkout_can_be_written(
    make_site: MakeSite, tmp_path: Path, sandbox: Sandbox, home: Path, attack: str
) -> None:
    site = make_site(config(ATTACK))
    victims = Victims(site, tmp_path, home)
    attack = attack.format(
        victims=" ".join(map(str, victims.files)),
        tracker=site.paths.tracker_db,
        hub=site.paths.hub,
        state=site.paths.root,
        outside=tmp_path / "outside",
    )
    (site.root / "link").symlink_to(tmp_path / "outside")
    commit = commit_files(site.root, {"attack.sh": attack})
    git(site.root, "branch", "-q", "attack")
    git(site.root, "reset", "-q", "--hard", "HEAD~1")
    git(site.paths.hub, "fetch", "-q", str(site.root), "attack")
    change = site.submit_commit(commit, site.main)
    site.run()
    victims.assert_unharmed()
    assert_the_check_passed(site, change)


def test_secrets_are_neither_in_the_environment_nor_in_files(
    make_site: MakeSite, tmp_path: Path, sandbox: Sandbox, home: Path
) -> None:
    site = make_site(config(ATTACK))
    victims = Victims(site, tmp_path, home)
    attack = (
        f"env; cat {' '.join(map(str, victims.files))} ~/.ssh/id; tr '\\0' '\\n' < /proc/{os.getpid()}/environ;"
        f" cat /proc/{os.getpid()}/root{home}/.ssh/id; cat /proc/*/environ | tr '\\0' '\\n'; ls -la {home};"
        f" cp -r {home} .; cat */.ssh/id; strings -n 8 {site.paths.tracker_db}; echo looked"
    )
    change = site.submit({"attack.sh": attack})
    site.run()
    log = Path(site.paths.evidence, site.verdict(change)["run"], "unit.log").read_text()
    assert "looked" in log
    assert SECRET not in log
    assert "Do it" not in log, "the tracker is not readable"


def test_processes_of_others_cannot_be_ended(make_site: MakeSite, sandbox: Sandbox) -> None:
    """The stand-in for the gate's own process is as much a process of the same user as that one."""
    with subprocess.Popen(["sleep", "1000"]) as bystander:
        attack = f"kill -9 {bystander.pid}; kill -9 -{os.getpgid(bystander.pid)} -{bystander.pid}"
        if isinstance(sandbox, Landlock):
            attack = f"kill -9 {bystander.pid}"
            if "processes of the same user can be signalled" in sandbox.lacks:
                pytest.skip("this version of Landlock says that it cannot")
        site = make_site(config(ATTACK))
        change = site.submit({"attack.sh": attack})
        site.run()
        alive = bystander.poll() is None
        bystander.kill()
    assert alive
    assert site.state(change) == "landed"


BACKGROUND = """
(trap '' TERM HUP INT; setsid sh -c 'while :; do echo evil > README.md; echo evil > "$0"; done' "$PWD/evil" &) &
env -i setsid sh -c 'while :; do echo evil > README.md; done' >/dev/null 2>&1 &
"""


def test_what_a_check_leaves_running_changes_nothing_of_what_the_next_one_sees(
    make_site: MakeSite, sandbox: Sandbox
) -> None:
    look = 'test "$(cat README.md)" = hello && test ! -e evil'
    second = (
        f"[[check]]\nname = 'second'\nrun = '''i=0; while [ $i -lt 300 ]; do {look} || exit 1; i=$((i+1)); done'''\n"
    )
    site = make_site(config(ATTACK) + second)
    change = site.submit({"attack.sh": BACKGROUND})
    site.run()
    assert site.state(change) == "landed"
    assert git(site.paths.hub, "show", "main:README.md") == "hello"
    site.assert_main_is_validated()


def test_filters_hooks_and_submodules_of_the_change_run_nothing(make_site: MakeSite) -> None:
    look = "git status && git add -A && git commit -q -m x && git checkout -q -f HEAD~1 && git submodule update --init"
    site = make_site(config(f"run = '''({look}) >/dev/null 2>&1; test ! -e ran && test ! -e \"$TMPDIR/ran\"'''\n"))
    trap = "#!/bin/sh\ntouch ran $TMPDIR/ran\n"
    change = site.submit(
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".gitconfig": '[filter "evil"]\n\tclean = touch ran\n\tsmudge = touch ran\n',
            ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ./x\n\tupdate = !touch ran\n',
            "hooks/pre-commit": trap,
            ".githooks/post-checkout": trap,
            ".husky/pre-commit": trap,
        }
    )
    site.run()
    assert_the_check_passed(site, change)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of this machine, outside of the sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


CONNECT = 'exec python3 -c \'import socket; socket.create_connection(("127.0.0.1", {port}), 5); print("1 passed")\''

OWN_SERVER = """exec python3 -c '
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).send(b"x")
assert server.accept()[0].recv(1) == b"x"
print("1 passed")'
"""


@needs_bubblewrap
@pytest.mark.parametrize("allowed", [False, True])
def test_the_network_is_reached_only_by_checks_that_may(
    make_site: MakeSite, listener: socket.socket, allowed: bool
) -> None:
    command = f'kind = "test"\nrun = "sh ./attack.sh"\nnetwork = {str(allowed).lower()}\n'
    site = make_site(config(command))
    change = site.submit({"attack.sh": CONNECT.format(port=listener.getsockname()[1])})
    site.run()
    assert site.state(change) == ("landed" if allowed else "failed")
    if allowed:
        listener.accept()[0].close()
    else:
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_server_of_the_check_itself_can_be_reached(make_site: MakeSite, sandbox: Sandbox) -> None:
    site = make_site(config('kind = "test"\nrun = "sh ./attack.sh"\n'))
    change = site.submit({"attack.sh": OWN_SERVER})
    site.run()
    assert site.state(change) == "landed", site.verdict(change)
