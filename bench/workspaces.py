"""How long a workspace of a large repository takes: `python -m bench.workspaces`. Prints one line a figure; nothing is
asserted.

20,000 files; a layer over a shared checkout (the first one apart, which makes the checkout), a clone with linked
objects, and `git worktree add` as baseline, one after the other on the same machine. Before that, what a sandbox adds
to a start, and what a network that leads to some hosts only adds to that.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from tapeout import workspaces
from tapeout.base.egress import Filtered, Gateway
from tapeout.base.git import ensure_bare, import_objects, resolve
from tapeout.base.hosts import allow_list
from tapeout.base.paths import StatePaths
from tapeout.base.sandbox import UNCONFINED, Confined, Confinement, Overlay, Policy, Sandbox, detect, run_confined

FILES, LINES, RUNS = 20_000, 200, 9


def repository(folder: Path, files: int) -> StatePaths:
    """A state directory whose hub holds a repository of so many files, 10 kB each."""
    source = folder / "source"
    for number in range(files):
        path = source / f"d{number // 100}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{number} {line} {'x' * 40}\n" for line in range(LINES)))
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@x", *words], cwd=source, check=True)
    paths = StatePaths(str(folder / "state"))
    import_objects(ensure_bare(paths.hub), str(source), ["+refs/heads/*:refs/heads/*"])
    return paths


def milliseconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def several(action: Callable[[int], object], runs: int) -> float:
    """The median of several runs, in milliseconds."""
    return statistics.median(milliseconds(lambda number=number: action(number)) for number in range(runs))  # type: ignore[misc]


def run(confinement: Confinement, folder: str, *argv: str) -> str:
    """Run a command; what it printed."""
    env = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1"}
    return run_confined(confinement, argv, cwd=folder, env=env, timeout=600).output


def measure_workspaces(paths: StatePaths, sandbox: Sandbox, runs: int) -> None:
    """Layer, clone and worktree."""
    base = resolve(ensure_bare(paths.hub), "refs/heads/main")
    assert base is not None
    worktrees = os.path.join(paths.root, "worktrees")

    def worktree(number: int) -> None:
        words = ["git", "-C", paths.hub, "worktree", "add", "-q", "--detach", f"{worktrees}/{number}", base]
        subprocess.run(words, check=True)

    tree = several(worktree, 3)
    shutil.rmtree(worktrees)
    clone = several(lambda number: workspaces.create(paths, f"clone{number}", base), 3)
    for number in range(3):
        workspaces.remove(paths, f"clone{number}")
    print(f"git worktree add       {tree:9.1f} ms")
    print(f"clone, objects linked  {clone:9.1f} ms")
    if not workspaces.layers_work(paths, sandbox):
        print("layers do not work here")
        return
    first = milliseconds(lambda: workspaces.create(paths, "first", base, layered=True))
    layer = several(lambda number: workspaces.create(paths, f"layer{number}", base, layered=True), runs)
    print(f"first layer            {first:9.1f} ms   with the checkout that all share")
    print(f"layer                  {layer:9.1f} ms   {tree / layer:.0f} times faster than a worktree")
    one = workspaces.open_workspace(paths, "layer0")
    assert one.layer is not None
    over = Overlay(one.code, one.layer.tree, one.written, one.scratch)
    inside = Confined(sandbox, Policy(writable=(one.code,), overlays=(over,)))
    print(f"first git status       {milliseconds(lambda: run(inside, one.code, 'git', 'status', '--short')):9.1f} ms")
    run(inside, one.code, "sh", "-c", "echo x >> d0/f0.txt; rm -r d1")
    print(f"pull of a small change {milliseconds(lambda: workspaces.pull(one)):9.1f} ms")
    print(f"removal                {milliseconds(lambda: workspaces.remove(paths, 'layer0')):9.1f} ms")


def measure_starts(sandbox: Sandbox, runs: int) -> None:
    """What confining adds to the start of a program."""
    with tempfile.TemporaryDirectory() as folder:
        plain = several(lambda _: run(UNCONFINED, folder, "/bin/true"), runs)
        confined = Confined(sandbox, Policy(writable=(folder,)))
        inside = several(lambda _: run(confined, folder, "/bin/true"), runs)
        print(f"start of a program     {plain:9.1f} ms")
        print(f"in {sandbox.name:20}{inside:9.1f} ms   {inside - plain:+.1f}")
        if sandbox.isolates_network:
            filtered = anyio.run(_filtered, confined, folder, runs)
            print(f"network to some hosts  {filtered:9.1f} ms   {filtered - plain:+.1f}")


async def _filtered(confined: Confined, folder: str, runs: int) -> float:
    gateway = Gateway(allow_list(["example.org"]))
    filtered = Filtered(confined, gateway)
    try:
        return await anyio.to_thread.run_sync(lambda: several(lambda _: run(filtered, folder, "/bin/true"), runs))
    finally:
        await gateway.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    sandbox = detect()
    if not isinstance(sandbox, Sandbox):
        sys.exit(f"no sandbox here: {sandbox.reason}")
    measure_starts(sandbox, arguments.runs)
    with tempfile.TemporaryDirectory() as folder:
        measure_workspaces(repository(Path(folder), arguments.files), sandbox, arguments.runs)


if __name__ == "__main__":
    main()
