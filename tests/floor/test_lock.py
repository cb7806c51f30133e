"""One floor a repository: who holds the lock, and asking it to stop."""

import fcntl
import os
import socket
import threading
from pathlib import Path

import pytest

from tapeout.base.errors import Busy, NotAllowed
from tapeout.base.paths import StatePaths
from tapeout.floor.lock import FloorLock, Holder, ask_to_stop, current_floor


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(str(tmp_path / "state"))


def test_the_holder_is_known_while_it_holds(paths: StatePaths) -> None:
    assert current_floor(paths) is None
    with FloorLock(paths) as lock:
        lock.describe(8, "a-rather-long-name-of-an-agent")
        lock.describe(4, "codex")
        holder = current_floor(paths)
        assert holder is not None
        assert (holder.pid, holder.workers, holder.agent) == (os.getpid(), 4, "codex")
        with pytest.raises(Busy, match=f"process {os.getpid()}"):
            FloorLock(paths)
    assert current_floor(paths) is None


def test_a_look_at_the_lock_does_not_keep_a_floor_from_starting(paths: StatePaths) -> None:
    """Who asks takes the lock, shared, for a moment; here for a tenth of a second."""
    with FloorLock(paths):
        pass
    with open(paths.floor_lock, encoding="utf-8") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(look, fcntl.LOCK_UN)).start()
        with FloorLock(paths):
            assert current_floor(paths) is not None


def test_a_floor_that_ended_meanwhile_needs_no_asking() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    ask_to_stop(Holder(pid, socket.gethostname(), 0.0, 1, "codex"))


def test_a_floor_on_another_machine_is_not_mistaken_for_a_process_here() -> None:
    with pytest.raises(NotAllowed, match="runs on elsewhere"):
        ask_to_stop(Holder(os.getpid(), "elsewhere.example", 0.0, 1, "codex"))
