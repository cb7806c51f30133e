"""Sessions with real agent processes, and the promise that none outlives its test."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tapeout.agents import AgentSpec, Entry, Session, Transcript, Update, open_session, read_transcript
from tapeout.agents.scripted import PROGRAM
from tapeout.base.processes import become_subreaper, end_descendants
from tests.support.processes import words_of

SCRIPTED = (sys.executable, "-I", "-S", PROGRAM)

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: how long an example takes says nothing on a busy machine."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    become_subreaper()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    started = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    left = psutil.wait_procs([child for child in started if child.status() != "zombie"], timeout=2)[1]
    names = [f"{child.pid} {words}" for child in left if (words := words_of(child))]
    end_descendants(grace=0, keep=before)
    assert not names


@dataclass
class FakeTerminal:
    """A terminal recording in memory."""

    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.data += data

    def line(self, text: str) -> None:
        assert "\n" not in text
        self.data += text.encode() + b"\r\n"

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass
class Bench:
    """A folder to work in, and all that was heard from the sessions opened on it."""

    folder: Path
    env: dict[str, str]
    transcript: Transcript
    updates: list[Update] = field(default_factory=list)
    terminal: FakeTerminal = field(default_factory=FakeTerminal)
    listeners: list[Callable[[Update], None]] = field(default_factory=list)

    def hear(self, update: Update) -> None:
        self.updates.append(update)
        for listener in self.listeners:
            listener(update)

    def open(self, spec: AgentSpec, **options: Any) -> AbstractAsyncContextManager[Session]:
        options = {"permissions": "allow", "start_timeout": 20.0, **options}
        return open_session(
            spec,
            cwd=str(self.folder),
            env=self.env,
            on_update=self.hear,
            transcript=self.transcript,
            terminal=self.terminal,
            **options,
        )

    @asynccontextmanager
    async def scripted(self, env: Mapping[str, str] | None = None, **options: Any) -> AsyncIterator[Session]:
        async with self.open(AgentSpec("scripted", "acp", SCRIPTED, env=env or {}), **options) as session:
            yield session

    def program(self, source: str, **options: Any) -> AgentSpec:
        """An ACP agent that is this Python program."""
        path = self.folder.parent / "agent.py"
        path.write_text(source)
        return AgentSpec("custom", "acp", (sys.executable, "-I", str(path)), **options)

    def of(self, kind: type[Any]) -> list[Any]:
        return [update for update in self.updates if isinstance(update, kind)]

    def entries(self) -> list[Entry]:
        self.transcript.flush()
        return [entry for _, entry in read_transcript(self.transcript.path)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    python = str(Path(sys.executable).parent)
    env = {"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TAPEOUT_ATTEMPT": "test"}
    with Transcript(str(tmp_path / "transcript.jsonl")) as transcript:
        yield Bench(folder, env, transcript)


def script(*steps: str, turn: str = "") -> str:
    """A prompt with a script of one turn; each step is TOML lines."""
    return fence("[[turn]]\n" + turn + "\n".join(f"[[turn.step]]\n{step}" for step in steps))


def fence(text: str) -> str:
    return f"Do as the script says.\n\n````tapeout-script\n{text}\n````\n"
