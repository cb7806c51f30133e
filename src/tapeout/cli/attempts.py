"""Attempts named on the command line."""

from __future__ import annotations

from tapeout.base.errors import NotAllowed, NotFound
from tapeout.base.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Attempt


def newest_attempt(tracker: Tracker, name: str) -> Attempt:
    """The attempt with that id, or the newest one of the issue with that id; the start of an id is enough.

    Raises:
        NotFound: there is no such attempt or issue, or nobody has worked on the issue.
    """
    if name.startswith("a-"):
        return tracker.attempt(name)
    attempts = tracker.attempts(tracker.resolve(name))
    if not attempts:
        raise NotFound(f"nobody has worked on {name} yet")
    return attempts[-1]


def running_attempt(tracker: Tracker, name: str) -> Attempt:
    """As `newest_attempt`, but it has to run.

    Raises:
        NotAllowed: it has ended, or its worker's process is gone.
    """
    import socket

    from tapeout.base import processes

    attempt = newest_attempt(tracker, name)
    if attempt.outcome is not None:
        raise NotAllowed(f"attempt {attempt.id} has ended already ({attempt.outcome})")
    if attempt.host == socket.gethostname() and not processes.is_alive(attempt.pid, attempt.pid_started):
        raise NotAllowed(f"the worker of attempt {attempt.id} is dead", hint="a running floor saves its work")
    return attempt
