"""The words of the tracker: issues, leases, attempts, changes, as plain immutable values.

`NamedTuple` and not `dataclass`: importing `dataclasses` would cost every tracker command 10 ms
(docs/decisions/0003).
"""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Literal

    IssueType = Literal["task", "bug", "feature", "epic", "chore", "decision"]
    DependencyKind = Literal["blocks", "related", "discovered-from", "duplicates"]
    Resolution = Literal["landed", "done", "wontfix", "duplicate", "invalid"]
    ChangeState = Literal["queued", "gating", "passed", "landed", "failed", "conflict", "withdrawn"]
    Outcome = Literal["landed", "failed", "conflict", "interrupted", "stopped"]
    """How an attempt ended: landed; failed its verdicts; conflicted with main; its agent or worker died; stopped by a
    person."""

ISSUE_TYPES: tuple[IssueType, ...] = ("task", "bug", "feature", "epic", "chore", "decision")

DEPENDENCY_KINDS: tuple[DependencyKind, ...] = ("blocks", "related", "discovered-from", "duplicates")

PERSON_RESOLUTIONS: tuple[Resolution, ...] = ("done", "wontfix", "duplicate", "invalid")
"""`landed` is missing: only a landing closes an issue as landed."""

PRIORITIES = range(5)
"""0 is the most urgent, 4 the least."""

OPEN_CHANGE_STATES: tuple[ChangeState, ...] = ("queued", "gating", "passed")


class Dependency(NamedTuple):
    """`issue` depends on `target`; for kind `blocks`, it cannot start until `target` is closed."""

    issue: str
    target: str
    kind: DependencyKind


class Comment(NamedTuple):
    """A note on an issue."""

    id: str
    actor: str
    at: float
    """Unix time, seconds."""
    text: str


class Issue(NamedTuple):
    """The folded state of one issue."""

    id: str
    title: str
    body: str
    acceptance: str
    """Acceptance criteria, Markdown."""
    type: IssueType
    priority: int
    status: Literal["open", "closed"]
    resolution: Resolution | None
    labels: tuple[str, ...]
    scope: tuple[str, ...]
    """Globs of the paths that the work is expected to touch."""
    parent: str | None
    agent: str | None
    """The agent that should work on it; the floor's default otherwise."""
    assignee: str | None
    needs_person: str | None
    """Why no agent will go on with it, or None."""
    deferred_until: float | None
    """Unix time before which it is not ready."""
    created_at: float
    updated_at: float
    closed_at: float | None
    open_blockers: int
    """How many open issues it waits for."""
    lease_owner: str | None
    lease_expires: float | None
    """Unix time; a lease past it can be taken over."""
    lease_token: int
    """Fencing token of the newest lease ever given; 0 before the first."""
    landed_commit: str | None

    def state(self, now: float) -> str:
        """One word for people: closed resolution, needs-person, leased, blocked, deferred or ready."""
        if self.status == "closed":
            return self.resolution or "closed"
        if self.needs_person:
            return "needs-person"
        if self.lease_owner and (self.lease_expires or 0) > now:
            return "leased"
        if self.open_blockers:
            return "blocked"
        if self.deferred_until and self.deferred_until > now:
            return "deferred"
        return "ready"


class Lease(NamedTuple):
    """A claim on an issue. Every write made under it carries its token; a stale one is refused."""

    issue: str
    owner: str
    """Attempt id, or whoever claimed by hand."""
    token: int
    expires: float


class Attempt(NamedTuple):
    """One agent session on an issue."""

    id: str
    issue: str
    number: int
    """1 for the first attempt on the issue."""
    agent: str
    state: str
    """starting, working, submitted, or ended."""
    outcome: Outcome | None
    detail: str
    """Why it ended so, one line."""
    base: str | None
    """Commit that the workspace started from."""
    head: str | None
    """Newest commit pulled from the workspace: its work, saved in the hub."""
    rounds: int
    """Prompts given so far."""
    host: str
    pid: int
    pid_started: float
    """Start time of the worker process: tells it from another process that got its pid."""
    started_at: float
    ended_at: float | None
    tokens_used: int | None
    tokens_window: int | None


class Change(NamedTuple):
    """A commit that an attempt submitted for landing."""

    id: str
    issue: str
    attempt: str
    commit: str
    base: str
    state: ChangeState
    submitted_at: float
    candidate: str | None
    """The merge of main and the change that was gated."""
    verdict: dict[str, Any] | None
    """Summary of the verdict: `passed`, `reason`, `findings`, `run`, `seconds`."""


class Event(NamedTuple):
    """One operation of the log, for people: who did what to which issue and when."""

    sequence: int
    at: float
    actor: str
    issue: str
    kind: str
    data: dict[str, Any]
