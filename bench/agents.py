"""What driving an agent costs: `python -m bench.agents [CODEX_ACP]`. Prints one line a figure; nothing is asserted.

The start of a session (process, handshake, session, mode) and the round trip of a turn without work, of a real
`codex-acp` with a model on 127.0.0.1 that answers at once, beside the same of an agent of our own that has nothing to
load: what is left of the difference is the agent's. The program is installed into `.cache` if none is named.
"""

import os
import statistics
import sys
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import anyio
import psutil
from tests.real.codex import FULL_ACCESS, codex_environment
from tests.support.install_agents import install_codex
from tests.support.model_server import ModelServer

from tapeout import agents
from tapeout.agents.scripted import PROGRAM

STARTS = 15
TURNS = 30


class _Screen:
    def write(self, data: bytes) -> None:
        """Forget it."""

    def line(self, text: str) -> None:
        """Forget it."""


def main() -> None:
    """Measure both, one after the other."""
    program = sys.argv[1] if len(sys.argv) > 1 else str(install_codex())
    agents.preload()
    with tempfile.TemporaryDirectory(prefix="tapeout-bench-") as folder, ModelServer() as server:
        environment = codex_environment(Path(folder, "home"), server.url)
        codex = agents.AgentSpec("codex-acp", "acp", (program,), environment, mode=FULL_ACCESS)
        scripted = agents.AgentSpec("scripted", "acp", (sys.executable, "-I", "-S", PROGRAM))
        figures = {spec.name: anyio.run(partial(_measure, spec, folder)) for spec in (scripted, codex)}
    for what in figures["scripted"]:
        ours, theirs = figures["scripted"][what], figures["codex-acp"][what]
        print(f"{what:<38} codex-acp {theirs:8.1f}   scripted {ours:8.1f}   ratio {theirs / ours:5.1f}")


async def _measure(spec: agents.AgentSpec, folder: str) -> dict[str, float]:
    starts = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        async with _session(spec, folder):
            starts.append(time.perf_counter() - begun)
    turns = []
    async with _session(spec, folder) as session:
        for _ in range(TURNS + 1):
            begun = time.perf_counter()
            await session.prompt("Nothing.")
            turns.append(time.perf_counter() - begun)
        memory = sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))
    starts.sort()
    return {
        "start of a session, ms, p50": 1000 * statistics.median(starts),
        "start of a session, ms, p95": 1000 * starts[int(0.95 * (len(starts) - 1))],
        "round trip of a turn, ms, p50": 1000 * statistics.median(turns[1:]),  # the first one loads
        "memory of the agent, MB": memory / 2**20,
    }


def _session(spec: agents.AgentSpec, folder: str) -> AbstractAsyncContextManager[agents.Session]:
    work = tempfile.mkdtemp(dir=folder)
    return agents.open_session(
        spec,
        cwd=work,
        env={"PATH": os.environ["PATH"], "TMPDIR": work, "HOME": work},
        on_update=lambda _: None,
        transcript=agents.Transcript(os.path.join(work, "transcript.jsonl")),
        terminal=_Screen(),
    )


if __name__ == "__main__":
    main()
