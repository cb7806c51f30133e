"""A control group that bounds the number of tasks, where one can be made without any setup: by root.

The kernel does not apply a user's limit of processes to root, and whoever counts processes from outside comes too late
for a fork bomb: with thousands of them ready to run, it hardly gets to run itself.
"""

import contextlib
import os
from collections.abc import Iterator

from tapeout.base.ids import new_id

_PARENTS = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")
"""Where groups with a limit of tasks may be made: version 1, version 2."""

_PREFIX = "tapeout-"


@contextlib.contextmanager
def task_group(limit: int | None) -> Iterator[int | None]:
    """A group of at most `limit` tasks for the block: a descriptor to which a process writes `0` to enter it; None
    where there can be none. Everything in it must have ended when the block ends."""
    path = _made(limit) if limit is not None and os.geteuid() == 0 else None
    if path is None:
        yield None
        return
    try:
        entry = os.open(os.path.join(path, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield entry
        finally:
            os.close(entry)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def enter(entry: int | None) -> None:
    """Enter a group; for a child between fork and exec."""
    if entry is not None:
        os.write(entry, b"0")


def _made(limit: int | None) -> str | None:
    for parent in _PARENTS:
        path = os.path.join(parent, f"{_PREFIX}{os.getpid()}-{new_id()}")
        try:
            _sweep(parent)
            os.mkdir(path)
        except OSError:
            continue
        try:
            with open(os.path.join(path, "pids.max"), "w", encoding="ascii") as file:
                file.write(str(limit))
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(path)
            continue
        return path
    return None


def _sweep(parent: str) -> None:
    """Remove the groups of processes that were killed; one in which something still runs stays."""
    for name in os.listdir(parent):
        owner = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(parent, name))
