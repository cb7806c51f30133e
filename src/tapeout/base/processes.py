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

import contextlib
import fcntl
import os
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import psutil

from tapeout.base.capture import TIMED_OUT, Output, drain, follow
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.ids import new_id
from tapeout.base.proctree import (
    PRCTL,
    become_subreaper,
    below,
    continue_descendants,
    cpu_seconds_below,
    end_descendants,
    end_found,
    end_marked,
    end_namespace,
    has_mark,
    is_alive,
    pids_below,
    remember,
    start_time,
    stop_descendants,
    was_started_here,
)

__all__ = [
    "Captured",
    "File",
    "become_subreaper",
    "continue_descendants",
    "cpu_seconds_below",
    "end_descendants",
    "end_marked",
    "is_alive",
    "run_captured",
    "run_trusted",
    "start",
    "start_time",
    "stop_descendants",
]

File = None | int | IO[Any]
"""What a standard stream may be: inherited, a descriptor or `subprocess.PIPE` and its kin, an open file."""

RUN_VARIABLE = "TAPEOUT_RUN"
"""Marks the processes of one `run_captured`."""

_PR_SET_PDEATHSIG = 1

_UNKNOWN = -1
"""No process has this id."""


Watch = Callable[[list[int], int], str]
"""Told the pids of a run and how many bytes it printed, says why the run has to end; empty if it may go on."""


def _in_child(terminal: int | None = None, before_exec: Callable[[], None] | None = None) -> Callable[[], None]:
    """What the child does between fork and exec: must take no lock. If it raises, the program is not started."""
    parent, kill_signal = os.getpid(), int(signal.SIGKILL)

    def run() -> None:
        if PRCTL is not None:
            PRCTL(_PR_SET_PDEATHSIG, kill_signal, 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked to die with it
                os._exit(127)
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        if before_exec is not None:
            before_exec()

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
    before_exec: Callable[[], None] | None = None,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own; on Linux it is killed when the *thread* that started it ends.

    So start what shall outlive a call from the main thread. `controlling_terminal` names the standard
    stream (0, 1 or 2) whose pty becomes the controlling terminal of the new session. `before_exec` is called in the
    child, which inherits `pass_fds`.

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
            preexec_fn=_in_child(controlling_terminal, before_exec),
            pass_fds=tuple(pass_fds),
        )
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
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
    stopped: str = ""
    """Why it was killed before its time, such as for memory; empty if it was not."""


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
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout: float,
    keep: int = 262_144,
    stdin: File = subprocess.DEVNULL,
    before_exec: Callable[[], None] | None = None,
    pass_fds: Sequence[int] = (),
    watch: Watch | None = None,
    contained: bool = False,
) -> Captured:
    """Run a command to its end, or kill it after `timeout` seconds, with everything that it started.

    Makes this process a subreaper. Nothing of the command survives the call: daemons are found by descent,
    by session and by a variable in their environment. One that escaped all three (a double fork with a
    scrubbed environment) is known as an orphan that nobody here started; with several runs at once in this
    process, the last of them ends it. Other code of this process must start its sessions with `start`, or
    they look so too.

    Args:
        keep: how many bytes of output are kept.
        before_exec: called in the child, which inherits `pass_fds`.
        watch: asked every `WATCH_SECONDS` whether the run may go on.
        contained: all that the command starts dies with it, as in a process namespace.

    Raises:
        EnvironmentProblem: the program or the folder is missing, or must not be run.
    """
    become_subreaper()
    begun = time.monotonic()
    run, output = new_id(16), Output(keep)
    _runs.begin()
    process: subprocess.Popen[bytes] | None = None
    ended: set[int] = set()
    try:
        try:
            process = start(
                argv,
                cwd=cwd,
                env={**env, RUN_VARIABLE: run},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                before_exec=before_exec,
                pass_fds=pass_fds,
            )
            stopped = follow(process, output, begun + timeout, _watching(process, run, output, watch, contained))
        finally:  # also when a signal ends us while the program is being started: it may run before we know of it
            root = process.pid if process is not None else _UNKNOWN
            if contained and process is not None:
                end_namespace(process)
            ended = end_found(lambda: _members(root, run), grace=0)
            if process is not None:
                process.wait()
        drain(process, output)
    finally:
        _runs.end()
    text, cut = output.text()
    return Captured(
        exit_code=None if stopped == TIMED_OUT else process.returncode,
        output=text,
        cut_bytes=cut,
        seconds=time.monotonic() - begun,
        timed_out=stopped == TIMED_OUT,
        leftovers=len(ended - {process.pid}),
        stopped="" if stopped == TIMED_OUT else stopped,
    )


def _watching(
    process: "subprocess.Popen[bytes]", run: str, output: Output, watch: Watch | None, contained: bool
) -> Callable[[], str] | None:
    """What to ask while a command runs; None if nobody watches."""
    if watch is None:
        return None

    def ask() -> str:
        if contained:
            return watch(pids_below(process.pid), output.total)
        return watch([member.pid for member in _members(process.pid, run)], output.total)

    return ask


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
