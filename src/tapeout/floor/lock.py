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

from tapeout.base.errors import Busy
from tapeout.base.paths import StatePaths


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
        self._file = open(paths.floor_lock, "a+", encoding="utf-8")  # noqa: SIM115 - held for as long as the floor
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Busy(_taken(paths), hint="`tapeout status` shows it, `tapeout stop` stops it") from error
        self._started_at = time.time()
        self.describe(0, "")

    def describe(self, workers: int, agent: str) -> None:
        """Say how this floor runs, for those who ask; until it does, `workers` is 0: it is still starting."""
        holder = Holder(os.getpid(), socket.gethostname(), self._started_at, workers, agent)
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(holder)))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.truncate(0)
        self._file.close()


def current_floor(paths: StatePaths) -> Holder | None:
    """The floor that runs on this repository now, or None."""
    try:
        with open(paths.floor_lock, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                return Holder(**json.loads(file.read() or "null") or {})
    except (FileNotFoundError, TypeError, json.JSONDecodeError):
        return None
    return None


def ask_to_stop(holder: Holder) -> None:
    """Ask a floor to stop: it stops its workers, which save their work."""
    os.kill(holder.pid, signal.SIGTERM)


def _taken(paths: StatePaths) -> str:
    holder = current_floor(paths)
    if holder is None:
        return "another floor is starting or stopping on this repository"
    since = time.strftime("%H:%M:%S", time.localtime(holder.started_at))
    return f"a floor runs on this repository already: process {holder.pid} on {holder.host}, since {since}"
