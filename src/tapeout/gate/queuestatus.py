"""What people see of the queue: its order, what is gated in which combination, and why something waits."""

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tapeout.base.errors import TapeoutError
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import StatePaths
from tapeout.config import QueueConfig
from tapeout.gate.hub import hub_branch
from tapeout.gate.queue import Waiting, in_order, pass_rate
from tapeout.gate.queue.forecast import expected_seconds
from tapeout.gate.queueview import read_view
from tapeout.gate.target import load_config
from tapeout.tracker import Tracker
from tapeout.tracker.model import Change, Issue

MEASURED = 100
"""The pass rate and the time of a gate run are those of so many latest decisions."""


@dataclass(frozen=True)
class QueuedRow:
    """A change that is neither landed nor refused."""

    position: int
    change: str
    issue: str
    title: str
    priority: int
    state: str
    waiting_seconds: float
    expected_seconds: float | None
    """Until it is decided; None when nothing was measured yet or nothing works on the queue."""
    why: str


@dataclass(frozen=True)
class RunRow:
    """A gate run that goes on."""

    changes: tuple[str, ...]
    """Merged onto main in this order."""
    seconds: float
    """Since it began."""


@dataclass(frozen=True)
class QueueStatus:
    """The queue at one moment."""

    stopped: str | None
    working: bool
    slots: int
    pass_rate: float
    gate_seconds: float | None
    """Median of the latest gate runs."""
    runs: tuple[RunRow, ...]
    queue: tuple[QueuedRow, ...]
    main_red: tuple[str, ...] = ()
    """Open issues about a target branch that fails the gate by itself: id and title."""


def slots_of(config: QueueConfig) -> int:
    """How many gate runs go on at once."""
    return config.slots or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def read_queue(tracker: Tracker, paths: StatePaths) -> QueueStatus:
    """Read the queue from the tracker, and what runs from the lander's own view."""
    config, recent, view = _config(paths), tracker.decided(MEASURED), read_view(paths)
    changes = {change.id: change for change in tracker.changes()}
    issues = {change.id: tracker.issue(change.issue) for change in changes.values()}
    waiting = [Waiting(one.id, issues[one.id].priority, one.submitted_at) for one in changes.values()]
    order = [changes[one.id] for one in in_order(waiting, config.aging)]
    status = QueueStatus(
        stopped=tracker.queue_stopped(),
        working=view is not None,
        slots=slots_of(config),
        pass_rate=pass_rate(recent.landed, recent.refused),
        gate_seconds=statistics.median(recent.seconds) if recent.seconds else None,
        runs=tuple([] if view is None else _runs(view)),
        queue=(),
        main_red=tracker.red_main_lines(),
    )
    return replace(status, queue=tuple(_rows(status, order, issues, view or {})))


def _config(paths: StatePaths) -> QueueConfig:
    try:
        hub = open_bare(paths.hub)
        main = resolve(hub, f"refs/heads/{hub_branch(hub)}")
        return load_config(hub, main).queue if main else QueueConfig()
    except TapeoutError:  # the queue itself tells what is wrong with it when it stops
        return QueueConfig()


def _runs(view: Mapping[str, Any]) -> list[RunRow]:
    now = time.time()
    return [RunRow(tuple(run["changes"]), max(now - float(run["begun_at"]), 0.0)) for run in view.get("runs", [])]


def _rows(
    status: QueueStatus, order: Sequence[Change], issues: Mapping[str, Issue], view: Mapping[str, Any]
) -> list[QueuedRow]:
    now = time.time()
    known = status.working and not status.stopped and status.gate_seconds is not None
    return [
        QueuedRow(
            position=position,
            change=change.id,
            issue=change.issue,
            title=issues[change.id].title,
            priority=issues[change.id].priority,
            state=change.state,
            waiting_seconds=now - change.submitted_at,
            expected_seconds=expected_seconds(position, status.gate_seconds or 0.0, status.pass_rate, status.slots)
            if known
            else None,
            why=reason(change.id, status, view),
        )
        for position, change in enumerate(order, start=1)
    ]


def reason(change: str, status: QueueStatus, view: Mapping[str, Any]) -> str:
    """Why the change has not landed yet, in one line."""
    if status.stopped:
        return f"the queue is stopped: {status.stopped}"
    if not status.working:
        return "nothing works on the queue: start a floor with `tapeout up`"
    inside: list[tuple[str, ...]] = [run.changes for run in status.runs if change in run.changes]
    failing = [one for one in view.get("failing", []) if change in one]
    others = min(map(len, failing), default=1) - 1
    if others:
        return f"it failed together with {others} other{'s' if others > 1 else ''}; the culprit is sought"
    if inside:
        shortest = min(inside, key=len)
        return f"gated as main + {' + '.join(shortest)}"
    if change in view.get("asked", []):
        return "failed alone; whether the target branch fails by itself is being found out"
    if any(change in one for one in view.get("passed", [])):
        return "passed, waits for a run before it"
    for pair in view.get("clashes", []):
        if change in pair:
            return f"cannot be merged together with {next(one for one in pair if one != change)}: waits for its end"
    return "waits for a free slot"
