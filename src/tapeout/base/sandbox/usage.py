"""What the processes of a run use, and whether that is too much.

Limits of the kernel for each process do not bound a tree, and control groups need a setup; looking a few times a second
needs none and works everywhere.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass

import psutil

from tapeout.base.sandbox.policy import Limits

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of all processes of a run together."""

    processes: int
    memory: int
    """Bytes."""
    output: int
    """Bytes that were printed so far."""


def measure(pids: Collection[int], output: int, limits: Limits) -> Usage:
    """What is used now. Memory is counted exactly only when it could be over the limit, for that takes longer."""
    if limits.processes is not None and len(pids) > limits.processes:
        return Usage(len(pids), 0, output)
    memory = sum(_private(pid) for pid in pids)
    if limits.memory is not None and memory > limits.memory:
        memory = sum(_proportional(pid) for pid in pids)
    return Usage(len(pids), memory, output)


def exceeded(usage: Usage, limits: Limits) -> str:
    """Which limit is passed, as what happened to the run; empty if none is."""
    if limits.memory is not None and usage.memory > limits.memory:
        return f"was killed for memory: it used more than {size(limits.memory)}"
    if limits.processes is not None and usage.processes > limits.processes:
        return f"was killed for starting more than {limits.processes} processes"
    if limits.output is not None and usage.output > limits.output:
        return f"was killed for printing more than {size(limits.output)}"
    return ""


def size(count: int) -> str:
    """Bytes as people write them: `1.5 GB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.4g} {units[0]}"


def _private(pid: int) -> int:
    """Memory of a process less what comes from files; what it shares with its parent counts again for each."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            _, resident, shared, *_ = file.read().split()
        return (int(resident) - int(shared)) * _PAGE
    except (OSError, ValueError):
        return _resident(pid)


def _proportional(pid: int) -> int:
    """Memory of a process with its part of what it shares."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) * 1024
    except (OSError, ValueError):
        return _private(pid)


def _resident(pid: int) -> int:
    """Where there is no /proc, or the process has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
