"""Gate runs that go on at once, each in a forked process of its own.

What may go wrong: the lander is killed (its runs die with it, and whoever comes next waits until the last of them is
gone); a run is killed, by the kernel for memory, say (it ends without a result, which blames nobody by itself); the
machine is at fault (the run says so, and the queue stops).

A run's record is on the disk, whole, before the run is announced over its pipe. The pipe carries only where it is and
the bounded summary.
"""

import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotFound, TapeoutError, UsageError
from tapeout.base.faults import point
from tapeout.base.leaving import leave_when_asked
from tapeout.base.proctree import PRCTL, become_subreaper, is_alive, start_time
from tapeout.gate.environment import unavailable

GRACE_SECONDS = 5.0
"""How long a run that is called off may take to end its check's processes."""

REMIND_SECONDS = 1.0
"""A run that was called off and goes on is asked again after this time."""

TOGETHER = 0.03
"""Runs that began within this part of a run's duration are expected to end within as much of each other."""

_PR_SET_PDEATHSIG = 1
_CHUNK = 65536
_MOST_OPEN = 65536
"""No process of ours has more files open: the limit of some systems is a billion."""

Work = Callable[[], dict[str, Any]]
"""What a run does in its process: judges, stores the record and returns what to announce."""


@dataclass(frozen=True)
class Unavailable:
    """The machine or the configuration is at fault."""

    message: str
    hint: str | None


@dataclass
class Run:
    """One process that judges a candidate."""

    pid: int
    pipe: int
    begun: float
    """Monotonic, seconds."""
    said: bytearray = field(default_factory=bytearray)
    reminded: float = 0.0
    """When it was last asked to end, monotonic."""

    def answer(self) -> dict[str, Any] | Unavailable | None:
        """What it announced; None if it ended without a word."""
        try:
            found = json.loads(self.said)
        except ValueError:
            return None
        if "unavailable" in found:
            return Unavailable(found["unavailable"], found.get("hint"))
        return dict(found)


class Runs:
    """All runs of one lander. Use as a context manager: leaving it ends those that go on."""

    def __init__(self, lock: str) -> None:
        """
        Args:
            lock: file that is locked as long as this process or one of its runs lives.
        """
        self._lock_path = lock
        self._lock = -1
        self._going: list[Run] = []
        self._called_off: list[Run] = []
        self._due: dict[int, float] = {}

    def __enter__(self) -> Self:
        become_subreaper()
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # runs of a lander that was killed are dying now
        _wait_gone(os.read(self._lock, _CHUNK))
        os.ftruncate(self._lock, 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in list(self._going):
            self.call_off(run)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._called_off and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)
        for run in self._called_off:
            _signal(run, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(run.pid, 0)
            os.close(run.pipe)
        self._called_off.clear()
        os.close(self._lock)

    def start(self, work: Work) -> Run:
        """Do `work` in a process of its own.

        Raises:
            EnvironmentProblem: no process can be started.
        """
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # Blocked: a signal that came right after the fork would else unwind the lander's own stack in the new process.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            pid = os.fork()
            if pid == 0:
                _child(work, writing, parent, keep=(writing, self._lock))
        except OSError as error:
            raise EnvironmentProblem(f"cannot start a gate run: {error.strerror or error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writing)
        os.set_blocking(reading, False)
        with contextlib.suppress(NotFound):  # it has ended already
            os.pwrite(self._lock, f"{pid} {start_time(pid)!r}\n".encode(), os.fstat(self._lock).st_size)
        run = Run(pid, reading, time.monotonic())
        self._going.append(run)
        return run

    def call_off(self, run: Run) -> None:
        """Ask a run to end; nobody wants its result any more."""
        self._going.remove(run)
        self._called_off.append(run)
        run.reminded = time.monotonic()
        _signal(run, signal.SIGTERM)

    def descriptors(self) -> Iterable[int]:
        """Become readable when a run may have ended."""
        return [run.pipe for run in (*self._going, *self._called_off)]

    def ended(self) -> list[Run]:
        """Runs that have ended since the last look."""
        done = [run for run in self._going if _is_over(run)]
        for run in done:
            self._going.remove(run)
            _bury(run)
        now = time.monotonic()
        for run in done:
            near = TOGETHER * (now - run.begun)
            for other in self._going:
                if abs(other.begun - run.begun) <= near:
                    self.expect(other, near)
        return done

    def expect(self, run: Run, seconds: float) -> None:
        """A run is about to end, within so many seconds from now."""
        self._due[run.pid] = time.monotonic() + seconds

    def more_soon(self) -> float:
        """Seconds within which a run that goes on is expected to end; 0 if none is. One that began together with
        another that has ended is: what both have to say makes a better plan than what one of them has."""
        self._due = {run.pid: self._due[run.pid] for run in self._going if run.pid in self._due}
        return max(0.0, max(self._due.values(), default=0.0) - time.monotonic())

    def reap(self) -> bool:
        """Forget runs that were called off and have ended, and remind the others; whether one ended, which may have
        left something."""
        over = [run for run in self._called_off if _is_over(run)]
        for run in over:
            self._called_off.remove(run)
            _bury(run)
        for run in self._called_off:
            if time.monotonic() > run.reminded + REMIND_SECONDS:
                run.reminded = time.monotonic()
                _signal(run, signal.SIGTERM)
        return bool(over)

    @property
    def patience(self) -> float | None:
        """After how many seconds `reap` is to be called again; None if that has time."""
        return REMIND_SECONDS if self._called_off else None


def _wait_gone(listed: bytes) -> None:
    """Wait until the runs that a dead lander noted are gone: what is being killed lets go of its locks one by one."""
    deadline = time.monotonic() + GRACE_SECONDS
    for line in listed.splitlines():
        pid, _, started = line.partition(b" ")
        with contextlib.suppress(ValueError):  # a line that was cut off
            while is_alive(int(pid), float(started)) and time.monotonic() < deadline:
                time.sleep(0.005)


def _signal(run: Run, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, number)


def _is_over(run: Run) -> bool:
    """Read what there is; whether its end of the pipe is closed, which its exit does."""
    try:
        while chunk := os.read(run.pipe, _CHUNK):
            run.said += chunk
    except BlockingIOError:
        return False
    return True


def _bury(run: Run) -> None:
    os.close(run.pipe)
    with contextlib.suppress(ChildProcessError):  # somebody who looked for orphans was faster
        os.waitpid(run.pid, 0)


def _child(work: Work, pipe: int, parent: int, keep: tuple[int, int]) -> NoReturn:
    """The whole life of a run's process."""
    code = 1
    try:
        _settle(parent, keep)
        point("run.forked")
        _announce(pipe, _answer(work))
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - it must not go on with the lander's code
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _settle(parent: int, keep: tuple[int, int]) -> None:
    """Become a process of its own: it dies with the lander and holds nothing of it open but the lock on runs."""
    leave_when_asked()
    if PRCTL is not None:
        PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # What the lander dropped (a repository is garbage in a cycle) would close its files when it is collected here, by
    # numbers that are other files by then.
    gc.freeze()
    _let_go({*keep, *_packs()})
    become_subreaper()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


def _let_go(keep: set[int]) -> None:
    """Close all files but these and the standard streams."""
    low = 3
    for kept in sorted({*keep, min(os.sysconf("SC_OPEN_MAX"), _MOST_OPEN)}):
        os.closerange(low, kept)
        low = kept + 1


def _packs() -> list[int]:
    """Packs that libgit2 has open: it knows each once in a process, by the number of its file, and reads on from it."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError):  # a system without /proc
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # the list itself
                if ".pack" in os.path.basename(os.readlink(f"/proc/self/fd/{name}")):
                    found.append(int(name))
    return found


def _answer(work: Work) -> dict[str, Any]:
    try:
        return work()
    except (EnvironmentProblem, UsageError, OSError, pygit2.GitError) as error:
        translated = unavailable("work on the queue", error) or error
        message = translated.message if isinstance(translated, TapeoutError) else str(translated)
        return {"unavailable": message, "hint": getattr(translated, "hint", None)}


def _announce(pipe: int, answer: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(answer).encode())
    while rest:
        rest = rest[os.write(pipe, rest) :]
