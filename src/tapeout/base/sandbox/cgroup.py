"""A control group that bounds the number of tasks, where one can be made without any setup: by root.

The kernel does not apply a user's limit of processes to root, and whoever counts processes from outside comes too late
for a fork bomb: with thousands of them ready to run, it hardly gets to run itself.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tapeout.base.ids import new_id

_PARENTS = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")
"""Where groups with a limit of tasks may be made: version 1, version 2."""

_PREFIX = "tapeout-"


@dataclass(frozen=True)
class TaskGroup:
    """A control group of at most `limit` tasks: processes and their threads."""

    limit: int
    path: str
    entry: int
    """A descriptor to which a process writes `0` to enter the group."""

    def enter(self) -> None:
        """Enter it; for a child between fork and exec."""
        os.write(self.entry, b"0")

    def refused(self) -> str:
        """Whether the kernel kept anything in the group from starting one more task, as what happened to the run; empty
        if it did not. A fork bomb may die out by itself before anybody who counts processes has seen it."""
        try:
            with open(os.path.join(self.path, "pids.events"), encoding="ascii") as file:
                refusals = dict(line.split() for line in file)
        except (OSError, ValueError):
            return ""
        if refusals.get("max", "0") == "0":
            return ""
        return f"was kept from starting more than {self.limit} processes and threads"


@contextlib.contextmanager
def task_group(limit: int | None) -> Iterator[TaskGroup | None]:
    """A group of at most `limit` tasks for the block; None where there can be none. Everything in it must have ended
    when the block ends."""
    path = _made(limit) if limit is not None and os.geteuid() == 0 else None
    if limit is None or path is None:
        yield None
        return
    try:
        entry = os.open(os.path.join(path, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield TaskGroup(limit, path, entry)
        finally:
            os.close(entry)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(path)


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
