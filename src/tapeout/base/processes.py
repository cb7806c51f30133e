"""Processes that leave nothing behind: started in sessions of their own, found again however they detached,
ended to the last one.

Agents start every tool in a session of its own, so killing a process group is not enough. A process that
called `become_subreaper` inherits its orphaned descendants instead of init; `end_descendants` then ends
them all.

What may go wrong, and how it is met:
- A process forks while it is being killed: everything is stopped first, looked for again, and killed when
  no new one turns up.
- A pid is given to another process: identity is the pid and its start time.
- Somebody else waits for the same child: processes started here are reaped only through their own `Popen`,
  so no exit code is lost.
- The supervising process is killed: its direct children die with it (Linux), and `end_marked` sweeps the
  rest by a variable in their environment.
"""

import asyncio
import asyncio.subprocess
import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import psutil

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.ids import new_id
from tapeout.base.proctree import (
    PRCTL,
    become_subreaper,
    below,
    end_descendants,
    end_found,
    end_marked,
    has_mark,
    is_alive,
    remember,
    start_time,
    was_started_here,
)

__all__ = [
    "LINE_LIMIT",
    "Captured",
    "File",
    "become_subreaper",
    "end_descendants",
    "end_marked",
    "is_alive",
    "run_captured",
    "run_trusted",
    "start",
    "start_async",
    "start_time",
]

File = None | int | IO[Any]
"""What a standard stream may be: inherited, a descriptor or `subprocess.PIPE` and its kin, an open file."""

LINE_LIMIT = 64 * 1024 * 1024
"""Longest line, in bytes, that a stream of `start_async` accepts: agents send whole files in one JSON
line."""

RUN_VARIABLE = "TAPEOUT_RUN"
"""Marks the processes of one `run_captured`."""

_PR_SET_PDEATHSIG = 1

_UNKNOWN = -1
"""No process has this id."""


def _in_child(terminal: int | None = None) -> Callable[[], None]:
    """What the child does between fork and exec: must not raise, and must take no lock."""
    parent, kill_signal = os.getpid(), int(signal.SIGKILL)

    def run() -> None:
        if PRCTL is not None:
            PRCTL(_PR_SET_PDEATHSIG, kill_signal, 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked to die with it
                os._exit(127)
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return run


def _cannot_start(argv: Sequence[str], cwd: str, error: Exception) -> EnvironmentProblem:
    program = argv[0] if argv else "an empty command"
    if not os.path.isdir(cwd):
        return EnvironmentProblem(f"cannot start {program}: the folder {cwd} does not exist")
    if isinstance(error, FileNotFoundError):
        return EnvironmentProblem(f"cannot start {program}: program not found", hint="install it, or put it on PATH")
    if isinstance(error, PermissionError):
        return EnvironmentProblem(
            f"cannot start {program}: not permitted to run it", hint=f"check its mode: ls -l {program}"
        )
    return EnvironmentProblem(f"cannot start {program}: {getattr(error, 'strerror', None) or error}")


def start(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: File = subprocess.DEVNULL,
    stdout: File = None,
    stderr: File = None,
    controlling_terminal: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own; on Linux it is killed when the *thread* that started it ends.

    So start what shall outlive a call from the main thread. `controlling_terminal` names the standard
    stream (0, 1 or 2) whose pty becomes the controlling terminal of the new session.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=_in_child(controlling_terminal),
        )
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise _cannot_start(argv, cwd, error) from error
    remember(process)
    return process


async def start_async(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: File = subprocess.PIPE,
    stdout: File = subprocess.PIPE,
    stderr: File = subprocess.DEVNULL,
    limit: int = LINE_LIMIT,
) -> asyncio.subprocess.Process:
    """As `start`, for asyncio: pipes become stream readers and writers; `limit` is the longest line in bytes.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            limit=limit,
            start_new_session=True,
            preexec_fn=_in_child(),
        )
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        raise _cannot_start(argv, cwd, error) from error
    remember(process)
    return process


class Captured(NamedTuple):
    """What a command did."""

    exit_code: int | None
    """Negative: ended by that signal. None: it was still running at the timeout."""
    output: str
    """Standard output and error as they came, head and tail if it was long; bad UTF-8 is replaced."""
    cut_bytes: int
    """How much is missing in the middle of `output`."""
    seconds: float
    timed_out: bool
    leftovers: int
    """How many processes it left running, or had running at the timeout; all were killed."""


def run_trusted(argv: Sequence[str], *, cwd: str, env: Mapping[str, str], timeout: float) -> Captured:
    """Run a program of the user's own to its end, or kill it and its session after `timeout` seconds.

    Unlike `run_captured` it looks for nothing that the program left running: a daemon that keeps a login or a
    connection may stay, and what others here have running is left alone.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
    """
    begun = time.monotonic()
    process = start(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timed_out = False
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return Captured(
        exit_code=None if timed_out else process.returncode,
        output=output.decode(errors="replace"),
        cut_bytes=0,
        seconds=time.monotonic() - begun,
        timed_out=timed_out,
        leftovers=0,
    )


class _Output:
    """The first and the last bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._half = max(keep // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    def add(self, chunk: bytes) -> None:
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


class _Runs:
    """The runs of this process that are going on, and which children it had before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._before: frozenset[int] = frozenset()

    def begin(self) -> None:
        with self._lock:
            if self._count == 0:
                self._before = frozenset(child.pid for child in psutil.Process().children())
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1

    def foreign(self) -> frozenset[int] | None:
        """Children that no run made; None while several runs make it impossible to tell whose an orphan
        is."""
        with self._lock:
            return self._before if self._count == 1 else None


_runs = _Runs()


def run_captured(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], timeout: float, keep: int = 262_144
) -> Captured:
    """Run a command to its end, or kill it after `timeout` seconds, with everything that it started.

    Makes this process a subreaper. Nothing of the command survives the call: daemons are found by descent,
    by session and by a variable in their environment. One that escaped all three (a double fork with a
    scrubbed environment) is known as an orphan that nobody here started; with several runs at once in this
    process, the last of them ends it. Other code of this process must start its sessions with `start`, or
    they look so too.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
    """
    become_subreaper()
    begun = time.monotonic()
    run, output = new_id(16), _Output(keep)
    _runs.begin()
    process: subprocess.Popen[bytes] | None = None
    ended: set[int] = set()
    try:
        try:
            process = start(
                argv,
                cwd=cwd,
                env={**env, RUN_VARIABLE: run},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            timed_out = not _follow(process, output, begun + timeout)
        finally:  # also when a signal ends us while the program is being started: it may run before we know of it
            root = process.pid if process is not None else _UNKNOWN
            ended = end_found(lambda: _members(root, run), grace=0)
            if process is not None:
                process.wait()
        _drain(process, output)
    finally:
        _runs.end()
    text, cut = output.text()
    return Captured(
        exit_code=None if timed_out else process.returncode,
        output=text,
        cut_bytes=cut,
        seconds=time.monotonic() - begun,
        timed_out=timed_out,
        leftovers=len(ended - {process.pid}),
    )


def _follow(process: "subprocess.Popen[bytes]", output: _Output, deadline: float) -> bool:
    """Collect output until the process ends; False if the deadline came first."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if pidfd is not None:
                selector.register(pidfd, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in selector.select(left if pidfd is not None else min(left, 0.05))}
                if pipe in ready and not _read(pipe, output):
                    selector.unregister(pipe)
                if pidfd in ready or (pidfd is None and process.poll() is not None):
                    return True
            return False
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _read(pipe: int, output: _Output) -> bool:
    """Take one chunk; False at the end of the stream."""
    try:
        chunk = os.read(pipe, 65536)
    except BlockingIOError:
        return True
    output.add(chunk)
    return bool(chunk)


def _drain(process: "subprocess.Popen[bytes]", output: _Output, patience: float = 1.0) -> None:
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


def _members(root: int, run: str) -> list[psutil.Process]:
    """Processes of one run among our descendants."""
    foreign = _runs.foreign()
    found: dict[int, psutil.Process] = {}
    for process in below(psutil.Process()):  # parents come before children
        try:
            session = os.getsid(process.pid)
            if (
                root in (process.pid, session)
                or process.ppid() in found
                or has_mark(process, RUN_VARIABLE, run)
                or (foreign is not None and process.pid not in foreign and _is_orphan(process, session))
            ):
                found[process.pid] = process
        except (psutil.Error, OSError):  # it has just ended, perhaps after a fork: that calls for another look
            found[process.pid] = process
    return list(found.values())


def _is_orphan(process: psutil.Process, session: int) -> bool:
    """Whether we inherited it: what this program forks itself stays in its session or is known by `start`."""
    return process.ppid() == os.getpid() and session != os.getsid(0) and not was_started_here(process.pid)
