"""`tapeout queue`: the order of the merge queue, what is gated, and why something waits."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.listing import add_limit, cut
from tapeout.cli.output import Result, counted, duration, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tapeout.cli.commands import Describes
    from tapeout.gate.queuestatus import QueueStatus


_NAMED = 4
"""How many changes of a run are named."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `queue`."""
    add_limit(parser)
    add_json(parser)
    parser.set_defaults(run=_queue)


def _queue(arguments: argparse.Namespace) -> Result:
    from dataclasses import asdict

    from tapeout.gate.queuestatus import read_queue
    from tapeout.tracker import Tracker

    context = here()
    with Tracker.open(context.paths, actor()) as tracker:
        status = read_queue(tracker, context.paths)
    return Result(asdict(status), lambda: _text(status, arguments.limit))


def _text(status: QueueStatus, most: int) -> str:
    measured = "none measured yet" if status.gate_seconds is None else f"some {duration(status.gate_seconds)} each"
    lines = [
        f"queue: {counted(len(status.queue), 'change')}, {counted(len(status.runs), 'gate run')} of "
        f"{counted(status.slots, 'slot')} ({measured}), pass rate {status.pass_rate:.0%}"
    ]
    if status.stopped:
        lines.append(f"stopped: {status.stopped}")
    lines += [f"main is red, {line}" for line in status.main_red]
    if status.runs:
        rows = [(duration(run.seconds), _judged(run.changes)) for run in status.runs]
        lines += ["", table(("runs for", "judges"), rows)]
    shown, more = cut(status.queue, most)
    reasons = {row.why for row in status.queue}
    same = len(reasons) == 1 and len(status.queue) > 1  # said once: a narrow terminal has no room for it in each line
    if same:
        lines.append(f"all of them: {reasons.pop()}")
    if shown:
        queued = [
            (row.position, row.change, row.issue, row.priority, duration(row.waiting_seconds),
             _expected(row.expected_seconds), *([] if same else [row.why]), row.title)
            for row in shown
        ]  # fmt: skip
        last = ("title",) if same else ("why", "title")
        lines += ["", table(("", "change", "issue", "priority", "waiting", "expected", *last), queued), *more]
    return "\n".join(lines)


def _judged(changes: Sequence[str]) -> str:
    """What a run judges: all changes of a small combination, the ends of a large one."""
    if len(changes) <= _NAMED:
        return " + ".join(["main", *changes])
    return f"main + {changes[0]} + ... + {changes[-1]} ({len(changes)} changes)"


def _expected(seconds: float | None) -> str:
    return "?" if seconds is None else f"in {duration(seconds)}"
