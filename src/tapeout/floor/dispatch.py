"""What to start next: a pure function from what the tracker says to a plan."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tapeout.floor.admission import UNHINDERED, Admission, Doorkeeper, Start
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
    starting: Mapping[str, Start]
    """Attempt id to what was started and has not reported yet."""
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
    paused: bool = False
    """Whether a person has paused the whole floor: no worker is started until it is resumed."""
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Declared scopes of the issues that are worked on or wait in the queue."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """How often later issues were started before one whose scope overlaps with what is worked on."""
    admission: Admission = UNHINDERED
    """What keeps attempts from being started."""
    over_budget: Collection[str] = ()
    """Running attempts whose lane, or the run, has used up its budget."""


@dataclass(frozen=True)
class Plan:
    """What to do now."""

    start: tuple[Start, ...] = ()
    """Workers to start."""
    salvage: tuple[Attempt, ...] = ()
    """Attempts whose worker is gone: save their work and end them."""
    gate: bool = False
    """Start the process that gates and lands."""
    idle: bool = False
    """Nothing runs and nothing can be started: only time or a person can change that."""
    passed_over: tuple[str, ...] = ()
    """Issues before which others are started, because their scope overlaps with what is worked on."""
    end: tuple[str, ...] = ()
    """Attempts to end, for a budget is used up."""
    later: float | None = None
    """Seconds until time alone lets an issue be started that waits for a provider or a budget."""
    starved: bool = False
    """Slots are free and issues were held back: further ones may be startable."""


def plan_dispatch(now: Snapshot) -> Plan:
    """Decide what to start."""
    lost = {attempt.id for attempt in now.running if now.salvages.get(attempt.id, 0) >= MAX_FAILURES}
    dead = tuple(attempt for attempt in now.running if attempt.id not in lost and not _has_process(now, attempt.id))
    if now.stopping:
        return Plan(salvage=dead, idle=not (dead or now.jobs))
    reported = {attempt.id for attempt in now.running}
    starting = {attempt: start for attempt, start in now.starting.items() if attempt not in reported}
    works = now.queue_stopped is None
    gated = works and (now.queued > 0 or now.publish_due)
    gate = gated and not now.gate_runs
    free = now.slots - len(reported - lost) - len(starting)
    chosen = _to_start(now, starting, max(0, free) if works else 0)
    comes_later = chosen.later is not None or bool(now.paused and chosen.start)
    if now.paused:
        chosen = replace(chosen, start=(), passed_over=())
    waits = any((starting, reported - lost, now.gate_runs, gated, comes_later))
    return Plan(
        chosen.start,
        dead,
        gate,
        idle=not (chosen.start or dead or gate or waits),
        passed_over=chosen.passed_over,
        end=tuple(one for one in now.over_budget if one in now.jobs),
        later=chosen.later,
        starved=chosen.starved,
    )


def _has_process(now: Snapshot, attempt: str) -> bool:
    """Whether its worker lives, or a job that saves its work."""
    return attempt in now.jobs or SALVAGE + attempt in now.jobs


@dataclass(frozen=True)
class _Chosen:
    start: tuple[Start, ...]
    passed_over: tuple[str, ...]
    later: float | None
    starved: bool


def _to_start(now: Snapshot, starting: Mapping[str, Start], count: int) -> _Chosen:
    busy = {attempt.issue for attempt in now.running} | {start.issue.id for start in starting.values()}
    waiting = [issue for issue in now.ready if issue.id not in busy]
    door = Doorkeeper(now.admission)
    starts, passed = _admitted(now, door, waiting, count)
    if len(starts) == count:
        return _Chosen(tuple(starts), passed, None, starved=False)
    begun = {start.issue.id for start in starts}
    held = [issue for issue in waiting if issue.id not in begun and door.agent_for(issue) is None]
    waits = [wait for issue in held if (wait := door.later(issue)) is not None]
    return _Chosen(tuple(starts), passed, min(waits, default=None), starved=bool(held))


def _admitted(
    now: Snapshot, door: Doorkeeper, waiting: Sequence[Issue], count: int
) -> tuple[list[Start], tuple[str, ...]]:
    """Who is started, and who is passed over by that. One that is started may take the last room from another one that
    was chosen with it: then what is left is looked at again."""
    starts, passed, scopes = list[Start](), set[str](), list(now.scopes.values())
    while len(starts) < count:
        begun = {start.issue.id for start in starts}
        fitting = [issue for issue in waiting if issue.id not in begun and door.agent_for(issue) is not None]
        chosen, passed_over = in_starting_order(fitting, scopes, now.passed_over, count - len(starts))
        admitted = [door.take(issue, agent) for issue in chosen if (agent := door.agent_for(issue)) is not None]
        starts += admitted
        passed |= set(passed_over)
        scopes += [start.issue.scope for start in admitted]
        if len(admitted) == len(chosen):
            break
    return starts, tuple(passed - {start.issue.id for start in starts})
