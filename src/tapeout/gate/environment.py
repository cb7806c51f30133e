"""When it is the machine's fault: what stops the queue and blames no change."""

import errno
import os

from tapeout.base.errors import EnvironmentProblem

LEAST_FREE = 16 * 1024 * 1024
"""Bytes. A check that failed while the disk had less left says nothing about the change."""

_ENVIRONMENTAL = ("No space left on device", "Disk quota exceeded", "Permission denied", "Read-only file system")


class GateUnavailable(EnvironmentProblem):
    """The gate cannot give a verdict here: a check's program is missing, or the disk is full (exit code 7)."""

    code = "gate-unavailable"


def disk_is_full(folder: str) -> bool:
    """Whether the file system of `folder` has no room left for a check to work in."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < LEAST_FREE or (state.f_files > 0 and state.f_favail == 0)


def unavailable(doing: str, error: Exception) -> GateUnavailable | None:
    """The error to raise if `error`, which came up while `doing` something, is the machine's fault."""
    if isinstance(error, OSError):
        hint = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else None
        return GateUnavailable(f"cannot {doing}: {error.strerror or error}", hint=hint)
    if any(sign in str(error) for sign in _ENVIRONMENTAL):
        return GateUnavailable(f"cannot {doing}: {error}")
    return None
