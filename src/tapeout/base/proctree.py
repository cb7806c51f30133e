"""Process trees: which processes are below this one, and how to end them to the last.

`base/processes.py` is the door; this file is how it keeps its promises.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import psutil

from tapeout.base.errors import NotFound

if TYPE_CHECKING:
    import asyncio.subprocess

    Started = subprocess.Popen[bytes] | asyncio.subprocess.Process

KILL_PATIENCE = 10.0
"""Seconds after which processes that survive SIGKILL (stuck in the kernel, or another user's) are left."""

Finder = Callable[[], list[psutil.Process]]
"""Looks at the system each time that it is called."""

_PR_SET_CHILD_SUBREAPER = 36
_BOOT_STEP = 1e7
"""Seconds, more than any machine runs: the distance between the numbers of two boots in a start time."""

_started: "WeakValueDictionary[int, Started]" = WeakValueDictionary()
_started_lock = threading.Lock()


def _load_prctl() -> Callable[..., int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    function.restype = ctypes.c_int
    return function if LINUX else None


LINUX: bool = sys.platform.startswith("linux")
CHILD_LISTS = os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
PRCTL = _load_prctl()  # loaded here: nothing may be looked up between fork and exec


def become_subreaper() -> bool:
    """Make this process inherit its orphaned descendants; False where the system cannot."""
    return PRCTL is not None and PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def remember(process: "Started") -> None:
    """Note that this child has an owner, through whom alone it is reaped."""
    with _started_lock:
        _started[process.pid] = process


def was_started_here(pid: int) -> bool:
    """Whether that child was started by this program (and not inherited), and has not been reaped yet."""
    with _started_lock:
        owner = _started.get(pid)
    return owner is not None and owner.returncode is None


def reap(pid: int) -> bool:
    """Reap a child that ended; through its own object if it has one, so that no exit code is lost.

    Whether an orphan that we inherited was reaped.
    """
    with _started_lock:
        owner = _started.get(pid)
    if owner is not None and owner.returncode is None:
        if isinstance(owner, subprocess.Popen):
            owner.poll()
        return False  # asyncio's own watcher reaps the others
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def end_descendants(grace: float = 1.0, keep: Collection[int] = ()) -> int:
    """End and reap all descendants of this process, however they detached; how many were ended.

    They get SIGTERM and `grace` seconds, then SIGKILL. `keep` names pids to spare, with what is below them.
    Orphans that left the tree are found only if this process called `become_subreaper` before.
    """
    return len(end_found(lambda: below(psutil.Process(), keep), grace))


def stop_descendants() -> None:
    """Stop all descendants of this process where they are (SIGSTOP), also those that they are starting."""
    _stop_all(lambda: below(psutil.Process()), below(psutil.Process()), set())


def continue_descendants() -> None:
    """Let all descendants of this process go on (SIGCONT)."""
    _signal(below(psutil.Process()), signal.SIGCONT, set())


def cpu_seconds_below() -> float:
    """Processor time that the descendants of this process have used so far, those included that ended."""
    used = 0.0
    for process in below(psutil.Process()):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    ours = psutil.Process().cpu_times()
    return used + float(ours.children_user + ours.children_system)


def end_marked(marker: str, value: str) -> int:
    """Kill every process of this user whose environment holds `marker=value`, and all below; how many.

    For the sweep after a crash, when nobody is left who inherited them. This process and its ancestors are
    spared.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}

    def find() -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            if process.pid not in spared and _is_mine(process) and has_mark(process, marker, value):
                found[process.pid] = process
                found.update((child.pid, child) for child in below(process, spared))
        return list(found.values())

    return len(end_found(find, grace=0))


def end_found(find: Finder, grace: float) -> set[int]:
    """End and reap what `find` finds, until it finds nothing; the pids of those that were ended.

    A look at which something was just ending proves nothing, for it may have forked before: then it looks again.
    """
    ended: set[int] = set()
    targets, settled = _look(find)
    if targets and grace > 0:
        _signal(targets, signal.SIGTERM, ended)
        deadline = time.monotonic() + grace
        while targets and time.monotonic() < deadline:
            time.sleep(0.01)
            targets, settled = _look(find)
    deadline = time.monotonic() + KILL_PATIENCE
    while (targets or not settled) and time.monotonic() < deadline:
        _stop_all(find, targets, ended)
        _signal(_look(find)[0], signal.SIGKILL, ended)
        targets, settled = _look(find)
    return ended


def below(root: psutil.Process, keep: Collection[int] = ()) -> list[psutil.Process]:
    """Descendants of `root`, parents before children, without those in `keep` and what is below them.

    Some may have ended since they were looked up.
    """
    found: list[psutil.Process] = []
    waiting = _children(root)
    seen = {root.pid}
    while waiting:
        process = waiting.pop()
        if process.pid in seen or process.pid in keep:
            continue
        seen.add(process.pid)
        found.append(process)
        waiting.extend(_children(process))
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    """Children of a process; from the kernel's own list, as walking all of /proc is slower than forking."""
    if not CHILD_LISTS:
        with contextlib.suppress(psutil.Error):
            return process.children()
        return []
    children = []
    for pid in _listed_children(process.pid):
        with contextlib.suppress(psutil.Error):
            children.append(psutil.Process(pid))
    return children


def _listed_children(pid: int) -> list[int]:
    """Children of a process from the kernel's own list, where there is one."""
    pids: list[bytes] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                pids += file.read().split()
    return [int(pid) for pid in pids]


def pids_below(pid: int) -> list[int]:
    """A process and its descendants: only their numbers, for that is quick with thousands."""
    if not CHILD_LISTS:
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in below(psutil.Process(pid)))]
        return []
    found = [pid]
    for parent in found:  # grows meanwhile
        found += _listed_children(parent)
    return found


def end_namespace(process: "subprocess.Popen[bytes]") -> None:
    """End a process and the process namespace that its child is the first process of: when that one is killed the
    kernel kills all in it, which can start nothing meanwhile, however many they are."""
    firsts = [] if process.poll() is not None else _listed_children(process.pid)
    for first in firsts:
        with contextlib.suppress(OSError):
            os.kill(first, signal.SIGKILL)
    process.kill()
    process.wait()
    for first in firsts:  # ours now; it can only be reaped when nothing is left in it
        with contextlib.suppress(ChildProcessError):
            os.waitpid(first, 0)


def terminate_contained(process: "subprocess.Popen[bytes]") -> None:
    """Ask the programs in a process namespace to end (SIGTERM). Its first process, which the started one waits for,
    ends with them; asked itself, it would end at once and they could not say a word."""
    for first in _listed_children(process.pid):
        for pid in _listed_children(first):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)


def has_mark(process: psutil.Process, marker: str, value: str) -> bool:
    """Whether the environment that a process was started with holds `marker=value`."""
    try:
        return process.environ().get(marker) == value
    except (psutil.Error, OSError):
        return False


def start_time(pid: int) -> float:
    """When a process was started: with its pid, its identity. A number to compare, no date.

    On Linux seconds since boot plus a part that differs for each boot, so that setting the clock does not
    change it.

    Raises:
        NotFound: no such process.
    """
    try:
        if not LINUX:
            return float(psutil.Process(pid).create_time())
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return _boot_number() * _BOOT_STEP + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError, psutil.Error) as error:
        raise NotFound(f"no process has the pid {pid}") from error


def is_alive(pid: int, started: float) -> bool:
    """Whether the process with this pid and start time still runs; one that waits to be reaped does not."""
    try:
        same = abs(start_time(pid) - started) < 0.005
        return same and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (NotFound, psutil.Error, ValueError, OverflowError):
        return False


def _boot_number() -> int:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return int(file.read(4), 16)
    except (OSError, ValueError):
        return 0


def _is_mine(process: psutil.Process) -> bool:
    try:
        return bool(process.uids().real == os.getuid())
    except psutil.Error:
        return False


def _look(find: Finder) -> tuple[list[psutil.Process], bool]:
    """Those of `find` that run, and whether nothing ended meanwhile; inherited ones that ended are reaped."""
    alive, settled = [], True
    for process in find():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
            elif reap(process.pid):
                settled = False
        except psutil.Error:
            settled = False
    return alive, settled


def _stop_all(find: Finder, targets: list[psutil.Process], ended: set[int]) -> None:
    """Stop everything until a look finds nothing new: what is stopped cannot fork."""
    stopped: set[int] = set()
    fresh, settled = targets, False
    for _ in range(100):
        _signal(fresh, signal.SIGSTOP, ended)
        stopped.update(process.pid for process in fresh)
        if settled and not fresh:
            return
        found, settled = _look(find)
        fresh = [process for process in found if process.pid not in stopped]


def _signal(processes: list[psutil.Process], number: signal.Signals, ended: set[int]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)
            ended.add(process.pid)
