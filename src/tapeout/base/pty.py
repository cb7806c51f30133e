"""Run a program in a terminal of its own and hand what it prints to whoever records it.

What may go wrong: a daemon of the program keeps the terminal open after it ended; we stop reading when the
program itself has ended and what it printed has been taken.
"""

import contextlib
import errno
import fcntl
import os
import signal
import struct
import subprocess
import tempfile
import termios
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Protocol, Self

import anyio

from tapeout.base.processes import start
from tapeout.base.proctree import terminate_contained
from tapeout.base.sandbox import UNCONFINED, Confinement

WIDTH = 120
HEIGHT = 32


class Sink(Protocol):
    """Takes what a terminal shows, such as a recorder."""

    def write(self, data: bytes | str, /) -> object:
        """Take a piece of output as it came."""


class Terminal:
    """A program in a pty: its own session, the pty as its controlling terminal.

    Use as an async context manager; leaving it kills the program itself if it still runs. What the program
    left behind is for `processes.end_descendants`. Without `prompt` the program's standard input is the
    terminal; with it, standard input is a file with that text, and the terminal only shows output.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        sink: Sink,
        prompt: bytes | None = None,
        width: int = WIDTH,
        height: int = HEIGHT,
        confinement: Confinement = UNCONFINED,
    ) -> None:
        self._argv, self._cwd, self._env = argv, cwd, env
        self._confinement, self._contained = confinement, False
        self._resources = contextlib.ExitStack()
        self._sink, self._prompt, self._size = sink, prompt, (width, height)
        self._master = -1
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start the program.

        Raises:
            EnvironmentProblem: the program or the folder is missing.
        """
        self._master, slave = os.openpty()
        try:
            self._resize(*self._size)
            os.set_blocking(self._master, False)
            with contextlib.ExitStack() as stack:
                stdin = slave
                if self._prompt is not None:
                    stdin = stack.enter_context(_as_file(self._prompt)).fileno()
                launch = self._resources.enter_context(self._confinement.launch(self._argv, self._cwd))
                self._contained = launch.contained
                self._process = start(
                    launch.argv,
                    cwd=self._cwd,
                    env=self._env,
                    stdin=stdin,
                    stdout=slave,
                    stderr=slave,
                    controlling_terminal=1,
                    before_exec=launch.before_exec,
                    pass_fds=launch.pass_fds,
                )
        except BaseException:
            self._resources.close()
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._resources.close()
        os.close(self._master)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The program."""
        if self._process is None:
            raise RuntimeError("the terminal was not entered")
        return self._process

    @property
    def pid(self) -> int:
        """Of the program."""
        return self.process.pid

    def type(self, keys: bytes) -> None:
        """Type on the terminal's keyboard; what does not fit into its buffer is dropped."""
        with contextlib.suppress(OSError):
            os.write(self._master, keys)

    def terminate(self) -> None:
        """Ask the program's process group to end."""
        if self._contained:
            terminate_contained(self.process)
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)

    async def wait(self) -> int:
        """Copy output until the program ends; its exit code, negative if a signal ended it."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._copy)
            await _wait_process(self.process)
            group.cancel_scope.cancel()
        self._take()
        return self.process.wait()

    async def _copy(self) -> None:
        while self._take():
            await anyio.wait_readable(self._master)

    def _take(self) -> bool:
        """Hand over what is there; False when nobody has the terminal open any more."""
        for _ in range(256):  # let others run even when the program prints without end
            try:
                chunk = os.read(self._master, 65536)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno == errno.EIO:
                    return False
                raise
            if not chunk:
                return False
            self._sink.write(chunk)
        return True

    def _resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def _as_file(content: bytes) -> "contextlib.AbstractContextManager[IO[bytes]]":
    """An unnamed file that holds `content`, to be read from its start."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    file.write(content)
    file.seek(0)
    return file


async def _wait_process(process: "subprocess.Popen[bytes]") -> None:
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        while process.poll() is None:  # noqa: ASYNC110  a system without pidfd has no event to wait for
            await anyio.sleep(0.05)
        return
    pidfd = opener(process.pid)
    try:
        await anyio.wait_readable(pidfd)
    finally:
        os.close(pidfd)
