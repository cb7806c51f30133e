"""Folders of gate runs: alive as long as their process holds a lock, swept when it does not.

What may go wrong: the process of a run is killed. Its folder stays, and so may processes that its checks started in
sessions of their own; both are found again by the run's id.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from typing import Any

from tapeout.base.ids import new_id
from tapeout.base.paths import StatePaths
from tapeout.base.processes import end_marked

RUN_VARIABLE = "TAPEOUT_GATE_RUN"
"""Marks the processes of a gate run."""

_LOCK = ".lock"


@contextlib.contextmanager
def try_lock(path: str) -> Iterator[bool]:
    """Hold an exclusive lock on a file for the block, or learn at once that somebody else does."""
    descriptor = _open(path)
    try:
        yield _lock(descriptor) and _is_at(descriptor, path)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    """Whether the open file is still there under its name: a lock on a file that was swept locks nobody out."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def wait_unlocked(path: str) -> None:
    """Wait until nobody holds the lock on a file."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


@contextlib.contextmanager
def run_folder(paths: StatePaths) -> Iterator[tuple[str, str]]:
    """A new run's id and its private folder, which is gone after the block."""
    while True:
        run = new_id()
        folder = os.path.join(paths.gate, run)
        with try_lock(folder + _LOCK) as free:
            if not free:  # swept between its making and its locking
                continue
            os.mkdir(folder, 0o700)
            try:
                yield run, folder
            finally:
                remove_tree(folder)
                remove_tree(folder + _LOCK)
            return


def sweep(paths: StatePaths) -> list[str]:
    """Remove what dead runs left, their processes first; returns the ids of these runs."""
    swept = []
    for entry in sorted({name.removesuffix(_LOCK) for name in _entries(paths.gate)}):
        folder = os.path.join(paths.gate, entry)
        # A run makes its folder while it holds the lock, so one whose lock is free is a dead run's. One that died
        # while it ended has only its lock left.
        with try_lock(folder + _LOCK) as free:
            if free:
                end_marked(RUN_VARIABLE, entry)
                remove_tree(folder)
                remove_tree(folder + _LOCK)
                swept.append(entry)
    return swept


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def identity(path: str) -> tuple[int, ...] | None:
    """Which folder this is, and its mode: another one in its place, or a link to one, has another identity."""
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino, state.st_mode


def remove_tree(path: str) -> None:
    """Remove a file, link or folder with all it holds, even if a check took away the right to do so."""

    def permit(function: Callable[..., Any], at: str, _: Any) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(os.path.dirname(at), 0o700)
            if stat.S_ISDIR(os.lstat(at).st_mode):
                os.chmod(at, 0o700)
                shutil.rmtree(at, ignore_errors=True)
            else:
                os.unlink(at)

    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if is_folder:
        shutil.rmtree(path, onerror=permit)
    else:
        os.unlink(path)
