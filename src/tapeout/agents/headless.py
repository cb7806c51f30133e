"""Agents without a terminal or a protocol of their own: each prompt is one process that prints JSON lines.

The program keeps the conversation in its home and goes on with it by name, so a session outlives every process, also
one that was killed. `claude_stream.py` and `codex_stream.py` know the programs.

What may go wrong: the process dies before it has told how its turn ended (`AgentDied`), prints something else
(`AgentProtocolError`), says that its turn failed (`AgentError`), or does not have the conversation any more
(`CannotResume`, from the first prompt). Nobody can be asked while it runs: what is not allowed is denied.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio

from tapeout.agents.choices import Permissions
from tapeout.agents.claude_stream import ClaudeStream
from tapeout.agents.codex_stream import CodexStream
from tapeout.agents.dialects import Dialect, Ending
from tapeout.agents.endings import how_it_ended, last_words
from tapeout.agents.errors import AgentDied, AgentError, CannotResume
from tapeout.agents.lines import LINE_LIMIT, JsonLines
from tapeout.agents.process import AgentProcess
from tapeout.agents.program import find_program
from tapeout.agents.recorder import Recorder
from tapeout.agents.render import plain
from tapeout.agents.session import ANSWER_TAIL, AgentSpec, TurnResult
from tapeout.agents.updates import Failure, Notice, Text
from tapeout.agents.windows import configured_model
from tapeout.base.errors import cause_of
from tapeout.base.sandbox import Confinement

EXIT_SECONDS = 5.0
"""How long a process may take to end after the end of its output."""

_DIALECTS: Mapping[str, type[ClaudeStream] | type[CodexStream]] = {
    "claude-headless": ClaudeStream,
    "codex-headless": CodexStream,
}


@asynccontextmanager
async def headless_session(
    spec: AgentSpec,
    *,
    cwd: str,
    env: Mapping[str, str],
    recorder: Recorder,
    permissions: Permissions,
    confinement: Confinement,
    resume: str | None,
) -> AsyncIterator["HeadlessSession"]:
    """A session with a program; see `open_session`. Nothing runs until the first prompt."""
    dialect = _DIALECTS[spec.driver](resume, configured_model(spec.command, spec.env))
    argv = [find_program(spec, cwd, env), *spec.command[1:]]
    taken_up = resume is not None
    session = HeadlessSession(spec, argv, dialect, cwd, env, recorder, permissions, confinement, taken_up)
    try:
        yield session
    finally:
        await session.close()


class HeadlessSession:
    """Prompts to one program, each a process of its own."""

    def __init__(
        self,
        spec: AgentSpec,
        argv: list[str],
        dialect: Dialect,
        cwd: str,
        env: Mapping[str, str],
        recorder: Recorder,
        permissions: Permissions,
        confinement: Confinement,
        taken_up: bool,
    ) -> None:
        self._spec = spec
        self._argv = argv
        self._dialect = dialect
        self._cwd = cwd
        self._env = env
        self._recorder = recorder
        self._permissions = permissions
        self._confinement = confinement
        self._process: AgentProcess | None = None
        self._taken_up = taken_up
        self._cancelled = False
        self._answer = ""

    @property
    def id(self) -> str:
        """The program's name for the conversation."""
        return self._dialect.session

    @property
    def can_resume(self) -> bool:
        """As soon as it has a name."""
        return bool(self._dialect.session)

    @property
    def model(self) -> str:
        """The model, by the program's word or by its configuration."""
        return self._dialect.model

    async def prompt(self, text: str) -> TurnResult:
        """Run the program once; see `Session.prompt`."""
        if self._process is not None:
            raise AgentError(f"{self._spec.name}: the last turn has not ended")
        self._answer, self._cancelled = "", False
        self._recorder.prompted(text)
        argv = [*self._argv, *self._dialect.arguments(self._permissions)]
        process = await AgentProcess.start(
            argv, cwd=self._cwd, env=self._env, line_limit=LINE_LIMIT, confinement=self._confinement
        )
        self._process = process
        try:
            await self._exchange(process, text)
            ending = await self._ending(process)
        except AgentError as error:
            self._recorder.flush()
            self._recorder.note(Failure(error.message))
            raise
        except anyio.get_cancelled_exc_class():
            self._recorder.turn_ended("interrupted")
            raise
        finally:
            self._process = None
            await process.close()
            self._recorder.flush()
        self._recorder.turn_ended(ending.stop_reason, ending.spent)
        return TurnResult(ending.stop_reason, self._answer, self._recorder.meter.usage)

    async def cancel(self) -> None:
        """End the running process: it keeps the conversation up to there."""
        if self._process is not None:
            self._cancelled = True
            await self._process.close()

    async def close(self) -> None:
        """End what runs."""
        if self._process is not None:
            await self._process.close()
        self._recorder.flush()

    async def _exchange(self, process: AgentProcess, text: str) -> None:
        """Write the prompt and read to the end of the output."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write, process, text)
                await self._listen(process)
                tasks.cancel_scope.cancel()
        except ExceptionGroup as group:
            raise cause_of(group) from group

    async def _listen(self, process: AgentProcess) -> None:
        """Report what the process prints, to the end."""
        lines = JsonLines(self._spec.name, self._dialect.language, process, self._on_stray, _has_type)
        while (message := await lines.next()) is not None:
            for update in self._dialect.read(message):
                if isinstance(update, Text):
                    self._answer = (self._answer + update.text)[-ANSWER_TAIL:]
                self._recorder.update(update)

    async def _ending(self, process: AgentProcess) -> Ending:
        """How the turn ended."""
        if self._cancelled:
            return Ending("cancelled")
        ended = await process.wait(EXIT_SECONDS)
        ending = self._dialect.ending
        if ending is not None and not ending.error:
            return ending
        name, how = self._spec.name, how_it_ended(process.returncode) if ended else "closed its standard output"
        reason = " ".join(plain(ending.error).split())[:500] if ending is not None else ""
        if self._taken_up and not self._dialect.opened:
            raise CannotResume(f"{name}: {reason or how + last_words(process)}", hint="open a new session")
        if reason:
            raise AgentError(f"{name}: {reason}")
        raise AgentDied(f"{name} {how} before its turn had ended{last_words(process)}")

    def _on_stray(self, line: str) -> None:
        self._recorder.update(Notice(f"{self._spec.name} printed a line that is no message: {line}"))


async def _write(process: AgentProcess, text: str) -> None:
    """Give the prompt as standard input; a program that does not read it will tell in its own way."""
    with contextlib.suppress(OSError, RuntimeError):
        process.stdin.write(text.encode(errors="replace"))
        await process.stdin.drain()
        process.stdin.close()


def _has_type(message: Mapping[str, object]) -> bool:
    return isinstance(message.get("type"), str)
