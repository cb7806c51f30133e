"""Looks for signs of life of this worker's session: cheap, whatever the size of the work tree."""

import contextlib
import os

from tapeout.base import processes
from tapeout.floor.liveness import Signs

_GIT_FILES = ("", ".git", os.path.join(".git", "index"), os.path.join(".git", "HEAD"), os.path.join(".git", "logs"))
"""What changes when files come or go at the top of a work tree, and when git does anything in it."""


def look(code: str, recording: str) -> Signs:
    """Signs of life of all processes below this one, and of an agent's files.

    Args:
        code: the work tree.
        recording: the terminal recording.
    """
    changed = [_changed(os.path.join(code, name)) for name in _GIT_FILES]
    size = 0
    with contextlib.suppress(OSError):
        size = os.stat(recording).st_size
    return Signs(processes.cpu_seconds_below(), size, max(changed))


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0
