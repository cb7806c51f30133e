"""`tapeout queue`: the order of the merge queue, what is gated, and why something waits."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result, counted, duration, table

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.gate.queuestatus import QueueStatus


def add_arguments(parser: Describes) -> None:
    """Arguments of `queue`."""
    add_json(parser)
    parser.set_defaults(run=_queue)


def _queue(arguments: argparse.Namespace) -> Result:
    from dataclasses import asdict

    from tapeout.gate.queuestatus import read_queue
    from tapeout.tracker import Tracker

    context = here()
    with Tracker.open(context.paths, actor()) as tracker:
        status = read_queue(tracker, context.paths)
    return Result(asdict(status), lambda: _text(status))


def _text(status: QueueStatus) -> str:
    measured = "none measured yet" if status.gate_seconds is None else f"some {duration(status.gate_seconds)} each"
    lines = [
        f"queue: {counted(len(status.queue), 'change')}, {counted(len(status.runs), 'gate run')} of "
        f"{counted(status.slots, 'slot')} ({measured}), pass rate {status.pass_rate:.0%}"
    ]
    if status.stopped:
        lines.append(f"stopped: {status.stopped}")
    lines += [f"main is red, {line}" for line in status.main_red]
    if status.runs:
        rows = [(duration(run.seconds), "main + " + " + ".join(run.changes)) for run in status.runs]
        lines += ["", table(("runs for", "judges"), rows)]
    if status.queue:
        queued = [
            (row.position, row.change, row.issue, row.priority, duration(row.waiting_seconds),
             _expected(row.expected_seconds), row.title, row.why)
            for row in status.queue
        ]  # fmt: skip
        lines += ["", table(("", "change", "issue", "priority", "waiting", "expected", "title", "why"), queued)]
    return "\n".join(lines)


def _expected(seconds: float | None) -> str:
    return "?" if seconds is None else f"in {duration(seconds)}"
