"""Looking at processes that may end at any moment."""

import psutil


def words_of(process: psutil.Process) -> list[str]:
    """A process's command line; empty if it has ended, or waits to be reaped."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
