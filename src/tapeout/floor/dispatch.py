"""What to start next: a pure function from what the tracker says to a plan."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tapeout.floor.overlap import in_starting_order
from tapeout.tracker.model import Attempt, Issue

MAX_FAILURES = 3
"""Processes in a row that end without having done their job, after which the floor starts no more of them: something
is wrong that more processes cannot mend."""

SALVAGE = "salvage-"
"""What the id of a salvage job begins with; the attempt's id follows."""


@dataclass(frozen=True)
class Snapshot:
    """What the floor knows at one moment."""

    slots: int
    """How many workers may run at once."""
    ready: Sequence[Issue]
    """Most urgent first; at least as many as there are slots, if there are so many."""
    running: Sequence[Attempt]
    """Attempts that have not ended, as the tracker says."""
    jobs: Collection[str]
    """Ids of the jobs whose process lives; a worker's job has its attempt's id."""
    starting: Mapping[str, str]
    """Attempt id to issue of workers that were started and have not reported yet."""
    salvages: Mapping[str, int]
    """Attempt to how many of its salvage jobs have not ended it."""
    queued: int
    """Changes that wait for the gate or are in it."""
    publish_due: bool
    """Whether what landed is still to be published, by the process that gates and lands."""
    gate_runs: bool
    """Whether the process that gates and lands lives."""
    queue_stopped: str | None
    """Why the queue is stopped, or None."""
    stopping: bool
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Declared scopes of the issues that are worked on or wait in the queue."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """How often later issues were started before one whose scope overlaps with what is worked on."""


@dataclass(frozen=True)
class Plan:
    """What to do now."""

    start: tuple[Issue, ...] = ()
    """Issues to start a worker for."""
    salvage: tuple[Attempt, ...] = ()
    """Attempts whose worker is gone: save their work and end them."""
    gate: bool = False
    """Start the process that gates and lands."""
    idle: bool = False
    """Nothing runs and nothing can be started: only time or a person can change that."""
    passed_over: tuple[str, ...] = ()
    """Issues before which others are started, because their scope overlaps with what is worked on."""


def plan_dispatch(now: Snapshot) -> Plan:
    """Decide what to start."""
    lost = {attempt.id for attempt in now.running if now.salvages.get(attempt.id, 0) >= MAX_FAILURES}
    dead = tuple(attempt for attempt in now.running if attempt.id not in lost and not _has_process(now, attempt.id))
    if now.stopping:
        return Plan(salvage=dead, idle=not (dead or now.jobs))
    reported = {attempt.id for attempt in now.running}
    starting = {attempt: issue for attempt, issue in now.starting.items() if attempt not in reported}
    works = now.queue_stopped is None
    gated = works and (now.queued > 0 or now.publish_due)
    gate = gated and not now.gate_runs
    free = now.slots - len(reported - lost) - len(starting)
    start, passed_over = _to_start(now, starting, max(0, free) if works else 0)
    waits = bool(starting or reported - lost or now.gate_runs or gated)
    return Plan(start, dead, gate, idle=not (start or dead or gate or waits), passed_over=passed_over)


def _has_process(now: Snapshot, attempt: str) -> bool:
    """Whether its worker lives, or a job that saves its work."""
    return attempt in now.jobs or SALVAGE + attempt in now.jobs


def _to_start(now: Snapshot, starting: Mapping[str, str], count: int) -> tuple[tuple[Issue, ...], tuple[str, ...]]:
    busy = {attempt.issue for attempt in now.running} | set(starting.values())
    ready = [issue for issue in now.ready if issue.id not in busy]
    start, passed_over = in_starting_order(ready, now.scopes.values(), now.passed_over, count)
    return tuple(start), tuple(passed_over)
