"""How far sessions get past their context limit: `python -m bench.context`. Prints one line a figure.

Sessions are scripted; what they report is drawn with a fixed seed: each request to the model adds a log-normal number
of tokens, half of them at most 1,500, one of twenty more than 10,000, none more than 25,000 (where agents cut the
output of their tools). A request takes 6 s; here a thirtieth of that, and so does the grace. A turn has 30 more of them
from near the limit.

Ways to stop are compared in the same run: not at all, at once, with the default grace, in which the turn may end by
itself, and with one of 30 s. And, on more sessions without processes, what no meter can help: the tokens that one
report adds.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tapeout.agents import Usage, read_transcript
from tapeout.base.paths import StatePaths, find_repository, state_paths
from tapeout.config import FloorConfig
from tapeout.floor.context.curve import JudgedContext, curves
from tapeout.floor.context.limits import ContextLimits
from tapeout.floor.context.meter import ContextMeter
from tapeout.tracker import Draft, Tracker

WINDOW = 200_000
LIMIT, CEILING = FloorConfig().context_limit, FloorConfig().context_ceiling
SCALE = 30.0
REQUEST_SECONDS = 6.0 / SCALE
SESSIONS = 24
SIMULATED = 20_000
REQUESTS = 30
"""Of a turn after the session has come near its limit."""

MEDIAN_STEP, SIGMA, LONGEST_STEP = 1_500, 1.15, 25_000
CONFIG = """
[project]
branch = "main"
[floor]
agent = "scripted"
workers = 6
handoff_timeout = "20s"
{limits}
[[check]]
name = "sound"
kind = "custom"
run = "true"
"""


def main() -> None:
    """Run all measurements in a temporary folder."""
    _simulated()
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder:
        os.environ |= {"TAPEOUT_HOME": f"{folder}/state", "HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            os.environ |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"}
        graces = {"at once": 0.03, "default grace": FloorConfig().context_grace, "grace of 30 s": 30.0}
        ways = {"never stopped": "context_limit = 1.0\ncontext_ceiling = 1.0"}
        ways |= {name: f'context_grace = "{seconds / SCALE * 1000:.0f}ms"' for name, seconds in graces.items()}
        found = {way: _overshoots(Path(folder, way.replace(" ", "-")), limits) for way, limits in ways.items()}
    for way, overshoots in found.items():
        _print(f"{SESSIONS} sessions, {way}", overshoots)
    never, default = (_quantile(found[way], 0.95) for way in ("never stopped", "default grace"))
    print(f"p95 past the limit, never stopped against default   {never / max(default, 1):.1f} x")
    _curve_speed()


def _steps(chance: random.Random, number: int) -> list[int]:
    """Tokens that each request adds."""
    return [min(LONGEST_STEP, 50 + int(MEDIAN_STEP * chance.lognormvariate(0, SIGMA))) for _ in range(number)]


def _simulated() -> None:
    chance, overshoots = random.Random(1), []
    for _ in range(SIMULATED):
        meter, used = ContextMeter(ContextLimits(LIMIT, CEILING, 0), WINDOW), 12_000
        while meter.update(Usage(used, WINDOW), 0) is None:
            used += _steps(chance, 1)[0]
        overshoots.append(used - LIMIT * WINDOW)
    _print(f"{SIMULATED:,} simulated, the report that reaches it", overshoots)


def _overshoots(root: Path, limits: str) -> list[float]:
    """Tokens past the limit of the first session of each issue."""
    root.mkdir()
    (root / "tapeout.toml").write_text(CONFIG.format(limits=limits))
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Start")):
        subprocess.run(["git", *words], cwd=root, check=True)
    paths, chance = state_paths(find_repository(str(root))), random.Random(2)
    with Tracker.open(paths, "bench") as tracker:
        drafts = [Draft(f"Issue {number}", body=_script(chance, number)) for number in range(SESSIONS)]
        issues = [issue.id for issue in tracker.create_many(drafts)]
        command = [sys.executable, "-m", "tapeout", "up", "--until-idle", "--json"]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
        return [_highest(paths, tracker.attempts(issue)[0].id) - LIMIT * WINDOW for issue in issues]


def _script(chance: random.Random, number: int) -> str:
    used, steps = int(LIMIT * WINDOW) - 6_000, [{"write": f"begun-{number}", "text": "1\n"}]
    for added in _steps(chance, REQUESTS):
        used = min(used + added, WINDOW - 1)
        line = {"append": f"begun-{number}", "text": f"{used}\n"}
        steps += [line, {"usage": used}, {"sleep": REQUEST_SECONDS}]  # type: ignore[dict-item]
    turns = ["[[turn]]\nsession = 1", *map(_step, steps), "[[turn]]\nsession = 1", _step({"say": "Nothing to add."})]
    turns += ["[[turn]]\nsession = 2", _step({"write": f"ended-{number}", "text": "1\n"})]
    return "\n".join(["```tapeout-script", *turns, "```"])


def _step(fields: "dict[str, str]") -> str:
    return "\n".join(["[[turn.step]]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items())])


def _highest(paths: StatePaths, attempt: str) -> int:
    """The fullest context that an attempt reported."""
    transcript = read_transcript(os.path.join(paths.transcripts, f"{attempt}.jsonl"))
    return max((entry.used for _, entry in transcript if isinstance(entry, Usage)), default=0)


def _curve_speed() -> None:
    chance = random.Random(3)
    verdicts = [JudgedContext("codex", "m", chance.random(), chance.random() < 0.7) for _ in range(10_000)]
    begun = time.perf_counter()
    curves(verdicts)
    print(f"curve of 10,000 verdicts                            {(time.perf_counter() - begun) * 1000:.0f} ms")


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _print(name: str, values: Sequence[float]) -> None:
    p50, p95 = statistics.median(values), _quantile(values, 0.95)
    print(f"{name:52}p50 {p50:7,.0f}, p95 {p95:7,.0f} tokens past the limit of {LIMIT * WINDOW:,.0f}", flush=True)


if __name__ == "__main__":
    main()
