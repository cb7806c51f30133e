"""Agents that are any program: it takes a prompt, works in the current folder, and exits. Each prompt is one process.

The program sees a terminal, which is recorded. The prompt takes the place of `{prompt}` in an argument; without that
it is standard input.

What may go wrong: the program fails. That ends the turn with `error`, for its work may be good all the same. Only a
program that cannot be started is an `AgentError`.
"""

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio

from tapeout.agents.errors import AgentError
from tapeout.agents.program import find_program
from tapeout.agents.recorder import Recorder
from tapeout.agents.render import plain
from tapeout.agents.session import ANSWER_TAIL, AgentSpec, TurnResult
from tapeout.agents.updates import Failure, Notice, Text
from tapeout.agents.windows import configured_model
from tapeout.base.ids import new_id
from tapeout.base.pty import Terminal as Pty
from tapeout.base.sandbox import Confinement

PLACEHOLDER = "{prompt}"

ARGUMENT_LIMIT = 128 * 1024 - 1
"""Bytes of the longest argument that Linux takes."""

TERMINATE_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_OUTPUT_TAIL = 4 * ANSWER_TAIL


@asynccontextmanager
async def command_session(
    spec: AgentSpec, *, cwd: str, env: Mapping[str, str], recorder: Recorder, confinement: Confinement
) -> AsyncIterator["CommandSession"]:
    """A session with a program; see `open_session`. Nothing runs until the first prompt."""
    session = CommandSession(spec, find_program(spec, cwd, env), cwd, env, recorder, confinement)
    try:
        yield session
    finally:
        await session.close()


class CommandSession:
    """Prompts to one program. The program itself remembers nothing between them, except in the folder."""

    def __init__(
        self,
        spec: AgentSpec,
        program: str,
        cwd: str,
        env: Mapping[str, str],
        recorder: Recorder,
        confinement: Confinement,
    ) -> None:
        self._spec = spec
        self._program = program
        self._cwd = cwd
        self._env = env
        self._recorder = recorder
        self._confinement = confinement
        self._id = f"command-{new_id()}"
        self._running: Pty | None = None
        self._cancelled = anyio.Event()
        self._output = bytearray()

    @property
    def id(self) -> str:
        """A name of our own."""
        return self._id

    @property
    def can_resume(self) -> bool:
        """There is nothing to go on with."""
        return False

    @property
    def model(self) -> str:
        """What its command line or environment chooses."""
        return configured_model(self._spec.command, self._spec.env)

    async def prompt(self, text: str) -> TurnResult:
        """Run the program once; see `Session.prompt`."""
        if self._running is not None:
            raise AgentError(f"{self._spec.name}: the last turn has not ended")
        self._recorder.prompted(text)
        self._output.clear()
        self._cancelled = anyio.Event()
        try:
            code = await self._run(text)
        except anyio.get_cancelled_exc_class():
            self._recorder.turn_ended("interrupted")
            raise
        finally:
            self._running = None
            self._recorder.flush()
        return self._result(code)

    async def cancel(self) -> None:
        """End the running program."""
        self._cancelled.set()

    async def close(self) -> None:
        """Nothing runs between prompts."""
        self._recorder.flush()

    def write(self, data: bytes | str) -> None:
        """The program printed this to its terminal."""
        raw = data.encode() if isinstance(data, str) else data
        self._recorder.terminal.write(raw)
        self._output += raw
        if len(self._output) > 4 * _OUTPUT_TAIL:
            del self._output[:-_OUTPUT_TAIL]

    async def _run(self, text: str) -> int:
        argv, prompt = command_line([self._program, *self._spec.command[1:]], text)
        if any(len(os.fsencode(part)) > ARGUMENT_LIMIT for part in argv):
            failure = AgentError(
                f"{self._spec.name}: a prompt of {len(text):,} characters does not fit into an argument",
                hint=f"leave {PLACEHOLDER} out of its command: then the prompt is standard input",
            )
            self._recorder.note(Failure(failure.message))
            raise failure
        async with Pty(
            argv, cwd=self._cwd, env=self._env, sink=self, prompt=prompt, confinement=self._confinement
        ) as terminal:
            self._running = terminal
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._end_when_cancelled, terminal)
                    code = await terminal.wait()
                    group.cancel_scope.cancel()
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await _end(terminal)
                raise
        return code

    async def _end_when_cancelled(self, terminal: Pty) -> None:
        await self._cancelled.wait()
        terminal.terminate()
        await anyio.sleep(TERMINATE_GRACE)
        _kill(terminal)

    def _result(self, code: int) -> TurnResult:
        output = plain(self._output.decode(errors="replace"))[-ANSWER_TAIL:]
        self._recorder.update(Text(output))
        reason = "end_turn"
        if self._cancelled.is_set():
            reason = "cancelled"
        elif code != 0:
            reason = "error"
            self._recorder.update(Notice(f"{self._spec.name} {_how(code)}"))
        self._recorder.turn_ended(reason)
        return TurnResult(reason, output, self._recorder.meter.usage)


def command_line(command: list[str], prompt: str) -> tuple[list[str], bytes | None]:
    """The argument list for a prompt, and what goes to standard input (None: nothing, the prompt is an argument)."""
    text = prompt.replace("\0", "").encode(errors="replace").decode()
    if not any(PLACEHOLDER in part for part in command[1:]):
        return command, text.encode()
    return [command[0], *(part.replace(PLACEHOLDER, text) for part in command[1:])], None


async def _end(terminal: Pty) -> None:
    terminal.terminate()
    with anyio.move_on_after(TERMINATE_GRACE):
        await terminal.wait()
    _kill(terminal)


def _kill(terminal: Pty) -> None:
    if terminal.process.returncode is None:
        os.killpg(terminal.pid, signal.SIGKILL)


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
