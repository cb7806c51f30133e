"""Listeners are woken by writers of other processes."""

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from tapeout.base.errors import NotAllowed
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.doorbell import Doorbell, ring
from tests.tracker.tools import finish, python

WRITER = """
import sys, pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
with Tracker.open(StatePaths(sys.argv[1]), "ben") as tracker:
    for number in range(int(sys.argv[2])):
        tracker.create(Draft(f"{number}"))
"""
LISTENER = """
import sys
from tapeout.tracker.doorbell import Doorbell
with Doorbell(sys.argv[1]) as bell:
    print("listens", flush=True)
    sys.stdin.read()
"""
PATIENCE = 60.0


def test_a_write_of_another_process_rings(paths: StatePaths) -> None:
    with Doorbell(paths.bells) as first, Doorbell(paths.bells) as second:
        writer = python(WRITER, paths.root, "1")
        assert first.wait(PATIENCE)
        assert second.wait(PATIENCE)
        finish(writer)
        first.clear()
        assert not first.wait(0)


def test_nothing_rings_for_a_read_or_a_refused_write(paths: StatePaths, tracker: Tracker) -> None:
    issue = tracker.create(Draft("one"))
    with Doorbell(paths.bells) as bell:
        assert tracker.issues() == [issue]
        with pytest.raises(NotAllowed):
            tracker.reopen(issue.id)
        assert not bell.wait(0)


def test_the_pipe_of_a_dead_listener_is_removed(paths: StatePaths, tracker: Tracker) -> None:
    listener = subprocess.Popen(
        [sys.executable, "-c", LISTENER, paths.bells], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == "listens\n"
    (pipe,) = os.listdir(paths.bells)
    tracker.create(Draft("one"))
    assert os.listdir(paths.bells) == [pipe]
    listener.send_signal(signal.SIGKILL)
    listener.communicate()
    tracker.create(Draft("two"))
    assert os.listdir(paths.bells) == []


def test_no_ring_is_lost_between_clearing_and_looking(paths: StatePaths, tracker: Tracker) -> None:
    """The listener that waits, clears and then looks sees every issue, however the writes fall."""
    wanted, seen = 300, 0
    with Doorbell(paths.bells) as bell:
        writer = python(WRITER, paths.root, f"{wanted}")
        while seen < wanted:
            assert bell.wait(PATIENCE), "a write did not ring"
            seen = len(tracker.issues())
        finish(writer)


def test_a_listener_that_does_not_look_blocks_nobody(paths: StatePaths) -> None:
    with Doorbell(paths.bells) as bell:
        for _ in range(70_000):  # more than a pipe holds
            ring(paths.bells)
        assert bell.wait(0)
        assert not bell.wait(0)


def test_ringing_never_fails(paths: StatePaths) -> None:
    ring(paths.bells)
    os.makedirs(paths.bells)
    with open(os.path.join(paths.bells, "a-file"), "w"):
        pass
    os.mkdir(os.path.join(paths.bells, "a-folder"))
    ring(paths.bells)


def test_closing_twice_closes_nothing_else(paths: StatePaths) -> None:
    bell = Doorbell(paths.bells)
    bell.close()
    reused = os.dup(0)
    bell.close()
    os.fstat(reused)
    os.close(reused)
    assert os.listdir(paths.bells) == []


def test_it_can_be_waited_for_with_any_event_loop(paths: StatePaths) -> None:
    with Doorbell(paths.bells) as bell:
        thread = threading.Thread(target=ring, args=(paths.bells,))
        thread.start()
        assert select.select([bell], [], [], PATIENCE)[0] == [bell]
        thread.join()
