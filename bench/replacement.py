"""How fast a killed worker is replaced: `python -m bench.replacement [--runs 10]`. Prints one line a figure.

A worker is killed (SIGKILL) while its agent runs a tool, while it is paused, and while it waits for a permission. Three
moments of what follows: its work is saved and its attempt ended; the next attempt has begun; its agent has the prompt.
In the same run, as the baseline, how long a fresh issue takes to get there. After each kill it is looked for processes
that were left behind.
"""

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from bench.floor import TAPEOUT
from tapeout.base.paths import StatePaths, find_repository, state_paths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Attempt
from tapeout.workspaces import ATTEMPT_VARIABLE

CONFIG = """
[project]
branch = "main"
[floor]
agent = "scripted"
workers = 2
interruptions = 20
permissions = "ask"
[[check]]
name = "sound"
run = "true"
"""
FIRST = {
    "working": 'run = "sleep 600"',
    "paused": 'run = "sleep 600"',
    "waiting for a permission": 'ask = "May I?"',
}
BODY = """```tapeout-script
[[turn]]
session = 1
[[turn.step]]
{first}
[[turn]]
[[turn.step]]
write = "f{number}"
text = "1"
[[turn.step]]
commit = "F"
```"""


def main() -> None:
    """Run all measurements in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="kills in each state")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        os.environ |= {"TAPEOUT_HOME": f"{folder}/state", "HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}
        root = Path(folder, "project")
        root.mkdir()
        (root / "tapeout.toml").write_text(CONFIG)
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Start")):
            subprocess.run(["git", *words], cwd=root, check=True)
        floor = subprocess.Popen([*TAPEOUT, "up", "--plain"], cwd=root, stdout=subprocess.DEVNULL)
        try:
            _measure(state_paths(find_repository(str(root))), runs)
        finally:
            floor.terminate()
            floor.wait()


def _measure(paths: StatePaths, runs: int) -> None:
    fresh: list[float] = []
    with Tracker.open(paths, "bench") as tracker, Doorbell(paths.bells) as bell:
        number = 0
        for state, first in FIRST.items():
            moments: list[tuple[float, float, float]] = []
            left = 0
            for _ in range(runs):
                number += 1
                issue = tracker.create(Draft(f"Issue {number}", body=BODY.format(first=first, number=number))).id
                filed = time.time()
                attempt = _prompted(tracker, bell, issue, 1)
                fresh.append(_moment(tracker, issue, attempt.id, "rounds") - filed)
                _reach(tracker, bell, attempt, state)
                killed = time.time()
                os.kill(attempt.pid, signal.SIGKILL)
                following = _prompted(tracker, bell, issue, 2)
                moments.append(
                    (
                        _moment(tracker, issue, attempt.id, "outcome") - killed,
                        _moment(tracker, issue, following.id, "number") - killed,
                        _moment(tracker, issue, following.id, "rounds") - killed,
                    )
                )
                left += _left_behind(attempt.id)
                while tracker.issue(issue).status == "open":
                    bell.wait(0.5)
            for what, values in zip(("saved", "begun", "prompted"), zip(*moments, strict=True), strict=True):
                _print(f"killed while {state}: {what}", values)
            print(f"killed while {state}: processes left behind {left}")
    _print("baseline: a fresh issue: prompted", fresh[1:])  # the first one waits for the fork server


def _prompted(tracker: Tracker, bell: Doorbell, issue: str, number: int) -> Attempt:
    while True:
        found = [one for one in tracker.attempts(issue) if one.number == number and one.rounds > 0]
        if found:
            return found[0]
        bell.wait(0.5)


def _reach(tracker: Tracker, bell: Doorbell, attempt: Attempt, state: str) -> None:
    """Wait until the attempt is in a state; pauses it if it is to be paused."""
    if state == "paused":
        tracker.order(attempt.id, "pause")
    wanted = {"working": "sleep 600", "paused": "paused", "waiting for a permission": "permission"}[state]
    while True:
        shown = tracker.activity().get(attempt.id)
        if shown is not None and wanted in (shown.text, shown.state, shown.waits_for):
            return
        bell.wait(0.5)


def _moment(tracker: Tracker, issue: str, attempt: str, field: str) -> float:
    """When the attempt first wrote a field of its own into the log."""
    return next(e.at for e in tracker.events(issue=issue) if e.data.get("attempt") == attempt and field in e.data)


def _left_behind(attempt: str) -> int:
    """Processes that still carry the attempt's mark."""
    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get(ATTEMPT_VARIABLE) == attempt
        except psutil.Error:
            continue
    return found


def _print(what: str, seconds: "list[float] | tuple[float, ...]") -> None:
    ordered = sorted(seconds)
    print(f"{what:50} p50 {statistics.median(ordered) * 1000:6.0f} ms  worst {ordered[-1] * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
