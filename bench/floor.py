"""The floor's figures: `python -m bench.floor`. Prints one line a figure; nothing is asserted.

Latency from a ready issue to the prompt, memory and idle CPU of the floor and of a worker, and throughput against a
peer in the same run: the same sixteen issues worked one after the other by the same scripted agent, as a person with
one agent in one terminal would.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tapeout.base.paths import StatePaths, find_repository, state_paths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.doorbell import Doorbell

TAPEOUT = [sys.executable, "-m", "tapeout"]
CONFIG = """
[project]
branch = "main"
[floor]
agent = "scripted"
workers = 8
[[check]]
name = "sound"
run = "test ! -e broken"
"""
ROUNDS = 12
IDLE_SECONDS = 20.0
SETTLE_SECONDS = 3.0


def main() -> None:
    """Run all measurements in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        os.environ |= {"TAPEOUT_HOME": f"{folder}/state", "HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}
        paths = _repository(Path(folder, "latency"))
        _floor_figures(Path(folder, "latency"), paths)
        _throughput(Path(folder))


def _repository(root: Path) -> StatePaths:
    root.mkdir()
    (root / "tapeout.toml").write_text(CONFIG)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Start")):
        subprocess.run(["git", *words], cwd=root, check=True)
    return state_paths(find_repository(str(root)))


def _script(name: str, *, sleep: float = 0.0) -> str:
    steps = [{"sleep": sleep}] if sleep else []
    steps += [{"write": name, "text": "1\n"}, {"commit": name}]  # type: ignore[dict-item]
    lines = ["```tapeout-script", "[[turn]]"]
    for step in steps:
        lines += ["[[turn.step]]", *(f"{key} = {json.dumps(value)}" for key, value in step.items())]
    return "\n".join([*lines, "```"])


def _floor_figures(root: Path, paths: StatePaths) -> None:
    floor = subprocess.Popen([*TAPEOUT, "up", "--plain"], cwd=root, stdout=subprocess.DEVNULL)
    with Tracker.open(paths, "bench") as tracker, Doorbell(paths.bells) as bell:
        latencies = []
        for number in range(ROUNDS):
            issue = tracker.create(Draft(f"Issue {number}", body=_script(f"f{number}", sleep=0.3)))
            filed = time.time()
            while not (attempts := tracker.attempts(issue.id)) or attempts[0].rounds == 0:
                bell.wait(0.5)
            prompted = next(e.at for e in tracker.events(issue=issue.id) if e.data.get("rounds") == 1)
            if number == 0:
                _memory("worker with its agent", psutil.Process(attempts[0].pid))
            else:  # the first one waits for the fork server to import everything
                latencies.append(prompted - filed)
            while tracker.issue(issue.id).status == "open":
                bell.wait(0.5)
        print(f"ready issue -> prompt delivered   p50 {statistics.median(latencies) * 1000:.0f} ms", end="")
        print(f", max {max(latencies) * 1000:.0f} ms   (goal <= 300 ms)")
    process = psutil.Process(floor.pid)
    _memory("floor", process)
    for child in process.children():
        _memory("fork server" if "forkserver" in " ".join(child.cmdline()) else "its helper", child)
    time.sleep(SETTLE_SECONDS)
    family = [process, *process.children(recursive=True)]
    before = sum(map(_cpu, family))
    time.sleep(IDLE_SECONDS)
    share = (sum(map(_cpu, family)) - before) / IDLE_SECONDS
    print(f"idle floor, its server and helper {share:.2%} of a core   (goal <= 0.5 %)")
    subprocess.run([*TAPEOUT, "stop"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    floor.wait()


def _cpu(process: psutil.Process) -> float:
    """CPU seconds that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def _memory(name: str, process: psutil.Process) -> None:
    memory = process.memory_full_info()
    proportional = getattr(memory, "pss", memory.uss)
    print(f"memory of {name:23} {proportional / 1e6:.0f} MB proportional, {memory.rss / 1e6:.0f} MB resident")


def _throughput(folder: Path) -> None:
    issues = 16
    seconds = {}
    for workers in (8, 1):
        root = folder / f"throughput-{workers}"
        paths = _repository(root)
        with Tracker.open(paths, "bench") as tracker:
            tracker.create_many([Draft(f"Issue {n}", body=_script(f"f{n}", sleep=1.0)) for n in range(issues)])
        begun = time.monotonic()
        subprocess.run(
            [*TAPEOUT, "up", "--until-idle", "--json", "--workers", str(workers)],
            cwd=root, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        seconds[workers] = time.monotonic() - begun
        print(f"{issues} issues of 1 s with {workers} worker{'s' if workers > 1 else ''}{seconds[workers]:19.1f} s")
    print(f"8 workers against 1               {seconds[1] / seconds[8]:.1f} x faster")


if __name__ == "__main__":
    main()
