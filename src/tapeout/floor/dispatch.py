"""What to start next: a pure function from what the tracker says to a plan."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tapeout.tracker.model import Attempt, Issue

MAX_FAILURES = 3
"""Processes that end without having done their job, for one issue or one attempt, after which the floor leaves it
alone: something is wrong that more processes cannot mend."""


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
    """Ids of the jobs whose process lives; a worker's job has its attempt's id, a salvage job `salvage-<attempt>`."""
    starting: Mapping[str, str]
    """Attempt id to issue of workers that were started and have not reported yet."""
    failures: Mapping[str, int]
    """Issue to how many workers for it ended without ever reporting; attempt to how many of its salvage jobs did not
    end it."""
    queued: int
    """Changes that wait for the gate or are in it."""
    gate_runs: bool
    """Whether the process that gates and lands lives."""
    queue_stopped: str | None
    """Why the queue is stopped, or None."""
    stopping: bool


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


def plan_dispatch(now: Snapshot) -> Plan:
    """Decide what to start."""
    dead = tuple(
        attempt
        for attempt in now.running
        if attempt.id not in now.jobs
        and f"salvage-{attempt.id}" not in now.jobs
        and now.failures.get(attempt.id, 0) < MAX_FAILURES
    )
    lost = {attempt.id for attempt in now.running if now.failures.get(attempt.id, 0) >= MAX_FAILURES}
    reported = {attempt.id for attempt in now.running}
    starting = {attempt: issue for attempt, issue in now.starting.items() if attempt not in reported}
    gate = now.queued > 0 and not now.gate_runs and now.queue_stopped is None
    if now.stopping:
        return Plan(salvage=dead, idle=not (dead or now.jobs))
    free = now.slots - len(now.running) + len(lost) - len(starting)
    busy = {attempt.issue for attempt in now.running} | set(starting.values())
    candidates = [issue for issue in now.ready if issue.id not in busy and now.failures.get(issue.id, 0) < MAX_FAILURES]
    start = tuple(candidates[: max(0, free)]) if now.queue_stopped is None else ()
    waits_for_gate = now.queued > 0 and now.queue_stopped is None
    alive = any(attempt.id not in lost for attempt in now.running)
    idle = not (start or dead or gate or alive or starting or now.gate_runs or waits_for_gate)
    return Plan(start, dead, gate, idle)
