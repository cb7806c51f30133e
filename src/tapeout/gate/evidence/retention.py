"""Removing old logs of gate runs. Records stay: they are small, and evidence names the logs by their digest."""

import contextlib
import os

from tapeout.base.paths import StatePaths


def remove_old_logs(paths: StatePaths, before: float) -> int:
    """Remove logs that were written before a moment (Unix seconds); how many they were."""
    removed = 0
    for folder, _, names in os.walk(paths.evidence):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                if name.endswith(".log") and os.lstat(path).st_mtime < before:
                    os.unlink(path)
                    removed += 1
    return removed
