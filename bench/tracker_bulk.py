"""Very many issues at once: import, export, rebuild from git, and how large git gets.

    python bench/tracker_bulk.py [--issues 100000] [--json]

Whole processes, seconds of the wall clock and of the processor, and the memory at its highest. The tracker is a
private one; 70 % of its issues are closed, 30 % wait for another one, each has two labels and a body of 300 characters.
There is no peer in this: microbeads has no import.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tapeout.base.paths import StatePaths, find_repository, state_paths
from tapeout.tracker import Tracker

FORMATS = ("tapeout", "beads", "github")
CLOSED, WAITING = 0.7, 0.3
BODY = 300
WORDS = 20_000
"""Different words of the bodies: about what a long-lived project uses, names included."""


class Run(NamedTuple):
    """One process."""

    seconds: float
    processor_seconds: float
    megabytes: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--issues", type=int, default=100_000, help="default 100000")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = _measure(folder, arguments.issues)
        os.chdir("/")
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    sys.stdout.write(f"{arguments.issues} issues{'':19}  wall s   cpu s      MB\n")
    for name, value in report.items():
        numbers = "".join(f"{number:8.1f}" for number in value) if isinstance(value, tuple) else f"{value:24.1f}"
        sys.stdout.write(f"{name:24}{numbers}\n")


def _measure(folder: str, count: int) -> dict[str, Any]:
    _prepare(folder)
    source = os.path.join(folder, "beads.jsonl")
    with open(source, "w") as file:
        file.writelines(json.dumps(issue) + "\n" for issue in issues(count))
    program = os.path.join(os.path.dirname(sys.executable), "tapeout")
    report: dict[str, Any] = {"import": _run([program, "import", source])}
    paths = state_paths(find_repository())
    started = time.perf_counter()
    _flush(paths)
    report["brought to git (after)"] = time.perf_counter() - started
    report["import again"] = _run([program, "import", source])
    for to in FORMATS:
        exported = os.path.join(folder, f"export.{to}")
        report[f"export {to}"] = _run([program, "export", "--to", to, "-o", exported])
    report["snapshot"] = _run([program, "snapshot", os.path.join(folder, "snapshot")])
    report["snapshot again"] = _run([program, "snapshot", os.path.join(folder, "snapshot")])
    report["git, MB"] = _git_size(paths)
    for ending in ("", "-wal", "-shm"):
        if os.path.exists(paths.tracker_db + ending):
            os.unlink(paths.tracker_db + ending)
    report["ready, after a rebuild"] = _run([program, "ready"])
    return report


def issues(count: int) -> Iterator[dict[str, Any]]:
    """Issues as Beads exports them, always the same."""
    source = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(source.choices(letters, k=source.randint(2, 10))) for _ in range(WORDS)]
    frequencies = [1 / rank for rank in range(1, WORDS + 1)]  # Zipf's law
    for number in range(count):
        body = " ".join(source.choices(words, frequencies, k=BODY // 7)).ljust(BODY, ".")[:BODY]
        created = 1_700_000_000 + number * 60
        issue = {
            "id": f"bd-{number:x}",
            "title": " ".join(source.choices(words, frequencies, k=7)),
            "description": body,
            "status": "open",
            "priority": source.randrange(5),
            "issue_type": source.choice(("task", "bug", "feature", "chore")),
            "created_at": _clock(created),
            "created_by": source.choice(("ada", "grace", "edsger")),
            "updated_at": _clock(created),
            "labels": source.sample(("api", "ui", "docs", "db", "build", "perf"), 2),
        }
        if source.random() < CLOSED:
            closed = _clock(created + source.randrange(1_000_000))
            issue |= {"status": "closed", "closed_at": closed, "updated_at": closed}
        if number and source.random() < WAITING:
            target = f"bd-{source.randrange(number):x}"
            issue["dependencies"] = [{"issue_id": issue["id"], "depends_on_id": target, "type": "blocks"}]
        yield issue


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _prepare(folder: str) -> None:
    """A repository of its own and an environment in which nothing of the user's is touched."""
    repository = os.path.join(folder, "repository")
    os.environ |= {"TAPEOUT_HOME": os.path.join(folder, "home"), "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("PYTHONDONTWRITEBYTECODE", "TAPEOUT_REPOSITORY", "TAPEOUT_ATTEMPT"):
        os.environ.pop(name, None)
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    os.chdir(repository)


def _run(words: Sequence[str]) -> Run:
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def _flush(paths: StatePaths) -> None:
    """Bring to git what is not there yet, here or by waiting for the process that does it."""
    with Tracker.open(paths, "bench") as tracker:
        while tracker.has_outbox():
            tracker.flush()
            time.sleep(0.02)


def _git_size(paths: StatePaths) -> float:
    """Megabytes of the packed log."""
    git = ["git", "--git-dir", paths.tracker_git]
    subprocess.run([*git, "repack", "-a", "-d", "-q"], check=True)
    counted = subprocess.run([*git, "count-objects", "-v"], check=True, stdout=subprocess.PIPE, text=True).stdout
    sizes = dict(line.split(": ") for line in counted.splitlines())
    return (int(sizes["size-pack"]) + int(sizes["size"])) / 1000


if __name__ == "__main__":
    main()
