"""What people see of a running floor: one read model for `status`, the live view and the final table."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tapeout.base.paths import StatePaths
from tapeout.base.proctree import is_alive
from tapeout.floor.budgets.run import reached_now
from tapeout.floor.context.topics import CONTEXT
from tapeout.floor.health import State, WaitsFor, health_of
from tapeout.floor.lock import Holder, current_floor
from tapeout.floor.policy import HELD
from tapeout.floor.providers.pauses import Pause, read_pauses
from tapeout.tracker import Counts, Filter, Tracker
from tapeout.tracker.commands.pushes import AGENT as PUSHED
from tapeout.tracker.model import Activity, Attempt, Change, Issue, Outcome, Question

LISTED = 20
"""Longest list in a status: it stays readable with any number of issues."""


@dataclass(frozen=True)
class WorkerRow:
    """An attempt that runs."""

    attempt: str
    issue: str
    title: str
    agent: str
    number: int
    rounds: int
    state: State
    """How it is, by signs that need no model: see `tapeout.floor.health`."""
    waits_for: WaitsFor
    """What it waits for, empty if for nothing."""
    activity: str
    seconds: float
    """Since the attempt started."""
    quiet: float
    """Seconds since the worker last said what it does."""
    tokens_used: int | None
    tokens_window: int | None
    tokens_estimated: bool
    """Whether the agent does not report how full its context is."""
    context_limit: float | None
    """The part of the window at which its session hands over; None before it has begun."""


@dataclass(frozen=True)
class QueueRow:
    """A change that waits for the gate or is in it."""

    change: str
    issue: str
    title: str
    state: str
    seconds: float
    """Since it was submitted."""


@dataclass(frozen=True)
class Status:
    """Everything at one moment."""

    floor: Holder | None
    counts: Counts
    workers: tuple[WorkerRow, ...]
    queue: tuple[QueueRow, ...]
    queue_stopped: str | None
    unpublished: str | None
    """Why landed commits are not where the user sees them, empty if that is still being seen to; None if they are."""
    needs_person: tuple[Issue, ...]
    """The most urgent ones."""
    questions: tuple[Question, ...] = ()
    """What agents asked that nobody has answered."""
    floor_paused: str = ""
    """By whom and since when the whole floor is paused; empty if it is not."""
    main_red: tuple[str, ...] = ()
    """Open issues about a target branch that fails the gate by itself: id and title."""
    paused: tuple[Pause, ...] = ()
    """Providers that are not to be had now."""
    over_budget: tuple[str, ...] = ()
    """Budgets of the run and of lanes that are used up: which one, and how much was used."""


def read_status(tracker: Tracker, paths: StatePaths) -> Status:
    """Read the status from the tracker."""
    now = time.time()
    issues: dict[str, Issue] = {}

    def title(issue: str) -> str:
        if issue not in issues:
            issues[issue] = tracker.issue(issue)
        return issues[issue].title

    return Status(
        floor=current_floor(paths),
        counts=tracker.counts(),
        workers=read_workers(tracker, now),
        queue=tuple(
            QueueRow(change.id, change.issue, title(change.issue), change.state, now - change.submitted_at)
            for change in tracker.changes()
        ),
        queue_stopped=tracker.queue_stopped(),
        unpublished=tracker.unpublished(),
        needs_person=tuple(tracker.issues(Filter(status="open", needs_person=True), LISTED)),
        questions=tuple(tracker.questions(open_only=True)),
        floor_paused=tracker.floor_rests(),
        main_red=tracker.red_main_lines(),
        paused=read_pauses(tracker, now),
        over_budget=tuple(sorted(over.text for over in reached_now(tracker).values())),
    )


def read_workers(tracker: Tracker, now: float) -> tuple[WorkerRow, ...]:
    """The attempts that run, oldest first.

    Args:
        now: Unix time.
    """
    shown = tracker.activity()
    return tuple(_worker(tracker, attempt, shown.get(attempt.id), now) for attempt in tracker.attempts(running=True))


def _worker(tracker: Tracker, attempt: Attempt, shown: Activity | None, now: float) -> WorkerRow:
    issue, context = tracker.issue(attempt.issue), tracker.attempt_notes(attempt.id).get(CONTEXT, {})
    lives = is_alive(attempt.pid, attempt.pid_started) if attempt.host == socket.gethostname() else None
    expires = issue.lease_expires if issue.lease_owner == attempt.id else None
    health = health_of(attempt, shown, process_lives=lives, lease_expires=expires, now=now)
    used, window = (shown.used, shown.window) if shown else (None, None)
    return WorkerRow(
        attempt=attempt.id,
        issue=attempt.issue,
        title=issue.title,
        agent=attempt.agent,
        number=attempt.number,
        rounds=attempt.rounds,
        state=health.state,
        waits_for=health.waits_for,
        activity=shown.text if shown else "",
        seconds=now - attempt.started_at,
        quiet=now - (shown.at if shown else attempt.started_at),
        tokens_used=used if used is not None else attempt.tokens_used,
        tokens_window=window if window is not None else attempt.tokens_window,
        tokens_estimated=context.get("estimated") is True,
        context_limit=context.get("limit"),
    )


_CUT_OFF: frozenset[Outcome] = frozenset({"interrupted", "stopped", "handoff", "unavailable", "over-budget"})
"""Outcomes of attempts that ended while they worked, whatever their last prompt came to."""


@dataclass(frozen=True)
class IssueOutcome:
    """What a run of the floor made of one issue."""

    issue: str
    title: str
    result: str
    """landed, given up, held: a person keeps it, closed, or refused: what was pushed, and whose it is."""
    attempts: int
    rounds: int
    """Prompts in all attempts together."""
    note: str
    """What went wrong on the way, or why no agent goes on."""


@dataclass(frozen=True)
class RunSummary:
    """The final table of a run."""

    outcomes: tuple[IssueOutcome, ...]
    landed: int
    first_pass: int
    """Landed at the first prompt of the first attempt."""
    given_up: int

    @property
    def first_pass_yield(self) -> float | None:
        """Share of the decided issues that landed at first pass; None when nothing was decided.

        First-pass yield as in manufacturing: units right the first time, over units finished.
        """
        decided = self.landed + self.given_up
        return self.first_pass / decided if decided else None


def summarize(tracker: Tracker, since: float, after: int) -> RunSummary:
    """The final table of a run: issues that an attempt worked on since then, or of which a change was decided.

    Args:
        since: when it started, Unix time.
        after: number of the newest event then.
    """
    worked = {attempt.issue for attempt in tracker.attempts() if (attempt.ended_at or time.time()) >= since}
    worked |= tracker.decided_after(after)
    issues = sorted((tracker.issue(identity) for identity in worked), key=lambda issue: issue.updated_at)
    outcomes = tuple(
        outcome_of(issue, tracker.budget_attempts(issue.id), tracker.all_changes(issue.id))
        for issue in issues
        if issue.status == "closed" or issue.needs_person or _was_pushed_and_refused(tracker, issue.id)
    )
    return RunSummary(
        outcomes=outcomes,
        landed=sum(one.result == "landed" for one in outcomes),
        first_pass=sum(one.result == "landed" and one.attempts == 1 and one.rounds <= 1 for one in outcomes),
        given_up=sum(one.result == "given up" for one in outcomes),
    )


def _was_pushed_and_refused(tracker: Tracker, issue: str) -> bool:
    """Whether the newest change of an issue is one that no worker mends."""
    newest = max(tracker.all_changes(issue), key=lambda change: change.submitted_at, default=None)
    if newest is None or newest.state not in ("failed", "conflict"):
        return False
    return any(attempt.id == newest.attempt and attempt.agent == PUSHED for attempt in tracker.attempts(issue=issue))


def outcome_of(issue: Issue, attempts: Sequence[Attempt], changes: Sequence[Change]) -> IssueOutcome:
    """What became of one issue.

    Args:
        attempts: those that count against its budget; changes of others are left out.
    """
    counted = {attempt.id for attempt in attempts}
    ordered = sorted((change for change in changes if change.attempt in counted), key=lambda one: one.submitted_at)
    refused = [change for change in ordered if change.state in ("failed", "conflict")]
    notes = [str((change.verdict or {}).get("reason", change.state)) for change in refused]
    notes += [attempt.detail for attempt in attempts if attempt.outcome in _CUT_OFF]
    if any(_had_empty_turn(attempt, changes) for attempt in attempts):
        notes.append("a turn ended without a change")
    rounds = sum(attempt.rounds for attempt in attempts)
    if issue.needs_person:
        notes = [issue.needs_person]
    return IssueOutcome(issue.id, issue.title, _result(issue), len(attempts), rounds, "; ".join(dict.fromkeys(notes)))


def _result(issue: Issue) -> str:
    if issue.needs_person:
        return "held" if issue.needs_person.startswith(HELD) else "given up"
    if issue.resolution == "landed":
        return "landed"
    return "closed" if issue.status == "closed" else "refused"


def _had_empty_turn(attempt: Attempt, changes: Sequence[Change]) -> bool:
    """Whether a prompt of an attempt that nobody cut off led to no change."""
    submitted = sum(change.attempt == attempt.id for change in changes)
    return attempt.outcome is not None and attempt.outcome not in _CUT_OFF and attempt.rounds > submitted
