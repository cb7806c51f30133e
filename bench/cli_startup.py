"""How long a tracker command takes, whole process: medians in milliseconds, next to Python doing nothing.

    python bench/cli_startup.py [--issues 1000] [--runs 20] [--microbeads PROGRAM]

The commands take turns, so that a machine that is slow for a while is slow for all of them. The tracker is a private
one; 70 % of its issues are closed, as in a repository that has been worked on. `--microbeads` names the program `mb` of
the PyPI package microbeads, which is measured with the same number of issues.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from tapeout.base.paths import find_repository, state_paths
from tapeout.tracker import Draft, Tracker

BARE = "python -c pass"
CLOSED = 0.7

Command = Callable[[], Sequence[str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--issues", type=int, default=1000, help="how many the tracker holds; default 1000")
    parser.add_argument("--runs", type=int, default=20, help="of each command; default 20")
    parser.add_argument("--microbeads", metavar="PROGRAM", help="the peer's program, usually mb")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder)
        commands = _ours(folder, arguments.issues)
        if arguments.microbeads:
            commands |= _microbeads(arguments.microbeads, arguments.issues)
        times = _measure(commands, arguments.runs)
        _wait_for_flush(folder)
    report = {name: statistics.median(values) for name, values in times.items()}
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    sys.stdout.write(f"{arguments.issues} issues, median of {arguments.runs} runs, ms\n")
    for name, median in report.items():
        sys.stdout.write(f"{name:24} {median:8.1f}   {median / report[BARE]:5.1f} x {BARE}\n")


def _prepare(folder: str) -> None:
    """A repository of its own and an environment in which nothing of the user's is touched."""
    repository = os.path.join(folder, "repository")
    os.environ |= {"TAPEOUT_HOME": os.path.join(folder, "home"), "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("PYTHONDONTWRITEBYTECODE", "TAPEOUT_REPOSITORY", "TAPEOUT_ATTEMPT"):
        os.environ.pop(name, None)
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    os.chdir(repository)
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "Start"], check=True)


def _ours(folder: str, count: int) -> dict[str, Command]:
    with Tracker.open(state_paths(find_repository()), "bench") as tracker:
        issues = tracker.create_many([Draft(f"Issue {number}", body="A body. " * 20) for number in range(count)])
        for issue in issues[: int(count * CLOSED)]:
            tracker.close_issue(issue.id)
        tracker.flush()
        open_ones = iter([issue.id for issue in issues[int(count * CLOSED) :]])
    program = os.path.join(os.path.dirname(sys.executable), "tapeout")
    return {
        BARE: lambda: [sys.executable, "-c", "pass"],
        "tapeout --version": lambda: [program, "--version"],
        "tapeout issue new": lambda: [program, "issue", "new", "One more", "--json"],
        "tapeout ready": lambda: [program, "ready", "--json"],
        "tapeout issue show": lambda: [program, "issue", "show", issues[-1].id, "--json"],
        "tapeout claim": lambda: [program, "claim", next(open_ones), "--json"],
    }


def _microbeads(program: str, count: int) -> dict[str, Command]:
    subprocess.run([program, "init"], check=True, stdout=subprocess.DEVNULL)
    made = []
    for number in range(count):
        done = subprocess.run([program, "--json", "create", f"Issue {number}"], check=True, stdout=subprocess.PIPE)
        made.append(json.loads(done.stdout)["id"])
    for identity in made[: int(count * CLOSED)]:
        subprocess.run([program, "--json", "close", identity], check=True, stdout=subprocess.DEVNULL)
    open_ones = iter(made[int(count * CLOSED) :])
    return {
        "microbeads create": lambda: [program, "--json", "create", "One more"],
        "microbeads ready": lambda: [program, "--json", "ready"],
        "microbeads show": lambda: [program, "--json", "show", made[-1]],
        "microbeads claim": lambda: [program, "--json", "update", next(open_ones), "--status", "in_progress"],
    }


def _measure(commands: dict[str, Command], runs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            words = command()
            started = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first time compiles modules and fills caches
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def _wait_for_flush(folder: str) -> None:
    """Until the background flush of the last command has ended, so that the folder can go."""
    with Tracker.open(state_paths(find_repository()), "bench") as tracker:
        while tracker.has_outbox():
            tracker.flush()
            time.sleep(0.05)
    os.chdir(os.path.dirname(folder))


if __name__ == "__main__":
    main()
