"""Spirals: after how many attempts they are cut, and how often honest progress is cut by mistake.

    python bench/spirals.py [--runs 2000] [--seed 1] [--json]

Simulated rounds of generated agents, judged by the detectors that the floor uses (`tapeout.floor.spirals.rounds`) and,
in the same run, by plain limits on retries: the baseline that most tools have. A *spiral* writes variations of one fix,
all of which fail alike; *honest* runs mend failures slowly, or get from one failure to the next, and pass in the end.
Then the calls of generated sessions against `spirals.session`, and how long the memory takes to find what solved a
failure among 10,000 attempts.

A cut of an honest run, where it would have landed later, is a false one. A plain limit has to choose: what cuts spirals
early cuts honest runs, too.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from tapeout.agents import ToolCall
from tapeout.base.paths import find_repository, state_paths
from tapeout.floor.memory.model import Round
from tapeout.floor.memory.patches import FileChange, patch_of
from tapeout.floor.memory.signatures import failures_of
from tapeout.floor.memory.solutions import find_solutions
from tapeout.floor.spirals.rounds import detect
from tapeout.floor.spirals.session import SessionWatch
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import FAILURES

LIMITS = (3, 5, 10)
"""Plain limits on retries."""

MOST_ROUNDS = 40
VARIATIONS = 17
NAMES = ("total", "value", "item", "count", "left", "right", "first", "last", "node", "key", "size", "index")
SHAPES = (
    "{a} + {b}", "{b} + {a}", "sum([{a}, {b}])", "int({a}) + int({b})", "{a} - -{b}", "({a} + {b}) or 0",
    "{a} + {b} + 0", "abs({a} + {b})", "max({a} + {b}, {b})", "{a} if {b} is None else {a} + {b}", "+{a} + {b}",
    "{a}.__add__({b})", "operator.add({a}, {b})", "float({a} + {b})", "round({a} + {b})", "{a} + {b} * 1",
    "-(-{a} - {b})",
)  # fmt: skip
SIGNATURES = 3
ATTEMPTS = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    figures = {
        "runs": asked.runs,
        "seed": asked.seed,
        "rounds": _rounds(chance, asked.runs),
        "sessions": _sessions(chance, asked.runs),
        "memory": _memory(chance),
    }
    print(json.dumps(figures, indent=2) if asked.json else _table(figures))


def _refused(number: int, path: str, removed: Sequence[str], added: Sequence[str], failing: Sequence[str]) -> Round:
    output = "\n".join(f"FAILED {path}::{name} - AssertionError: {number} != {len(name)}" for name in failing)
    findings = [("tests", f"exit code 1: {len(failing)} failed in 0.{number}s", output)]
    found = failures_of(findings, {})
    patch = patch_of([FileChange(path, removed, added)])
    tree = patch.id if patch is not None else ""
    return Round(1, "agent", number, tree, tree, patch, False, "tests", found.signatures, found.failing)


def spiral(chance: random.Random) -> list[Round]:
    """Variations of one fix, in any order, in a file of some size."""
    names = chance.sample(NAMES, 2)
    shapes = chance.sample(SHAPES, VARIATIONS)
    kept = [f"    {chance.choice(NAMES)} = {chance.choice(NAMES)}" for _ in range(chance.randint(0, 10))]
    failing = [f"test_{chance.choice(NAMES)}" for _ in range(chance.randint(1, 4))]
    removed = [f"    return {names[0]} - {names[1]}"]
    return [
        _refused(number, "a.py", removed, [*kept, "    return " + shape.format(a=names[0], b=names[1])], failing)
        for number, shape in enumerate(shapes, start=1)
    ]


def honest(chance: random.Random) -> list[Round]:
    """Failures shrink, or give way to the next ones, from round to round; some rounds mend nothing, never three in a
    row; the change grows or is written anew."""
    left = [f"test_{chance.choice(NAMES)}_{number}" for number in range(chance.randint(2, 15))]
    lines: list[str] = []
    rounds: list[Round] = []
    idle = 0
    while left and len(rounds) < MOST_ROUNDS:
        fresh = [
            f"    {chance.choice(NAMES)} = {chance.choice(NAMES)}({len(rounds)})" for _ in range(chance.randint(1, 6))
        ]
        lines = fresh if chance.random() < 0.3 else [*lines, *fresh]
        turn = chance.random()
        if turn < 0.6 or idle >= 1:
            left = left[chance.randint(1, 3) :]
            idle = 0
        elif turn < 0.85:
            left = [f"{name}_deeper" for name in left]
            idle = 0
        else:
            idle += 1
        if left:
            rounds.append(_refused(len(rounds) + 1, "a.py", ["    pass"], lines, left))
    return rounds


def cut_at(rounds: Sequence[Round]) -> int | None:
    """The round at which the detectors cut."""
    for number in range(1, len(rounds) + 1):
        found = detect([], rounds[:number])
        if found is not None and found.is_cut:
            return number
    return None


def _rounds(chance: random.Random, runs: int) -> dict[str, Any]:
    spirals = [spiral(chance) for _ in range(runs)]
    progress = [honest(chance) for _ in range(runs)]
    judges: dict[str, Callable[[Sequence[Round]], int | None]] = {"detectors": cut_at}
    for limit in LIMITS:
        judges[f"limit of {limit}"] = lambda rounds, limit=limit: limit if len(rounds) >= limit else None  # type: ignore[misc]
    found = {}
    for name, judge in judges.items():
        cuts = [judge(rounds) or VARIATIONS for rounds in spirals]
        wrong = sum(judge(rounds) is not None for rounds in progress)
        found[name] = {
            "spiral_cut_after_p50": statistics.median(cuts),
            "spiral_cut_after_most": max(cuts),
            "honest_cut": wrong,
            "honest_cut_percent": round(100 * wrong / runs, 2),
        }
    lengths = [len(rounds) for rounds in progress]
    found["honest runs"] = {"rounds_p50": statistics.median(lengths), "rounds_most": max(lengths)}
    return found


def _call(number: int, title: str, kind: str, output: str, status: str = "completed", edit: str = "") -> ToolCall:
    edits = ((title, f"{edit}-old", f"{edit}-new"),) if edit else ()
    return ToolCall(str(number), title, kind, status, output, title + edit, edits)


def _sessions(chance: random.Random, runs: int) -> dict[str, Any]:
    circles, cut, false_cuts, false_tells = [], 0, 0, 0
    for _ in range(runs):
        names = chance.sample(NAMES, chance.randint(1, 6))
        calls = [_call(n, names[n % len(names)], "execute", "same") for n in range(200)]
        at = _session_cut(calls)[1]
        cut += at is not None
        circles.append(at or 200)
        told, at = _session_cut(_honest_calls(chance))
        false_tells += told is not None
        false_cuts += at is not None
    return {
        "circle_cut": cut,
        "circle_cut_after_p50": statistics.median(circles),
        "circle_cut_after_most": max(circles),
        "honest_cut": false_cuts,
        "honest_told": false_tells,
    }


def _honest_calls(chance: random.Random) -> list[ToolCall]:
    """Reads, edits and test runs; of four test runs one shows fewer failures, two other values, one the same."""
    failing, value, calls = chance.randint(3, 12), 0, []
    for number in range(chance.randint(20, 150)):
        what = chance.random()
        if what < 0.3:
            calls.append(_call(number, f"read {chance.choice(NAMES)}.py", "read", f"text {chance.randint(0, 9)}"))
        elif what < 0.6:
            calls.append(_call(number, chance.choice(NAMES), "edit", "", edit=str(number)))
        elif what < 0.7:
            calls.append(_call(number, "git status", "execute", f"{chance.randint(0, 5)} files changed"))
        else:
            effect = chance.random()
            failing -= effect < 0.25
            value += effect > 0.5
            status = "failed" if failing > 0 else "completed"
            calls.append(_call(number, "make test", "execute", f"{value} != 3\n{max(failing, 0)} failed", status))
    return calls


def _session_cut(calls: Sequence[ToolCall]) -> tuple[int | None, int | None]:
    watch = SessionWatch()
    told = None
    for number, call in enumerate(calls, start=1):
        found = watch.call(call)
        if found is not None and found.is_cut:
            return told, number
        if found is not None and told is None:
            told = number
    return told, None


def _memory(chance: random.Random) -> dict[str, Any]:
    """Attempts on 2,500 issues, half of which landed; failures are drawn from 500 kinds, few of them common."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q", folder], check=True)
        os.environ["TAPEOUT_HOME"] = os.path.join(folder, "home")
        with Tracker.open(state_paths(find_repository(folder)), "bench") as tracker:
            issues = tracker.create_many([Draft(f"Issue {number}") for number in range(ATTEMPTS // 4)])
            begun = time.monotonic()
            for place, issue in enumerate(issues):
                for number in range(4):
                    name = f"a-{place}-{number}"
                    lease, _ = tracker.begin_attempt(issue.id, name, 60, agent="x", host="h", pid=1, pid_started=1.0)
                    kinds = {f"{min(int(chance.paretovariate(0.7)), 500):016x}" for _ in range(SIGNATURES)}
                    tracker.note_attempt(name, FAILURES, {"rounds": [], "signatures": sorted(kinds)}, lease=lease)
                    if number == 3 and place % 2:
                        tracker.record_landed(tracker.submit(lease, name, commit="c" * 40, base="b" * 40).id, "m" * 40)
                    tracker.end_attempt(lease, name, "failed", "tests")
            filled = time.monotonic() - begun
            common, rare = f"{1:016x}", f"{400:016x}"
            return {
                "attempts": ATTEMPTS,
                "fill_seconds": round(filled, 1),
                "find_common_ms": _milliseconds(lambda: find_solutions(tracker, [common], issues[0].id)),
                "find_rare_ms": _milliseconds(lambda: find_solutions(tracker, [rare], issues[0].id)),
                "list_ms": _milliseconds(lambda: tracker.failure_counts(20)),
                "scan_of_notes_ms": _milliseconds(lambda: _scan(tracker, common)),
            }


def _scan(tracker: Tracker, signature: str) -> int:
    """Without the index: all notes are read."""
    return sum(signature in note.data["signatures"] for note in tracker.noted(FAILURES, limit=-1))


def _milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        begun = time.monotonic()
        work()
        times.append(1000 * (time.monotonic() - begun))
    return round(statistics.median(times), 2)


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{figures['runs']} runs of each kind, seed {figures['seed']}", ""]
    lines.append(f"{'':14} {'spiral cut after':>18} {'at most':>8} {'honest runs cut':>16}")
    for name, one in figures["rounds"].items():
        if "honest_cut" in one:
            after, most, share = one["spiral_cut_after_p50"], one["spiral_cut_after_most"], one["honest_cut_percent"]
            lines.append(f"{name:14} {after:>18g} {most:>8} {share:>15}%")
    for part in ("sessions", "memory"):
        lines += ["", part, *(f"  {name:24} {value}" for name, value in figures[part].items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
