"""`tapeout workers`: how each worker is."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_jsonl
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, Stream, duration, table

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.floor.status import WorkerRow


def add_arguments(parser: Describes) -> None:
    """Arguments of `workers`."""
    add_jsonl(parser)
    parser.set_defaults(run=_workers)


def _workers(arguments: argparse.Namespace) -> Result | Stream:
    from dataclasses import asdict

    from tapeout.floor.status import read_workers

    with open_tracker() as tracker:
        rows = read_workers(tracker, time.time())
    data = [asdict(row) for row in rows]
    if arguments.jsonl:
        return Stream("worker", data)
    return Result(data, _text(rows) if rows else "no worker runs")


def _text(rows: tuple[WorkerRow, ...]) -> str:
    from tapeout.cli.view import context_share, state_text

    lines = [
        (
            row.attempt,
            row.issue,
            row.agent,
            state_text(row),
            context_share(row),
            duration(row.seconds),
            duration(row.quiet),
            row.activity or row.title,
        )
        for row in rows
    ]
    return table(("attempt", "issue", "agent", "state", "context", "time", "last seen", "doing"), lines)
