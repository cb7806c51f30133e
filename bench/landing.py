"""How long it takes to land a queue: `python -m bench.landing`. Prints one line a figure; nothing is asserted.

32 changes of which 3 are bad (10 %), a gate that takes 2 s and little processor time, 2 slots; the same changes in the
same order through our queue, through a serial queue (merge, gate, fast-forward, one change after the other) and through
the peer mergetrain (from PyPI, in an environment of its own).

Lower bounds, g the seconds of a gate run, s the slots, n the changes, d the bad ones. An outcome of the queue names one
of C(n, d) sets of culprits, so log2 C(n, d) bits must be learned.
- Any strategy: a run tells at most one bit, so no strategy can in general do with less than
  ceil(log2 C(n, d) / s) rounds of g seconds. It ignores that what lands must have passed as one tree, which two
  unrelated runs side by side do not give.
- Stacked runs (main + A, main + A + B, ...), which can all land: s of them have s + 1 outcomes, so
  ceil(log2 C(n, d) / log2(s + 1)) rounds.
- A run for each change, as queues without batches do it: n / s rounds.
"""

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.gate import prepare_hub, read_evidence
from tapeout.gate.queue import Situation, plan
from tapeout.gate.queue.simulation import Simulation, numbered
from tapeout.tracker import Draft, Tracker

CHANGES, BAD, GATE_SECONDS, SLOTS = 32, 3, 2.0, 2
# Of kind "build": a result counts for the tree, as of most checks. A "test" that fails would be run twice.
GATE = f"sleep {GATE_SECONDS:g}; test ! -e bad"
CONFIG = f"""
[queue]
slots = {SLOTS}
[project]
publish = "none"
[[check]]
name = "gate"
kind = "build"
run = "{GATE}"
"""
JOB = "import sys; from tapeout.gate.job import main; main(*sys.argv[1:])"
PEER = "mergetrain-3.7.1"


class Figures(NamedTuple):
    """How one queue did."""

    seconds: float
    runs: int
    landed: int
    correct: bool
    """Every good change landed, and no bad one."""


def main() -> None:
    """Run all measurements in a temporary folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=3, help="how many random places of the bad ones; default 3")
    seeds = range(1, parser.parse_args().orders + 1)
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        os.environ |= {"HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}
        queues: dict[str, Callable[[Path, list[str]], Figures]] = {"tapeout": _ours, "serial queue": _serial}
        if peer := _peer():
            queues[PEER] = lambda root, names: _mergetrain(root, names, peer)
        found: dict[str, list[Figures]] = {name: [] for name in queues}
        for seed in seeds:
            for name, queue in queues.items():
                found[name].append(queue(*_project(Path(folder, f"{name.split()[0]}-{seed}"), seed)))
                print(f"order {seed}, {name}: {found[name][-1].seconds:.1f} s", file=sys.stderr, flush=True)
    _report(found, seeds)
    _planner()


def _project(root: Path, seed: int) -> tuple[Path, list[str]]:
    """A repository with a branch for each change, and their names in order."""
    root.mkdir()
    repository = root / "user"
    _git(root, "init", "-q", "-b", "main", str(repository))
    (repository / "tapeout.toml").write_text(CONFIG)
    (repository / ".mergetrain.yaml").write_text(
        f"version: 2\nproject:\n  name: bench\ngates:\n  - name: gate\n    run: echo >> {root}/runs; {GATE}\n"
    )
    _git(repository, "add", "-A")
    _git(repository, "commit", "-q", "-m", "Start")
    bad = random.Random(seed).sample(range(CHANGES), BAD)
    names = []
    for number in range(CHANGES):
        names.append(f"change-{number}")
        _git(repository, "worktree", "add", "-q", "-b", names[-1], str(root / names[-1]), "main")
        (root / names[-1] / f"file-{number}.txt").write_text("content\n")
        if number in bad:
            (root / names[-1] / "bad").mkdir()
            (root / names[-1] / "bad" / f"{number}.txt").write_text("bad\n")
        _git(root / names[-1], "add", "-A")
        _git(root / names[-1], "commit", "-q", "-m", f"Change {number}")
    return root, names


def _ours(root: Path, names: list[str]) -> Figures:
    repository = Repository(str(root / "user"), str(root / "user" / ".git"))
    paths = StatePaths(str(root / "state"))
    base = prepare_hub(paths, repository, "main")
    hub = open_bare(paths.hub)
    hub.remotes.create_anonymous(repository.git_dir).fetch(["+refs/heads/*:refs/bench/*"])
    with Tracker.open(paths, "bench") as tracker:
        for name in names:
            issue = tracker.create(Draft(name))
            lease = tracker.claim(issue.id, owner=f"{issue.id}-1")
            tracker.start_attempt(lease, lease.owner, agent="bench", host="here", pid=1, pid_started=0.0)
            tracker.submit(lease, lease.owner, commit=str(resolve(hub, f"refs/bench/{name}")), base=base)
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", JOB, paths.root, repository.root, repository.git_dir], check=True)
    seconds = time.monotonic() - begun
    runs = len(os.listdir(paths.evidence))
    landed = _landed(Path(paths.hub), "main")
    main_commit = str(resolve(hub, "refs/heads/main"))
    proven = (read_evidence(hub, main_commit) or {}).get("candidate") == main_commit
    return Figures(seconds, runs, len(landed), proven and _is_correct(landed))


def _serial(root: Path, names: list[str]) -> Figures:
    """The least that a serial queue has to do: merge, run the gate, keep the merge or drop it."""
    repository = root / "user"
    begun = time.monotonic()
    for name in names:
        _git(repository, "merge", "-q", "--no-ff", "--no-edit", name)
        if subprocess.run(["sh", "-c", GATE], cwd=repository, check=False).returncode != 0:
            _git(repository, "reset", "-q", "--hard", "HEAD^")
    seconds = time.monotonic() - begun
    landed = _landed(repository, "main")
    return Figures(seconds, len(names), len(landed), _is_correct(landed))


def _peer() -> Path | None:
    """The peer's program, installed once."""
    folder = Path(__file__).parents[1] / ".cache" / PEER
    program = folder / "bin" / "mergetrain"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        requirements = Path(__file__).with_name("requirements-landing-peer.txt")
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "--quiet", "-r", requirements], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{PEER} cannot be installed, so there is no figure of it: {error}")
            return None
    return program


def _mergetrain(root: Path, names: list[str], program: Path) -> Figures:
    """All changes are queued with its approval in advance; then its runner works until the queue is empty."""
    repository, remote = root / "user", root / "remote.git"
    _git(root, "init", "-q", "--bare", "-b", "main", str(remote))
    _git(repository, "remote", "add", "origin", str(remote))
    _git(repository, "push", "-q", "origin", "main")
    for name in names:
        words = ["enqueue", "--task", name, "--branch", name, "--worktree", str(root / name), "--auto", "--json"]
        _run([str(program), *words], repository)
    begun = time.monotonic()
    # It ends with an error when it refused something: what landed is looked at below.
    subprocess.run([program, "daemon", "--once"], cwd=repository, check=False, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begun
    landed = _landed(remote, "main")
    runs = len((root / "runs").read_text().splitlines())
    return Figures(seconds, runs, len(landed), _is_correct(landed))


def _landed(repository: Path, branch: str) -> set[str]:
    """Files that changes added."""
    names = _git(repository, "ls-tree", "-r", "--name-only", branch).split()
    return {name for name in names if name.startswith(("file-", "bad/"))}


def _is_correct(landed: set[str]) -> bool:
    return len(landed) == CHANGES - BAD and not any(name.startswith("bad/") for name in landed)


def _git(folder: Path, *words: str) -> str:
    return _run(["git", *words], folder)


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def _report(found: dict[str, list[Figures]], seeds: Sequence[int]) -> None:
    bits = math.log2(math.comb(CHANGES, BAD))
    stacked = math.ceil(bits / math.log2(SLOTS + 1)) * GATE_SECONDS
    bounds = {
        "any strategy": math.ceil(bits / SLOTS) * GATE_SECONDS,
        "stacked runs": stacked,
        "a run for each change": CHANGES / SLOTS * GATE_SECONDS,
    }
    print(f"{CHANGES} changes, {BAD} bad, gate {GATE_SECONDS:g} s, {SLOTS} slots, mean of {len(seeds)} orders")
    for name, figures in found.items():
        seconds = statistics.mean(one.seconds for one in figures)
        runs = statistics.mean(one.runs / max(one.landed, 1) for one in figures)
        correct = "every good one landed, no bad one" if all(one.correct for one in figures) else "WRONG RESULT"
        print(f"{name:18} {seconds:6.1f} s   {runs:.2f} gate runs a landed change   {correct}")
    ours = statistics.mean(one.seconds for one in found["tapeout"])
    for name, bound in bounds.items():
        print(f"lower bound, {name:22} {bound:5.1f} s   ours is {ours / bound:.2f} x")
    for name, figures in found.items():
        if name != "tapeout":
            print(f"ours against {name:18} {statistics.mean(one.seconds for one in figures) / ours:.1f} x faster")
    rounds = statistics.mean(_rounds(seed) for seed in seeds) * GATE_SECONDS
    print(f"queue overhead a change  {(ours - rounds) / CHANGES * 1000:.0f} ms   (goal <= 150 ms)")


def _rounds(seed: int) -> float:
    """Rounds of gate runs that our plan takes for these changes when nothing but the gate takes time."""
    bad = {f"c{number}" for number in random.Random(seed).sample(range(CHANGES), BAD)}
    return Simulation(numbered(CHANGES), lambda tree: not bad.intersection(tree), slots=SLOTS).run().seconds


def _planner() -> None:
    now = Situation(numbered(1000), SLOTS, 0.9, 900.0)
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        plan(now)
        taken.append(time.perf_counter() - begun)
    worst = max(taken) * 1000
    print(
        f"planning with 1,000 queued changes  p50 {statistics.median(taken) * 1000:.2f} ms, max {worst:.2f} ms", end=""
    )
    print("   (goal <= 10 ms)")
    sizes = {slots: json.dumps([len(run) for run in plan(Situation(numbered(1000), slots, 0.9, 900.0)).start])
             for slots in (1, 2, 4)}  # fmt: skip
    print("first combinations at a pass rate of 90 %: " + "; ".join(f"{s} slots {sizes[s]}" for s in sizes))


if __name__ == "__main__":
    main()
