"""`tapeout nudge`, `pause`, `resume`, `kill`, `handoff`: what people tell workers."""

from __future__ import annotations

import time

from tapeout.base.errors import Busy, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.attempts import running_attempt
from tapeout.cli.commands import add_json, read_text
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Attempt, Order

HEARD_SECONDS = 15.0
"""How long to wait until a worker has heard an order: it is woken for it, and looks every 10 s at the latest."""

END_SECONDS = 60.0
"""How long to wait until a killed worker has saved its work."""


def add_arguments(parser: Describes) -> None:
    """Arguments of one of the commands."""
    name = parser.prog.rpartition(" ")[2]
    for_all = name in ("pause", "resume")
    count = {"nargs": "?"} if for_all else {}
    parser.add_argument("attempt", metavar="ATTEMPT", help="an attempt, or an issue (its newest attempt)", **count)
    if for_all:
        parser.add_argument("--all", action="store_true", help="the whole floor: no worker begins, all pause")
    if name == "resume":
        parser.add_argument("--provider", metavar="NAME", help="a paused provider: try it now")
    if name == "nudge":
        parser.add_argument("text", metavar="TEXT", help="what to say (- or @FILE reads it)")
        parser.add_argument("--now", action="store_true", help="cancel the running turn for it, not wait for its end")
    if name == "kill":
        parser.add_argument("--hold", action="store_true", help="let no agent go on with the issue: it needs a person")
    if name in ("kill", "handoff", "pause"):
        parser.add_argument("--why", metavar="TEXT", default="", help="a reason, for the record")
    add_json(parser)
    parser.set_defaults(run=_COMMANDS[name], for_people=True)


def _nudge(arguments: argparse.Namespace) -> Result:
    text = read_text(arguments.text)
    if not text.strip():
        raise UsageError("there is nothing to say")
    with open_tracker() as tracker:
        attempt = running_attempt(tracker, arguments.attempt)
        return _heard(tracker, tracker.order(attempt.id, "nudge", text, now=arguments.now))


def _pause(arguments: argparse.Namespace) -> Result:
    if _is_for_all(arguments):
        with open_tracker() as tracker:
            tracker.rest_floor()
            running = tracker.attempts(running=True)
            _wake(tracker, running)
        return Result(
            {"attempts": [one.id for one in running]},
            f"the floor is paused, with {counted(len(running), 'worker')}; `tapeout resume --all` goes on",
        )
    with open_tracker() as tracker:
        attempt = running_attempt(tracker, arguments.attempt)
        return _heard(tracker, tracker.order(attempt.id, "pause", arguments.why))


def _resume(arguments: argparse.Namespace) -> Result:
    if arguments.provider is not None:
        return _resume_provider(arguments)
    if _is_for_all(arguments):
        with open_tracker() as tracker:
            tracker.wake_floor()
            running = tracker.attempts(running=True)
            for attempt in running:
                tracker.order(attempt.id, "resume")
        return Result({"attempts": [one.id for one in running]}, "the floor goes on")
    with open_tracker() as tracker:
        attempt = running_attempt(tracker, arguments.attempt)
        return _heard(tracker, tracker.order(attempt.id, "resume"))


def _resume_provider(arguments: argparse.Namespace) -> Result:
    from tapeout.floor.providers.pauses import resume_provider

    if arguments.all or arguments.attempt is not None:
        raise UsageError("a provider, an attempt or --all: one of them goes on at a time")
    with open_tracker() as tracker:
        resume_provider(tracker, arguments.provider)
    return Result({"provider": arguments.provider}, f"{arguments.provider} is tried again")


def _kill(arguments: argparse.Namespace) -> Result:
    """Kill a worker; one that does not hear is killed by force, and the floor saves its work."""
    with open_tracker() as tracker:
        attempt = running_attempt(tracker, arguments.attempt)
        order = tracker.order(attempt.id, "kill", arguments.why, now=arguments.hold)
        if _until(tracker, lambda: _has_ended(tracker, attempt), END_SECONDS):
            ended = tracker.attempt(attempt.id)
            kept = f"; its work is commit {ended.head[:12]}" if ended.head else ""
            return Result({**order._asdict(), "outcome": ended.outcome}, f"{attempt.id} ended as {ended.outcome}{kept}")
        _end_by_force(attempt)
    return Result(
        {**order._asdict(), "outcome": None},
        f"the worker of {attempt.id} did not hear and was killed; the floor saves its work",
    )


def _handoff(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        attempt = running_attempt(tracker, arguments.attempt)
        return _heard(tracker, tracker.order(attempt.id, "handoff", arguments.why))


def _heard(tracker: Tracker, order: Order) -> Result:
    """What the worker made of an order.

    Raises:
        Busy: it has not heard it in time.
    """
    found = [order]

    def look() -> bool:
        found[0] = next((one for one in tracker.orders(order.attempt) if one.id == order.id), order)
        return bool(found[0].taken) or tracker.attempt(order.attempt).outcome is not None

    if not _until(tracker, look, HEARD_SECONDS):
        raise Busy(
            f"the worker of {order.attempt} has not heard it within {HEARD_SECONDS:.0f} s",
            hint="it will when it can; `tapeout kill` ends a worker that hangs",
        )
    said = found[0].taken or f"ended meanwhile ({tracker.attempt(order.attempt).outcome})"
    return Result(found[0]._asdict(), f"{order.attempt}: {said}")


def _until(tracker: Tracker, look: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes to be within so many seconds; looked for whenever somebody writes to the tracker."""
    from tapeout.tracker.doorbell import Doorbell

    deadline = time.monotonic() + seconds
    with Doorbell(tracker.paths.bells) as bell:
        while not look():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            bell.wait(min(left, 1.0))
    return True


def _has_ended(tracker: Tracker, attempt: Attempt) -> bool:
    return tracker.attempt(attempt.id).outcome is not None


def _end_by_force(attempt: Attempt) -> None:
    import contextlib
    import os
    import signal

    from tapeout.base import processes

    if processes.is_alive(attempt.pid, attempt.pid_started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(attempt.pid, signal.SIGKILL)


def _wake(tracker: Tracker, attempts: list[Attempt]) -> None:
    from tapeout.tracker import doorbell

    for attempt in attempts:
        doorbell.ring(tracker.paths.worker_bells(attempt.id))


def _is_for_all(arguments: argparse.Namespace) -> bool:
    if arguments.all == (arguments.attempt is not None):
        raise UsageError("name an attempt, or give --all")
    return bool(arguments.all)


_COMMANDS = {"nudge": _nudge, "pause": _pause, "resume": _resume, "kill": _kill, "handoff": _handoff}
