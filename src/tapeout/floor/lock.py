"""One floor a repository: a lock that the kernel releases when its holder dies, and a note of who holds it."""

import fcntl
import json
import os
import signal
import socket
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from tapeout.base.errors import Busy, NotAllowed
from tapeout.base.paths import StatePaths

PATIENCE_SECONDS = 1.0
"""How long to try when nobody says that it holds the lock: looking at it takes it for a moment."""

LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Holder:
    """The floor that runs."""

    pid: int
    host: str
    started_at: float
    """Unix time."""
    workers: int
    agent: str


class FloorLock:
    """Held while a floor runs. Use as a context manager.

    Raises:
        Busy: another floor runs on this repository; names it.
    """

    def __init__(self, paths: StatePaths) -> None:
        os.makedirs(paths.root, exist_ok=True)
        self._file = os.open(paths.floor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _lock(self._file, fcntl.LOCK_EX):
            holder = current_floor(paths)
            if holder is not None or time.monotonic() > deadline:
                os.close(self._file)
                raise Busy(_taken(holder), hint="`tapeout status` shows it, `tapeout stop` stops it")
            time.sleep(LOOK_SECONDS)  # somebody just looks, or a floor is starting or stopping
        self._started_at = time.time()
        self.describe(0, "")

    def describe(self, workers: int, agent: str) -> None:
        """Say how this floor runs, for those who ask; until it does, `workers` is 0: it is still starting."""
        holder = Holder(os.getpid(), socket.gethostname(), self._started_at, workers, agent)
        line = json.dumps(asdict(holder)).encode() + b"\n"
        os.pwrite(self._file, line, 0)  # a reader sees the old line or the new one, whatever comes after it
        os.ftruncate(self._file, len(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)


def current_floor(paths: StatePaths) -> Holder | None:
    """The floor that runs on this repository now, or None."""
    try:
        file = os.open(paths.floor_lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(file, fcntl.LOCK_SH):
            return None
        return Holder(**json.loads(os.pread(file, 65536, 0).partition(b"\n")[0]))
    except (TypeError, ValueError):  # it is just starting or stopping
        return None
    finally:
        os.close(file)


def ask_to_stop(holder: Holder) -> None:
    """Ask a floor to stop: it stops its workers, which save their work. Nothing happens if it has ended meanwhile.

    Raises:
        NotAllowed: it runs on another machine, or as another user.
    """
    if holder.host != socket.gethostname():
        raise NotAllowed(f"the floor runs on {holder.host}", hint="stop it there")
    try:
        os.kill(holder.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NotAllowed(f"the floor (process {holder.pid}) is another user's") from error


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(holder: Holder | None) -> str:
    if holder is None:
        return "another floor is starting or stopping on this repository"
    since = time.strftime("%H:%M:%S", time.localtime(holder.started_at))
    return f"a floor runs on this repository already: process {holder.pid} on {holder.host}, since {since}"
