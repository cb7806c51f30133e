"""What a primer is made of: the facts about the plan, as plain immutable values."""

from __future__ import annotations

from tapeout.base.lean import NamedTuple
from tapeout.tracker.model import Issue

MANY = 1_000
"""Counting goes no further: what is more is said to be more."""

MOST_ITEMS = 40
"""Facts of one kind that are looked for."""


class Brief(NamedTuple):
    """An issue in one line."""

    id: str
    title: str
    type: str = "task"
    priority: int = 2


class Goal(NamedTuple):
    """An open epic, or the most urgent open issue where there is no epic."""

    issue: Brief
    children: int = 0
    """How many, up to `MANY`."""
    closed: int = 0
    """How many of these are closed."""


class Held(NamedTuple):
    """An issue that somebody works on, or whose change waits for its verdict."""

    issue: Brief
    owner: str | None
    expires: float | None
    attempt: str = ""
    """Agent and number of the attempt, where the owner is one; short."""
    change: str = ""
    """State of its change in the queue."""


class Blocker(NamedTuple):
    """An open issue that another one waits for."""

    issue: Brief
    state: str
    more: int
    """How many other issues are waited for beside it."""


class Blocked(NamedTuple):
    """A blocked issue and the chain of what it waits for, nearest first."""

    issue: Brief
    chain: tuple[Blocker, ...]


class Failure(NamedTuple):
    """What was tried on an issue and did not work."""

    issue: Brief
    what: str
    """Such as `needs a person after 2 attempts` or `attempt 2 (codex) failed`: our own words."""
    why: str
    """Reason of the verdict, of giving up or of the attempt's end; text of others."""


class Note(NamedTuple):
    """A comment or handoff."""

    issue: Brief
    actor: str
    at: float
    text: str


class Closed(NamedTuple):
    """An issue that was closed lately."""

    issue: Brief
    resolution: str
    at: float
    commit: str | None


class Totals(NamedTuple):
    """How many issues are in which state, each up to `MANY`."""

    open: int = 0
    ready: int = 0
    held: int = 0
    blocked: int = 0
    needs_person: int = 0


class Focus(NamedTuple):
    """The issue that a session is about."""

    issue: Issue
    state: str
    needed_by: tuple[Brief, ...] = ()
    """Open issues that wait for it."""
    waits_for: tuple[Blocker, ...] = ()
    related: tuple[tuple[str, Brief], ...] = ()
    """Kind of dependency and the other issue."""


class Facts(NamedTuple):
    """All that a primer is made of."""

    now: float
    totals: Totals = Totals()
    goals: tuple[Goal, ...] = ()
    held: tuple[Held, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    ready: tuple[Brief, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[Note, ...] = ()
    closed: tuple[Closed, ...] = ()
    queue_stopped: str | None = None
    """Why nothing is gated."""
    focus: Focus | None = None


class Reader(NamedTuple):
    """For whom it is."""

    at_work: bool = False
    """An agent of the floor, whose issue is claimed for it and closed by the gate."""
    rule_files: tuple[str, ...] = ()
    """Such as AGENTS.md: those that the repository has."""
