"""`tapeout status`: what runs, waits and needs a person."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tapeout.base.moments import clock
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result, counted, duration, table

if TYPE_CHECKING:
    from tapeout.base.paths import StatePaths
    from tapeout.cli.commands import Describes
    from tapeout.floor.status import Status


_SHOWN = 20
"""How many lines of each table people see: the whole is for programs and for the commands of each part."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `status`."""
    add_json(parser)
    parser.set_defaults(run=_status)


def _status(arguments: argparse.Namespace) -> Result:
    from dataclasses import asdict

    from tapeout.floor.status import read_status
    from tapeout.tracker import Tracker

    context = here()
    with Tracker.open(context.paths, actor()) as tracker:
        status = read_status(tracker, context.paths)
    data = asdict(status)
    data["counts"] = status.counts._asdict()
    data["unproven"] = unproven = _unproven(context.paths)
    data["sandbox_warning"] = warning = _sandbox_warning(context.paths)
    data["questions"] = [question._asdict() for question in status.questions]
    data["needs_person"] = [issue._asdict() for issue in status.needs_person]
    return Result(data, _text(status, unproven, warning))


def _unproven(paths: StatePaths) -> list[str]:
    """Checks of the target branch that were never seen red."""
    from tapeout.base.errors import TapeoutError
    from tapeout.gate import unproven_checks

    try:
        return unproven_checks(paths)
    except TapeoutError:  # no hub yet, or a configuration that the floor will complain about
        return []


def _sandbox_warning(paths: StatePaths) -> str:
    """Whether the checks of the target branch run without a sandbox here, and why; empty if they do not."""
    from tapeout.base.errors import TapeoutError
    from tapeout.gate import sandbox_warning

    try:
        return sandbox_warning(paths)
    except TapeoutError:
        return ""


def _about_the_gate(status: Status, unproven: list[str], warning: str) -> list[str]:
    lines = [f"the queue is stopped: {status.queue_stopped}"] if status.queue_stopped else []
    lines += [f"main is red, {line}" for line in status.main_red]
    if warning:
        lines.append(f"WARNING: {warning}")
    if unproven:
        lines.append(f"never seen red: {', '.join(unproven)} (`tapeout gate prove` shows whether they can be)")
    return lines


def _text(status: Status, unproven: list[str], warning: str) -> str:
    from tapeout.cli.view import context_share, held_back, state_text

    floor, counts = status.floor, status.counts
    lines = [
        f"floor: process {floor.pid}, {floor.workers} workers, agent {floor.agent}, since {clock(floor.started_at)}"
        if floor
        else "floor: not running"
    ]
    lines.append(
        f"issues: {counts.open} open ({counts.ready} ready, {counts.leased} leased, {counts.blocked} blocked, "
        f"{counts.deferred} deferred, {counts.needs_person} need a person), {counts.landed} landed, "
        f"{counts.closed - counts.landed} otherwise closed"
    )
    if status.floor_paused:
        lines.append(f"PAUSED by {status.floor_paused}: `tapeout resume --all` goes on")
    if status.questions:
        lines.append(f"{counted(len(status.questions), 'question')} of agents: `tapeout questions` shows them")
    lines += held_back(status)
    lines += _about_the_gate(status, unproven, warning)
    lines += _unpublished(status)
    if status.workers:
        rows = [
            (w.attempt, w.issue, f"{w.number}.{w.rounds}", state_text(w), duration(w.seconds),
             context_share(w), f"{w.title}: {w.activity}" if w.activity else w.title)
            for w in status.workers[:_SHOWN]
        ]  # fmt: skip
        lines += ["", table(("attempt", "issue", "round", "state", "time", "context", "doing"), rows)]
        lines += _more(len(status.workers), "`tapeout status --json` has all")
    if status.queue:
        queued = [(q.change, q.issue, q.state, duration(q.seconds), q.title) for q in status.queue[:_SHOWN]]
        lines += ["", table(("change", "issue", "state", "waiting", "title"), queued)]
        lines += _more(len(status.queue), "`tapeout queue` says more")
    if status.needs_person:
        rows_needed = [(issue.id, issue.title, issue.needs_person) for issue in status.needs_person[:_SHOWN]]
        lines += ["", table(("needs a person", "title", "why"), rows_needed)]
        lines += _more(counts.needs_person, "`tapeout issue list --needs-person` lists them")
    return "\n".join(lines)


def _more(number: int, where: str) -> list[str]:
    """The line below a table that is cut off."""
    return [f"... and {number - _SHOWN} more: {where}"] if number > _SHOWN else []


def _unpublished(status: Status) -> list[str]:
    """What landed and did not reach the user, unless a floor is about to see to it."""
    if status.unpublished is None or (status.floor and not status.unpublished):
        return []
    why = status.unpublished or "publishing was cut off"
    return [f"landed, but not published: {why}; `tapeout publish` tries again"]
