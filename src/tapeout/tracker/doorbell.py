"""Waking listeners without polling: every writer rings the named pipes of all who listen.

A named pipe, unlike a socket, has no limit on the length of its path. Ringing never blocks; the pipe of a listener
that died has no reader and is removed by whoever notices.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from types import TracebackType

from tapeout.base.ids import new_id


def ring(folder: str) -> None:
    """Wake every listener of the folder. Never fails: a missed bell only delays a listener until its next look."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if not name.startswith("."):
            _ring_one(os.path.join(folder, name))


def _ring_one(path: str) -> None:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            with contextlib.suppress(OSError):
                os.unlink(path)
        return
    with contextlib.suppress(OSError):
        os.write(pipe, b"!")
    os.close(pipe)


class Doorbell:
    """One listener. Use as a context manager; wait on `fileno()` with any event loop, or call `wait`."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        name = f"{os.getpid()}-{new_id(6)}"
        self._path = os.path.join(folder, name)
        hidden = os.path.join(folder, f".{name}")
        # Opened before it gets its public name: a writer would take a pipe without a reader for a dead one.
        os.mkfifo(hidden, 0o600)
        self._pipe = os.open(hidden, os.O_RDWR | os.O_NONBLOCK)
        os.rename(hidden, self._path)

    def fileno(self) -> int:
        """Descriptor that becomes readable when the bell rings."""
        return self._pipe

    def clear(self) -> None:
        """Forget the rings so far. Call it *before* looking at the tracker, so that no ring is lost."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._pipe, 4096):
                pass

    def wait(self, timeout: float) -> bool:
        """Block until the bell rings or `timeout` seconds pass; True if it rang."""
        rang = bool(select.select([self._pipe], [], [], timeout)[0])
        self.clear()
        return rang

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        pipe, self._pipe = self._pipe, -1
        with contextlib.suppress(OSError):
            os.close(pipe)

    def __enter__(self) -> Doorbell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
