"""Law 8: kill a writer at any moment; what it was told is written is there."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tests.tracker.tools import contents, delete_index, finish, logged, python

LOOP = """
import sys, pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
tracker = Tracker.open(StatePaths(sys.argv[1]), "ben")
number = 0
while True:
    number += 1
    issue = tracker.create(Draft(f"{number}", labels=("x",)))
    tracker.comment(issue.id, "hello")
    lease = tracker.claim(issue.id, "a-1")
    print(issue.id, lease.token, flush=True)
    if number % 3 == 0:
        tracker.flush()
"""


@pytest.mark.parametrize("seed", range(12))
def test_what_was_acknowledged_survives_a_kill(paths: StatePaths, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged = []
    for _ in range(2):
        writer = python(LOOP, paths.root)
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().split() for _ in range(chance.randrange(1, 60))]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.split() for line in finish(writer).splitlines(keepends=True) if line.endswith("\n")]
    with Tracker.open(paths, "ada") as tracker:
        tracker.check()
        found = {issue.id: issue for issue in tracker.issues()}
        for identity, token in acknowledged:
            assert found[identity].lease_token == int(token)
            assert len(tracker.comments(identity)) == 1
        tracker.flush()
        assert len(logged(paths)) == len(set(logged(paths))) == len(tracker.events())
    before = contents(paths)
    delete_index(paths)
    Tracker.open(paths, "ada").close()
    assert contents(paths) == before


FILLER = """
import sys, pygit2
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
try:
    with Tracker.open(StatePaths(sys.argv[1]), "ben") as tracker:
        for number in range(10_000):
            print(tracker.create(Draft("x", body="b" * 50_000)).id, flush=True)
except EnvironmentProblem as error:
    print("full:", error.exit_code, error.message, error.hint, flush=True)
"""


def full_disk(paths: StatePaths, megabytes: int) -> list[str]:
    """Fill the disk; what the filler printed."""
    process = subprocess.run(
        [sys.executable, "-c", FILLER, paths.root],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes << 20, megabytes << 20)),
    )
    return process.stdout.splitlines()


@pytest.mark.parametrize("first", [True, False], ids=["new", "used"])
def test_a_file_that_cannot_grow_fails_one_write_and_breaks_nothing(paths: StatePaths, first: bool) -> None:
    if not first:
        with Tracker.open(paths, "ada") as tracker:
            tracker.create(Draft("one"))
    *acknowledged, last = full_disk(paths, 3)
    assert acknowledged
    assert last.startswith("full: 7 ")
    assert "nothing was lost" in last
    assert ("disk I/O error" in last) != ("no space" in last)  # what the system said, and nothing else
    check_all_there(paths, acknowledged, 0 if first else 1)


def check_all_there(paths: StatePaths, acknowledged: list[str], others: int) -> None:
    with Tracker.open(paths, "ada") as tracker:
        tracker.check()
        assert {issue.id for issue in tracker.issues()} >= set(acknowledged)
        assert len(tracker.issues()) == len(acknowledged) + others
        tracker.create(Draft("after"))
        tracker.flush()
        before = contents(paths)
        delete_index(paths)
        assert len(tracker.issues()) == len(acknowledged) + others + 1
    assert contents(paths) == before


def can_mount() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    command = [unshare, "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs user and mount namespaces to make a small disk")
def test_a_full_disk_fails_one_write_and_breaks_nothing(paths: StatePaths) -> None:
    disk = os.path.join(os.path.dirname(paths.root), "disk")
    os.mkdir(disk)
    script = (
        'mount -t tmpfs -o size=4m none "$1" && "$2" -c "$3" "$1/state" > "$4"; code=$?;'
        ' cp -a "$1/state" "$5" || exit 9; exit $code'
    )
    output = os.path.join(os.path.dirname(paths.root), "output")
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", disk, sys.executable, FILLER, output, paths.root]
    subprocess.run(command, check=True, timeout=120)
    with open(output) as file:
        *acknowledged, last = file.read().splitlines()
    assert acknowledged
    assert last.startswith("full: 7 no space to write ")
    check_all_there(paths, acknowledged, 0)


def test_a_folder_that_cannot_be_made_is_named(paths: StatePaths) -> None:
    with open(paths.root, "w"):
        pass
    with pytest.raises(EnvironmentProblem, match="cannot create"):
        Tracker.open(paths, "ada")
