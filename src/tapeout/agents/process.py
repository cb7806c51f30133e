"""The process of an agent that speaks on its standard streams: started, watched, drained, ended.

What may go wrong, and how it is met:
- It floods standard error: everything is read as it comes, only the end is kept.
- It dies while something it started still holds its pipes: its exit is watched by itself, and the end of its output
  is declared a moment later.
- It will not end: closed input, then SIGTERM, then SIGKILL.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Self

import anyio

from tapeout.base.processes import start
from tapeout.base.proctree import terminate_contained
from tapeout.base.sandbox import UNCONFINED, Confinement

STDERR_TAIL = 8192
"""Bytes of standard error kept for messages."""

EXIT_GRACE = 0.3
"""Seconds after a process's end in which its last output is still awaited from a pipe that others hold open."""

CLOSE_GRACE = 0.5
"""Seconds for an agent to end by itself when its input is closed."""

TERMINATE_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL. codex-acp takes 2 to notice."""

POLL = 0.05
"""Seconds between looks at a process where the system cannot tell us of its end."""


class _Tail(asyncio.Protocol):
    """Reads a pipe as fast as it comes, and keeps the end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def data_received(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 4 * self._limit:
            del self._kept[: -self._limit]

    def text(self) -> str:
        return self._kept[-self._limit :].decode(errors="replace")


class AgentProcess:
    """A running agent, made by `start`; `close` ends it."""

    def __init__(
        self, popen: "subprocess.Popen[bytes]", contained: bool = False, resources: contextlib.ExitStack | None = None
    ) -> None:
        self._popen = popen
        self._contained = contained
        self._resources = resources or contextlib.ExitStack()
        self._exited = anyio.Event()
        self._stderr = _Tail(STDERR_TAIL)
        self._transports: list[asyncio.BaseTransport] = []
        self._pidfd = -1
        self._poll: asyncio.TimerHandle | None = None
        self.stdout: asyncio.StreamReader
        self.stdin: asyncio.StreamWriter

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        line_limit: int,
        confinement: Confinement = UNCONFINED,
    ) -> Self:
        """Start it, confined; a line of its output may have `line_limit` bytes.

        Raises:
            EnvironmentProblem: the program or folder is missing, or must not be run.
        """
        pipe = subprocess.PIPE
        with contextlib.ExitStack() as resources:
            launch = resources.enter_context(confinement.launch(argv, cwd))
            popen = start(
                launch.argv,
                cwd=cwd,
                env=env,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                before_exec=launch.before_exec,
                pass_fds=launch.pass_fds,
            )
            process = cls(popen, launch.contained, resources.pop_all())
        await process._connect(line_limit)
        return process

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        code = self._popen.returncode
        # What ran in a process namespace is told as a shell tells it.
        return 128 - code if self._contained and code is not None and 128 < code < 128 + signal.NSIG else code

    @property
    def pid(self) -> int:
        """Process id, and the id of its session and process group."""
        return self._popen.pid

    def stderr(self) -> str:
        """The end of what it printed on standard error."""
        return self._stderr.text()

    async def wait(self, seconds: float) -> bool:
        """Whether it has ended, or does within so many seconds."""
        with anyio.move_on_after(seconds):
            await self._exited.wait()
        return self._exited.is_set()

    async def close(self) -> None:
        """End it, gently first. Safe to call again."""
        with anyio.CancelScope(shield=True):
            self.stdin.close()
            if not await self.wait(CLOSE_GRACE):
                self._signal(signal.SIGTERM)
                if not await self.wait(TERMINATE_GRACE):
                    self._signal(signal.SIGKILL)
                    await self._exited.wait()
        for transport in self._transports:
            transport.close()
        self._resources.close()

    async def _connect(self, line_limit: int) -> None:
        popen, loop = self._popen, asyncio.get_running_loop()
        self._watch(loop)
        self.stdout = asyncio.StreamReader(limit=line_limit)
        protocol = asyncio.StreamReaderProtocol(self.stdout)
        reading, _ = await loop.connect_read_pipe(lambda: protocol, popen.stdout)
        errors, _ = await loop.connect_read_pipe(lambda: self._stderr, popen.stderr)
        # A reader's protocol knows how to wait for a slow pipe; a writer needs no reader of its own.
        writing, flow = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), popen.stdin
        )
        self.stdin = asyncio.StreamWriter(writing, flow, None, loop)
        self._transports = [reading, errors, writing]

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._pidfd = os.pidfd_open(self._popen.pid)
        except (AttributeError, OSError):
            self._look(loop)
        else:
            loop.add_reader(self._pidfd, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._popen.poll() is None:
            if self._pidfd < 0:
                self._poll = loop.call_later(POLL, self._look, loop)
            return
        if self._pidfd >= 0:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._exited.set()
        loop.call_later(EXIT_GRACE, self._end_output)

    def _end_output(self) -> None:
        if self._transports and not self._transports[0].is_closing():
            self._transports[0].close()
            self.stdout.feed_eof()

    def _signal(self, number: signal.Signals) -> None:
        if self._popen.returncode is not None:
            return
        if self._contained and number == signal.SIGTERM:
            terminate_contained(self._popen)
        else:  # until it is reaped, nobody else can have its group's number
            os.killpg(self._popen.pid, number)
