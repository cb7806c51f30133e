"""`tapeout logs`: what happened, to everything, one issue, or one attempt."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from tapeout.base.errors import NotFound
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.cli.commands import add_jsonl, limit
from tapeout.cli.context import actor, here
from tapeout.cli.events import describe
from tapeout.cli.output import Result, Stream, flush, printable
from tapeout.tracker import Tracker
from tapeout.tracker.model import Event

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes


LIMIT = 200
LOOK_SECONDS = 5.0


def add_arguments(parser: Describes) -> None:
    """Arguments of `logs`."""
    parser.add_argument("what", nargs="?", metavar="ID", help="an issue, or an attempt (prints its transcript)")
    parser.add_argument("--follow", "-f", action="store_true", help="go on as things happen")
    parser.add_argument(
        "--limit", type=limit, default=LIMIT, help=f"newest events to start with; default {LIMIT}, 0 means all"
    )
    add_jsonl(parser)
    parser.set_defaults(run=_logs)


def _logs(arguments: argparse.Namespace) -> Result | Stream | None:
    paths = here().paths
    is_attempt = arguments.what is not None and arguments.what.startswith("a-")
    if arguments.jsonl and not is_attempt:
        return Stream("event", _rows(paths, arguments))
    with Tracker.open(paths, actor()) as tracker:
        if is_attempt:
            path = os.path.join(paths.transcripts, f"{tracker.attempt(arguments.what).id}.jsonl")
            return _transcript(path, as_rows=arguments.jsonl)
        issue = tracker.resolve(arguments.what) if arguments.what else None
        events = tracker.events(issue=issue, limit=arguments.limit or None)
        lines = [line for line in map(describe, events) if line]
        if not arguments.follow:
            return Result([event._asdict() for event in events], "\n".join(lines) or "nothing has happened yet")
        _print(lines)
        _follow(tracker, issue, events[-1].sequence if events else 0)
    return None


def _rows(paths: StatePaths, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Events for `--jsonl`."""
    with Tracker.open(paths, actor()) as tracker:
        issue = tracker.resolve(arguments.what) if arguments.what else None
        events = tracker.events(issue=issue, limit=arguments.limit or None)
        yield from (event._asdict() for event in events)
        if arguments.follow:
            for later in _later(tracker, issue, events[-1].sequence if events else 0):
                yield from (event._asdict() for event in later)
                flush()


def _transcript(path: str, *, as_rows: bool) -> Result | Stream:
    from dataclasses import asdict

    from tapeout.agents import read_transcript, render
    from tapeout.agents.render import plain

    if not os.path.exists(path):
        raise NotFound("this attempt has no transcript on this machine")
    entries = list(read_transcript(path))
    data = [{"at": at, "kind": type(entry).__name__, **asdict(entry)} for at, entry in entries]
    if as_rows:
        return Stream("transcript", data)
    return Result(data, "\n".join(filter(None, (plain(render(entry)) for _, entry in entries))))


def _follow(tracker: Tracker, issue: str | None, after: int) -> None:
    for events in _later(tracker, issue, after):
        _print([line for line in map(describe, events) if line])


def _later(tracker: Tracker, issue: str | None, after: int) -> Iterator[list[Event]]:
    """What happens from now on, without an end."""
    from tapeout.tracker.doorbell import Doorbell

    with Doorbell(tracker.paths.bells) as bell:
        while True:
            events = tracker.events(after=after, issue=issue)
            after = events[-1].sequence if events else after
            yield events
            bell.wait(LOOK_SECONDS)


def _print(lines: list[str]) -> None:
    for line in lines:
        sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()
