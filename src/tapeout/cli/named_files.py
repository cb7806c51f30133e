"""The files that a command line names, to read and to write.

A command that an agent has run outside of its sandbox (`floor/door.py`) may use those only that the agent itself can
use: the door says in which folders they lie. What counts is where a file is found when it is open: nothing that is put
in its place later, and no link, leads elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import stat

from tapeout.base.errors import NotAllowed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import FOLDERS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def open_named(path: str) -> BinaryIO:
    """A file to read.

    Raises:
        OSError: it cannot be read.
        NotAllowed: it is none of those that the caller may use.
    """
    folders = _folders()
    if folders is None:
        return open(path, "rb")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_outside(descriptor, path, folders)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextlib.contextmanager
def place_to_write(path: str) -> Iterator[str]:
    """A path that leads, for the time of the block, to where `path` led at its beginning; the last part of it is not
    looked at.

    Raises:
        OSError: its folder cannot be used.
        NotAllowed: it is none of those that the caller may use.
    """
    folders = _folders()
    if folders is None:
        yield path
        return
    parent, name = os.path.split(path)
    descriptor = os.open(parent or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _refuse_outside(descriptor, path, folders)
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _folders() -> list[str] | None:
    named = os.environ.get(FOLDERS_VARIABLE)
    return None if named is None else named.split("\n")


def _refuse_outside(descriptor: int, path: str, folders: list[str]) -> None:
    found = os.readlink(f"/proc/self/fd/{descriptor}")
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        raise NotAllowed(f"{path} is a named pipe")
    if not any(found == folder or found.startswith(folder + os.sep) for folder in folders):
        raise NotAllowed(f"{path} is not in the workspace", hint="an agent's command uses files of its workspace only")
