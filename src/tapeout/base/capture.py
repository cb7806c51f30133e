"""Following a process that runs: what it prints, when it ends, and whether it may go on."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import Self

WATCH_SECONDS = 0.1
"""How often a run that is watched is looked at: a program can take a few hundred megabytes in that time."""

TIMED_OUT = "timeout"


class Output:
    """The first and the last bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._half = max(keep // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0
        self.total = 0
        """How many bytes there were so far."""

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.total += len(chunk)
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 4 * self._half:
            self._trim()

    def _trim(self) -> None:
        surplus = max(len(self._tail) - self._half, 0)
        del self._tail[:surplus]
        self._cut += surplus

    def text(self) -> tuple[str, int]:
        """What was kept, with a line where something is missing, and how many bytes are missing."""
        self._trim()
        note = f"\n[... {self._cut} bytes of output cut here ...]\n".encode() if self._cut else b""
        return bytes(self._head + note + self._tail).decode(errors="replace"), self._cut


def follow(process: "subprocess.Popen[bytes]", output: Output, deadline: float, ask: Callable[[], str] | None) -> str:
    """Collect output until the process ends; why it has to be ended if it did not: `TIMED_OUT` after the deadline, or
    what `ask` says, which is asked every `WATCH_SECONDS`."""
    look = time.monotonic() + WATCH_SECONDS if ask is not None else deadline
    with _Waiting(process, output) as waiting:
        while (now := time.monotonic()) < deadline:
            if ask is not None and now >= look:
                if reason := ask():
                    return reason
                look = time.monotonic() + WATCH_SECONDS
            if waiting.ended_within(min(look, deadline) - now):
                return ""
    return TIMED_OUT


class _Waiting:
    """Waits for output of a process, and for its end."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Output) -> None:
        assert process.stdout is not None
        self._process = process
        self._output = output
        self._pipe = process.stdout.fileno()

    def __enter__(self) -> Self:
        os.set_blocking(self._pipe, False)
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)
        if self._pidfd is not None:
            self._selector.register(self._pidfd, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        if self._pidfd is not None:
            os.close(self._pidfd)

    def ended_within(self, seconds: float) -> bool:
        """Take the output that comes next; whether the process has ended."""
        patience = seconds if self._pidfd is not None else min(seconds, 0.05)
        ready = {key.fd for key, _ in self._selector.select(max(patience, 0))}
        if self._pipe in ready and not _read(self._pipe, self._output):
            self._selector.unregister(self._pipe)
        return self._pidfd in ready if self._pidfd is not None else self._process.poll() is not None


def drain(process: "subprocess.Popen[bytes]", output: Output, patience: float = 1.0) -> None:
    """Take what is left in the pipe; somebody out of reach may hold it open, so only for `patience`
    seconds."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    deadline = time.monotonic() + patience
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left) and not _read(pipe, output):
                return


def _read(pipe: int, output: Output) -> bool:
    """Take one chunk; False at the end of the stream."""
    try:
        chunk = os.read(pipe, 65536)
    except BlockingIOError:
        return True
    output.add(chunk)
    return bool(chunk)
