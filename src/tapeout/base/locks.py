"""Locks between processes: files that the kernel unlocks when their holder dies."""

import contextlib
import fcntl
import time
from collections.abc import Iterator

from tapeout.base.errors import Busy

LOOK_SECONDS = 0.02


@contextlib.contextmanager
def attempt(path: str) -> Iterator[bool]:
    """Try the lock of the file at `path`, which is made; yields whether it is ours."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


@contextlib.contextmanager
def patiently(path: str, seconds: float, problem: str) -> Iterator[None]:
    """Hold the lock of the file at `path`, after waiting for it at most `seconds`.

    Raises:
        Busy: whoever holds it does not let go; says `problem`.
    """
    deadline = time.monotonic() + seconds
    while True:
        with attempt(path) as held:
            if held:
                yield
                return
        if time.monotonic() > deadline:
            raise Busy(problem, hint="try again")
        time.sleep(LOOK_SECONDS)
