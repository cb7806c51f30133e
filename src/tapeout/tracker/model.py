"""The words of the tracker: issues, leases, attempts, changes, as plain immutable values.

`NamedTuple` and not `dataclass`: importing `dataclasses` would cost every tracker command 10 ms
(docs/decisions/0003).
"""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from typing import Any

IssueType = Literal["task", "bug", "feature", "epic", "chore", "decision"]
ISSUE_TYPES: tuple[IssueType, ...] = ("task", "bug", "feature", "epic", "chore", "decision")

DependencyKind = Literal["blocks", "conditional", "related", "discovered-from", "duplicates", "supersedes"]
DEPENDENCY_KINDS: tuple[DependencyKind, ...] = (
    "blocks", "conditional", "related", "discovered-from", "duplicates", "supersedes",
)  # fmt: skip
WAITING_KINDS: tuple[DependencyKind, ...] = ("blocks", "conditional")
"""Kinds by which one issue waits for another."""

Resolution = Literal["landed", "done", "failed", "wontfix", "duplicate", "invalid"]
PERSON_RESOLUTIONS: tuple[Resolution, ...] = ("done", "failed", "wontfix", "duplicate", "invalid")
"""`landed` is missing: only a landing closes an issue as landed."""
RESOLUTIONS: tuple[Resolution, ...] = ("landed", *PERSON_RESOLUTIONS)

FAILED_RESOLUTIONS: tuple[Resolution, ...] = ("failed", "wontfix")
"""Closed without what it was for: what is conditional on that may now run. After any other resolution it is not needed
any more."""

PRIORITIES = range(5)
"""0 is the most urgent, 4 the least."""

ChangeState = Literal["queued", "gating", "passed", "landed", "failed", "conflict", "withdrawn"]
OPEN_CHANGE_STATES: tuple[ChangeState, ...] = ("queued", "gating", "passed")

Outcome = Literal[
    "landed", "failed", "conflict", "interrupted", "stopped", "handoff", "unavailable", "over-budget"
]  # fmt: skip
"""How an attempt ended: landed; failed its verdicts; conflicted with main; its agent or worker died; stopped by a
person; handed over to a fresh session; its agent's provider was not to be had; reached a budget."""


PERMISSIONS = (
    "tests", "suppressions", "gate", "ci", "hooks", "rules", "startup", "tools", "build", "dependencies", "files",
    "tree", "text", "commits",
)  # fmt: skip
"""What a person can allow to the changes of an issue: the fields of `[gate.privileged]`."""

CLOCK_SKEW_SECONDS = 3600.0
"""How far the clocks of machines that share issues may be apart before a lease from the future is not believed."""


LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in Unix seconds: no date is later."""

MAX_ESTIMATE = 10**9
"""Longest estimate, in minutes."""

RED_MAIN = "red-main"
"""Label of issues that say that the target branch itself fails the gate."""

ORDER, QUESTION, ANSWER = "order", "question", "answer"
"""What the topics of attempts' notes begin with about what people and agents tell each other; the id follows after a
full stop."""

REST = "floor-paused"
"""Setting of the index: by whom the whole floor is paused, and since when."""

SUPERVISION = "supervision"
"""Topic of the note of an attempt about what its supervision told the agent, and why it ended the session."""

BUDGETS_REACHED = "budgets-reached"
"""Setting of the index that holds the budgets of the run and of lanes that are used up."""

PROVIDERS = "providers"
"""Setting of the index that holds what is known of agents' providers that fail."""

MAX_NAME = 200
"""Longest id of an issue, an attempt or a change, in characters."""


def is_name(identity: str) -> bool:
    """Whether a text can be the id of an issue, an attempt or a change: ids become parts of paths and refs."""
    return (
        0 < len(identity) <= MAX_NAME
        and identity.isascii()
        and identity.isprintable()
        and identity[0] not in ".-"
        and " " not in identity
        and "/" not in identity
        and "\\" not in identity
    )


class Dependency(NamedTuple):
    """`issue` depends on `target`: with kind `blocks` it cannot start until `target` is closed, with `conditional` only
    after `target` failed."""

    issue: str
    target: str
    kind: DependencyKind
    ignored: bool = False
    """It would close a circle of waiting issues, made by a merge: nobody waits for it."""


class Attachment(NamedTuple):
    """A file that belongs to an issue; its content is a blob of the tracker's git repository."""

    id: str
    issue: str
    name: str
    blob: str
    """Object id of the content."""
    size: int
    """Bytes."""
    actor: str
    at: float
    """Unix time, seconds."""


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
    design: str
    """Design notes, Markdown."""
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
    due_at: float | None
    """Unix time by which it should be done."""
    estimate_minutes: int | None
    external_ref: str | None
    """What it is called elsewhere, such as `gh-12` or a URL."""
    created_by: str
    created_at: float
    updated_at: float
    closed_at: float | None
    open_blockers: int
    """How many open issues it waits for."""
    not_needed: bool
    """It is conditional on the failure of an issue that did not fail."""
    lease_owner: str | None
    lease_expires: float | None
    """Unix time; a lease past it can be taken over."""
    lease_granted: float | None
    """Unix time at which it was granted or last renewed."""
    lease_token: int
    """Fencing token of the newest lease ever given; 0 before the first."""
    landed_commit: str | None

    def state(self, now: float) -> str:
        """One word for people: closed resolution, needs-person, leased, not-needed, blocked, deferred or ready."""
        if self.status == "closed":
            return self.resolution or "closed"
        if self.needs_person:
            return "needs-person"
        if self.is_leased(now):
            return "leased"
        if self.not_needed:
            return "not-needed"
        if self.open_blockers:
            return "blocked"
        if self.deferred_until and self.deferred_until > now:
            return "deferred"
        return "ready"

    def is_leased(self, now: float) -> bool:
        """Whether somebody holds it. A lease from the future was granted by a clock that has been set back since, and
        would else never end."""
        if self.lease_owner is None:
            return False
        return (self.lease_expires or 0) > now > (self.lease_granted or 0) - CLOCK_SKEW_SECONDS


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
    replica: str = ""
    """The tracker's replica that started it: tells our own attempts from those of other clones."""


FAILURES = "failures"
"""Topic of the note about how an attempt failed: the ids in its list `signatures` are indexed."""

MOST_SIGNATURES = 200
"""Ids of one such note that are indexed."""


class AttemptNote(NamedTuple):
    """Something that is remembered of an attempt, such as its handoff."""

    attempt: str
    topic: str
    issue: str
    at: float
    data: dict[str, Any]


class Activity(NamedTuple):
    """What an attempt does right now, for people: not part of the log."""

    text: str
    used: int | None
    """Tokens in the agent's context."""
    window: int | None
    """Tokens that it can hold."""
    state: str
    """How its worker finds it: `working`, `waiting`, `paused`, `stalled` and so on; empty if it has not said."""
    waits_for: str
    """What it waits for: `gate`, `permission`, `provider`, `person`; empty if for nothing."""
    at: float
    """Unix time at which it was written."""


OrderKind = Literal["nudge", "pause", "resume", "kill", "handoff"]
"""What a person can tell a worker."""


class Order(NamedTuple):
    """Something that a person told the worker of an attempt."""

    id: str
    attempt: str
    kind: str
    """An `OrderKind`, or what another version of this program knows."""
    text: str
    """Words for the agent, or why."""
    now: bool
    """Of a nudge: cancel the running turn for it. Of a kill: no agent shall go on with the issue."""
    actor: str
    at: float
    """Unix time at which it was given."""
    taken: str
    """What the worker made of it, one line; empty until it has heard it."""


class Question(NamedTuple):
    """A permission or an input that an agent asked for, and that waits for a person."""

    id: str
    attempt: str
    issue: str
    title: str
    """What it wants, in its own words: not to be trusted."""
    options: tuple[str, ...]
    """Kinds of the answers that it offers, such as `allow_once`."""
    asked_at: float
    until: float
    """Unix time at which the agent goes on without an answer."""
    answer: str
    """`allow`, `always`, `deny`, or words; empty if nobody has answered."""
    answered_by: str
    answered_at: float


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
    replica: str = ""
    """The tracker's replica that submitted it."""


class Decisions(NamedTuple):
    """What the gate decided lately."""

    landed: int
    refused: int
    seconds: tuple[float, ...]
    """How long gate runs took."""


class Event(NamedTuple):
    """One operation of the log, for people: who did what to which issue and when."""

    sequence: int
    at: float
    actor: str
    issue: str
    kind: str
    data: dict[str, Any]
