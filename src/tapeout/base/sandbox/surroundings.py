"""What of a machine no confined program should see or use up, whoever confines it."""

import contextlib
import functools
import os
import pwd
from collections.abc import Iterable, Mapping

import psutil

from tapeout.base.sandbox.policy import is_below

TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - the folders that a confined program gets its own of

PRIVATE = ("/run", "/etc/shadow", "/etc/gshadow", "/etc/ssl/private")
"""Sockets of services (also of containers and logins) and secrets that a program run by root could read."""

RESOLVER = "/etc/resolv.conf"
"""Where addresses are looked up; it often leads to what is hidden with `/run`."""

MEMORY_SHARE = 0.75
"""Part of the machine's memory that one program may use if nothing else is said."""


def homes() -> set[str]:
    """The user's home, by both names that it may have."""
    found = {os.path.expanduser("~")}
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {home for home in found if os.path.isabs(home)}


def named_by(env: Mapping[str, str], hidden: Iterable[str]) -> list[str]:
    """Folders and files that a variable names: `CARGO_HOME`, `JAVA_HOME`. Whoever passes one on means it; but one that
    says where something hidden is does not open it."""
    covered = [os.path.realpath(path) for path in hidden]
    values = (value for name, value in env.items() if name not in {"PATH", "HOME", "TMPDIR"} and os.path.isabs(value))
    return [value for value in values if not any(is_below(path, os.path.realpath(value)) for path in covered)]


@functools.cache
def usual_memory() -> int:
    """Most of what this machine, or this container, has, in bytes."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return int(total * MEMORY_SHARE)


ENTRY_BYTES = 1024
"""What a name takes on the disk, also that of an empty file: an inode and its part of a folder, rounded up."""


def written(folder: str) -> int:
    """Bytes on the disk of everything in a folder that is nowhere else."""
    total, linked = 0, dict[tuple[int, int], int]()
    for at, folders, names in os.walk(folder):
        total += ENTRY_BYTES * (len(folders) + len(names))
        for name in names:
            try:
                state = os.lstat(os.path.join(at, name))
            except OSError:
                continue
            if state.st_nlink > 1:
                file = state.st_dev, state.st_ino
                linked[file] = linked.get(file, 0) + 1
                if linked[file] != state.st_nlink:  # it is elsewhere too: an object of the hub, say
                    continue
            total += state.st_blocks * 512
    return total
