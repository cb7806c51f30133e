"""The tracker in process: writes and claims by one process and by many at once, ready, search, sync; next to the peer.

    python -m bench.tracker_engine [--issues 100000] [--json]

The peer is microbeads, through its own functions in a process that stays: one file an issue. Claims are taken by 64
processes that race for 1,000 issues; that each was won exactly once is checked, not assumed. A latency is what one
writer waits for one create while all others write.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2  # noqa: F401 - loaded before the processes are forked, as in a worker

from bench.tracker_bulk import issues as beads_issues
from bench.tracker_cli import _install, _isolate
from tapeout.base.errors import NotFound
from tapeout.base.paths import StatePaths, find_repository
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.sharing.remote import Remote
from tapeout.tracker.transfer import formats

BODY = "A body. " * 20
ALONE_SECONDS = 3.0
TOGETHER_SECONDS = 5.0
PROCESSES = 64
RACED_ISSUES = 1_000
SYNCED_OPERATIONS = 1_000
TURNS = 200

PEER = """
import sys, time
from pathlib import Path
from microbeads import issues, repo
root = Path(sys.argv[1])
repo.init(root) if hasattr(repo, "init") else None
worktree = repo.get_worktree_path(root)
count, started = 0, time.perf_counter()
while time.perf_counter() - started < float(sys.argv[2]):
    issues.save_issue(worktree, issues.create_issue(f"Issue {count}", worktree, description="A body. " * 20))
    count += 1
print(count / (time.perf_counter() - started))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--issues", type=int, default=100_000, help="for ready, search and counts; default 100000")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    programs = _install()
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        _isolate(folder)
        report = _measure(Path(folder), arguments.issues, programs)
    if arguments.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name:58}{value:12,.2f}")


def _measure(folder: Path, count: int, programs: Path) -> dict[str, float]:
    report: dict[str, float] = {}
    with Tracker.open(StatePaths(str(folder / "alone")), "bench") as tracker:
        report["creates/s, 1 process"] = alone = _rate(lambda: tracker.create(Draft("Issue", body=BODY)))
    report["creates/s, 1 process, peer"] = peer = _peer_rate(folder, programs)
    report["ratio"] = alone / peer
    rates, waits = _together(StatePaths(str(folder / "together")))
    report[f"creates/s, {PROCESSES} processes"] = rates
    report[f"create, {PROCESSES} processes, p50, ms"] = statistics.median(waits)
    report[f"create, {PROCESSES} processes, p99, ms"] = statistics.quantiles(waits, n=100)[98]
    report[f"claims/s, {PROCESSES} processes race for {RACED_ISSUES} issues"] = _race(StatePaths(str(folder / "race")))
    report |= _large(StatePaths(str(folder / "large")), count)
    report |= _sync(folder)
    return report


def _rate(act: Callable[[], object]) -> float:
    """How often a second something can be done."""
    number, started = 0, time.perf_counter()
    while time.perf_counter() - started < ALONE_SECONDS:
        act()
        number += 1
    return number / (time.perf_counter() - started)


def _peer_rate(folder: Path, programs: Path) -> float:
    root = folder / "peer"
    subprocess.run(["git", "init", "-q", "-b", "main", root], check=True)
    subprocess.run(["git", "-C", root, "commit", "-q", "--allow-empty", "-m", "Start"], check=True)
    subprocess.run([programs / "mb", "init"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    words = [str(programs / "python"), "-c", PEER, str(root), str(ALONE_SECONDS)]
    return float(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _fork(target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Run something in all processes at once; what each of them sent back."""
    context = multiprocessing.get_context("fork")
    ready, go, answers = context.Semaphore(0), context.Event(), context.SimpleQueue()
    processes = [
        context.Process(target=target, args=(number, ready, go, answers, *arguments)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    go.set()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def _together(paths: StatePaths) -> tuple[float, list[float]]:
    Tracker.open(paths, "bench").close()
    found = _fork(_create_until, paths, TOGETHER_SECONDS)
    waits = [wait for one in found for wait in one]
    return len(waits) / TOGETHER_SECONDS, waits


def _create_until(number: int, ready: Any, go: Any, answers: Any, paths: StatePaths, seconds: float) -> None:
    waits: list[float] = []
    tracker = Tracker.open(paths, f"p{number}")
    ready.release()
    go.wait()
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        tracker.create(Draft("Issue", body=BODY))
        waits.append((time.perf_counter() - started) * 1000)
    answers.put(waits)
    os._exit(0)  # closing would flush, which is not what is measured


def _race(paths: StatePaths) -> float:
    with Tracker.open(paths, "bench") as tracker:
        tracker.create_many([Draft(f"{number}") for number in range(RACED_ISSUES)])
    found = _fork(_claim_all, paths)
    won = [issue for _, _, issues in found for issue in issues]
    if sorted(won) != sorted(set(won)) or len(won) != RACED_ISSUES:
        sys.exit(f"{len(won)} claims of {RACED_ISSUES} issues, {len(set(won))} different ones")
    seconds: float = max(end for _, end, _ in found) - min(start for start, _, _ in found)
    return RACED_ISSUES / seconds


def _claim_all(number: int, ready: Any, go: Any, answers: Any, paths: StatePaths) -> None:
    won = []
    tracker = Tracker.open(paths, f"p{number}")
    ready.release()
    go.wait()
    started = time.perf_counter()
    try:
        while True:
            won.append(tracker.claim_next(f"p{number}", 600).issue)
    except NotFound:
        answers.put((started, time.perf_counter(), won))
    os._exit(0)


def _large(paths: StatePaths, count: int) -> dict[str, float]:
    """What does not depend on how many issues there are, with very many."""
    with Tracker.open(paths, "bench") as tracker:
        text = "".join(json.dumps(issue) + "\n" for issue in beads_issues(count))
        tracker.import_issues(formats.read(text.encode(), "bench", "beads"), "bench")
        open_ones = tracker.ready(limit=TURNS)
        issues = iter(open_ones)
        found = {
            "ready, the next one, ms": _turns(lambda: tracker.ready(limit=1)),
            "ready, the first 50, ms": _turns(lambda: tracker.ready(limit=50)),
            "counts, ms": _turns(tracker.counts),
            "create, ms": _turns(lambda: tracker.create(Draft("Issue", body=BODY))),
            "claim, ms": _turns(lambda: tracker.claim(next(issues).id, "bench")),
            "prime, ms": _turns(tracker.prime),
        }
        started = time.perf_counter()
        tracker.search("api", 50)
        found["search, the first, ms"] = (time.perf_counter() - started) * 1000
        words = sorted(open_ones[0].title.split(), key=len)[-2:]
        found["search, two words, the first 50, ms"] = _turns(lambda: tracker.search(" ".join(words), 50))
    return {f"{name} ({count:,} issues)": value for name, value in found.items()}


def _turns(act: Callable[[], object]) -> float:
    """Median of milliseconds."""
    times = []
    for _ in range(TURNS - 1):
        started = time.perf_counter()
        act()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _sync(folder: Path) -> dict[str, float]:
    """New operations on one clone, through a remote, to another one."""
    subprocess.run(["git", "init", "-q", "--bare", folder / "remote.git"], check=True)
    clones = []
    for name in ("one", "two"):
        subprocess.run(["git", "clone", "-q", folder / "remote.git", folder / name], check=True, capture_output=True)
        paths = StatePaths(str(folder / f"{name}-state"))
        clones.append((Tracker.open(paths, name), Remote(paths, find_repository(str(folder / name)), "origin")))
    (first, to), (second, back) = clones
    known = first.create_many([Draft(f"Issue {number}", body=BODY) for number in range(SYNCED_OPERATIONS)])
    for tracker, remote in (*clones, *clones):
        tracker.sync(remote)
    for issue in known:
        first.edit(issue.id, {"priority": 1})
        second.comment(issue.id, "older than the edit that comes")
    started = time.perf_counter()
    first.sync(to)
    middle = time.perf_counter()
    second.sync(back)
    end = time.perf_counter()
    for tracker, _ in clones:
        tracker.close()
    return {
        f"sync, {SYNCED_OPERATIONS} operations sent, s": middle - started,
        f"sync, {SYNCED_OPERATIONS} received and as many sent, s": end - middle,
    }


if __name__ == "__main__":
    main()
