"""How long the tracker's commands take, whole process, next to the peer microbeads in the same run.

    python -m bench.tracker_cli [--sizes 1000,10000,100000] [--runs 20] [--json]

Installs the peer, pinned, into `.cache/bench` of this checkout. Both get private trackers with the same issues: 70 %
are closed, 30 % have one dependency. All commands on all sizes take turns, so that a machine that is slow for a while
is slow for all of them. The peer reads through a cache that every write makes invalid; it is measured with the cache
filled.

`ready` and `list` are what a person or agent types, and show 50; what `all` or `open` stands behind shows every such
issue, as the peer always does. Flat is ours with the most issues against ours with the fewest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.fill_microbeads import BODY, CLOSED, DEPENDS
from tapeout.base.paths import find_repository, state_paths
from tapeout.tracker import Draft, Tracker

PEER = "microbeads-0.3.0"
CACHE = Path(__file__).parents[1] / ".cache" / "bench"
TAPEOUT = str(Path(sys.executable).with_name("tapeout"))
BARE = "python -c pass"

PEER_SECONDS = 120.0
"""How long the peer may take at one size; where it is slow it gets fewer turns than we do."""

FEWEST_TURNS = 3

Command = Callable[[], Sequence[str]]


class Row(NamedTuple):
    """A command, ours and the peer's."""

    ours: Command
    peer: Command | None


class Site(NamedTuple):
    """The two trackers of one size, and what is measured on them."""

    root: Path
    rows: dict[str, Row]
    times: dict[str, tuple[list[float], list[float]]]
    """Row to our times and the peer's, in ms."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="how many issues; default 1000,10000,100000")
    parser.add_argument("--runs", type=int, default=20, help="of each command; default 20")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    programs = _install()
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        _isolate(folder)
        sizes = sorted({int(size) for size in arguments.sizes.split(",")})
        sites = {size: _prepare(Path(folder, f"bench-{size}"), size, programs) for size in sizes}
        _measure(list(sites.values()), str(programs / "mb"), arguments.runs)
        for site in sites.values():
            _wait_for_flush(site.root)
    report = _report(sites)
    print(json.dumps(report) if arguments.json else _page(report))


def _install() -> Path:
    """The folder of the peer's programs, installed when it is not there yet."""
    programs = CACHE / PEER / "bin"
    done = CACHE / PEER / "installed"
    if not done.exists():
        print(f"installing {PEER} into {CACHE} (once) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", CACHE / PEER], check=True)
        pip = [str(programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--requirement", Path(__file__).with_name("requirements-peer.txt")], check=True)
        done.touch()
    return programs


def _isolate(folder: str) -> None:
    """An environment in which nothing of the user's is touched, and both keep their compiled modules."""
    os.environ |= {"TAPEOUT_HOME": f"{folder}/state", "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
    for name in [name for name in os.environ if name.startswith(("PYTHON", "TAPEOUT_")) and name != "TAPEOUT_HOME"]:
        del os.environ[name]
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}


def _prepare(root: Path, size: int, programs: Path) -> Site:
    print(f"preparing {size:,} issues ...", file=sys.stderr)
    subprocess.run(["git", "init", "-q", "-b", "main", root], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "Start"], cwd=root, check=True)
    rows = _rows(_fill_ours(root, size), _fill_peer(root, size, programs), str(programs / "mb"))
    return Site(root, rows, {name: ([], []) for name in rows})


def _fill_ours(root: Path, size: int) -> list[str]:
    with Tracker.open(state_paths(find_repository(str(root))), "bench") as tracker:
        drafts = []
        for number in range(size):
            tens, digit = divmod(number, 10)
            depends = (str(tens * 10 + DEPENDS[digit]),) if digit in DEPENDS else ()
            drafts.append(Draft(f"Issue {number}", body=BODY, name=str(number), depends_on=depends))
        made = [issue.id for issue in tracker.create_many(drafts)]
        for number, identity in enumerate(made):
            if number % 10 < CLOSED:
                tracker.close_issue(identity)
        tracker.flush()
    return made


def _fill_peer(root: Path, size: int, programs: Path) -> list[str]:
    subprocess.run([programs / "mb", "init"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    filler = Path(__file__).with_name("fill_microbeads.py")
    done = subprocess.run([programs / "python", filler, root, str(size)], check=True, stdout=subprocess.PIPE)
    names: list[str] = json.loads(done.stdout)
    return names


def _rows(ours: list[str], theirs: list[str], mb: str) -> dict[str, Row]:
    def row(own: Callable[[], Sequence[str]], other: Callable[[], Sequence[str]] | None) -> Row:
        peer = None if other is None else lambda: [mb, "--json", *other()]
        return Row(lambda: [TAPEOUT, *own(), "--json"], peer)

    shown = len(ours) - 2
    claims, peer_claims = _every_tenth(ours, 7), _every_tenth(theirs, 7)
    closes, peer_closes = _every_tenth(ours, 9), _every_tenth(theirs, 9)
    return {
        BARE: Row(lambda: [sys.executable, "-c", "pass"], None),
        "create": row(lambda: ["issue", "new", "One more"], lambda: ["create", "One more"]),
        "claim": row(lambda: ["claim", next(claims)], lambda: ["update", next(peer_claims), "--status", "in_progress"]),
        "close": row(lambda: ["issue", "close", next(closes)], lambda: ["close", next(peer_closes)]),
        "show": row(lambda: ["issue", "show", ours[shown]], lambda: ["show", theirs[shown]]),
        "ready": row(lambda: ["ready"], lambda: ["ready"]),
        "ready all": row(lambda: ["ready", "--limit", "0"], lambda: ["ready"]),
        "list": row(lambda: ["issue", "list"], None),
        "list open": row(lambda: ["issue", "list", "--limit", "0"], lambda: ["list", "--status", "open"]),
        "digest": row(lambda: ["digest"], None),
        "list all": row(lambda: ["issue", "list", "--status", "all", "--limit", "0"], lambda: ["list"]),
    }


def _every_tenth(names: list[str], first: int) -> Iterator[str]:
    """Open issues that wait for nothing."""
    return iter(names[first::10])


def _measure(sites: Sequence[Site], mb: str, runs: int) -> None:
    """All commands on all sizes in turns; the peer stays out of the later ones where it is slow."""
    peer_runs = [runs] * len(sites)
    for turn in range(runs + 1):
        for index, site in enumerate(sites):
            started = time.perf_counter()
            _take_turn(site, mb, with_peer=turn <= peer_runs[index])
            if not turn:  # it compiled modules and filled caches: not counted
                seconds = time.perf_counter() - started
                peer_runs[index] = min(runs, max(FEWEST_TURNS, int(PEER_SECONDS / seconds)))
                for times in site.times.values():
                    times[0].clear()
                    times[1].clear()


def _take_turn(site: Site, mb: str, *, with_peer: bool) -> None:
    for name, row in site.rows.items():
        if with_peer and name == "show":  # the first that only reads
            subprocess.run([mb, "--json", "list"], cwd=site.root, check=True, stdout=subprocess.DEVNULL)
        site.times[name][0].append(_time(row.ours, site.root))
        if row.peer is not None and with_peer:
            site.times[name][1].append(_time(row.peer, site.root))


def _time(command: Command, root: Path) -> float:
    words = command()
    started = time.perf_counter()
    subprocess.run(words, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def _wait_for_flush(root: Path) -> None:
    """Until the background flush of the last command has ended, so that the folder can go."""
    with Tracker.open(state_paths(find_repository(str(root))), "bench") as tracker:
        while tracker.has_outbox():
            tracker.flush()
            time.sleep(0.05)


def _report(sites: dict[int, Site]) -> dict[str, Any]:
    report: dict[str, Any] = {"unit": "ms", "sizes": {}}
    for size, site in sites.items():
        rows = {}
        for name, (ours, peer) in site.times.items():
            own, other = statistics.median(ours), statistics.median(peer) if peer else None
            rows[name] = {"ours": own, "peer": other, "ratio": other / own if other else None}
        ours, peer = site.times["show"]
        report["sizes"][str(size)] = {"runs": len(ours), "peer_runs": len(peer), "rows": rows}
    report["flat"] = _flat(list(report["sizes"].values()))
    return report


def _flat(sizes: list[dict[str, Any]]) -> dict[str, float]:
    """Ours with the most issues against ours with the fewest; of what does not print them all."""
    fewest, most = sizes[0]["rows"], sizes[-1]["rows"]
    return {name: most[name]["ours"] / fewest[name]["ours"] for name in most if not name.endswith((" all", " open"))}


def _page(report: dict[str, Any]) -> str:
    lines = []
    for size, measured in report["sizes"].items():
        runs, peer_runs = measured["runs"], measured["peer_runs"]
        note = "" if peer_runs == runs else f" (peer: {peer_runs}, it is slow here)"
        lines += [
            f"{int(size):,} issues, median of {runs} runs{note}, ms",
            f"{'':16}{'ours':>9}{'peer':>9}{'ratio':>8}",
        ]
        for name, row in measured["rows"].items():
            peer = "" if row["peer"] is None else f"{row['peer']:9.1f}{row['ratio']:7.1f}x"
            lines.append(f"{name:16}{row['ours']:9.1f}{peer}")
        lines.append("")
    first, *_, last = [f"{int(size):,}" for size in [*report["sizes"], *report["sizes"]]]
    lines.append(f"flat: ours with {last} issues against {first}")
    lines += [f"{name:16}{ratio:8.2f}x" for name, ratio in report["flat"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
