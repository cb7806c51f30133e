"""Collects the facts of a primer. Every query ends after a bounded number of rows, however many issues there are."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tapeout.base import jsontext as json
from tapeout.base.caller import is_agent_at_work
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import queries
from tapeout.tracker.model import WAITING_KINDS, Issue
from tapeout.tracker.prime.model import (
    MANY,
    MOST_ITEMS,
    Blocked,
    Blocker,
    Brief,
    Closed,
    Facts,
    Failure,
    Focus,
    Goal,
    Held,
    Note,
    Reader,
    Totals,
)  # fmt: skip
from tapeout.tracker.queries import LEASED, READY

if TYPE_CHECKING:
    from typing import Any

RULE_FILES = ("AGENTS.md", "CLAUDE.md")
"""Where a repository keeps its rules for agents."""

MOST_GOALS = 4
MOST_BLOCKED = 12
MOST_FAILURES = 12
MOST_NOTES = 8
MOST_CLOSED = 8
CHAIN_LENGTH = 3
"""Steps that the chain of what a blocked issue waits for is followed."""

LOOKED_AT = 200
"""Rows among which the wanted ones are looked for, where no index knows them."""

MOST_CHARACTERS = 4_000
"""Of a comment or reason; no item has room for more."""

EXCERPT_LINES = 3
"""Last lines of a finding: there checks say what is wrong."""

_FAILED = "('failed', 'conflict', 'interrupted', 'stopped')"
_BLOCKED = "status = 'open' AND open_blockers > 0"
_IN_QUEUE = "('queued', 'gating', 'passed')"


def collect(connection: sqlite3.Connection, now: float, issue: str | None = None) -> Facts:
    """The facts at a moment (unix seconds); with `issue`, a full id, those that a session on that issue needs."""
    focus = _focus(connection, now, queries.issue(connection, issue)) if issue is not None else None
    parent = focus.issue.parent if focus else None
    return Facts(
        now=now,
        totals=_totals(connection, now),
        goals=tuple(_goals(connection, parent)),
        held=tuple(_held(connection, now)),
        blocked=() if focus else tuple(_blocked(connection, now)),
        ready=() if focus else tuple(_ready(connection, now)),
        failures=tuple(_failures_of(connection, focus.issue) if focus else _failures(connection)),
        notes=tuple(_notes(connection, issue)),
        closed=() if focus else tuple(_closed(connection)),
        queue_stopped=_queue_stopped(connection),
        focus=focus,
    )


def reader_at(root: str) -> Reader:
    """Who we are and which rules the repository with that root folder has."""
    files = tuple(file for file in RULE_FILES if os.path.exists(os.path.join(root, file)))
    return Reader(is_agent_at_work(), files)


def _rows(connection: sqlite3.Connection, sql: str, **values: Any) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _totals(connection: sqlite3.Connection, now: float) -> Totals:
    states = (
        ("issues_by_status", "status = 'open'"),
        ("issues_ready", READY),
        ("issues_leased", f"status = 'open' AND {LEASED}"),
        ("issues_blocked", _BLOCKED),
        ("issues_need_person", "needs_person IS NOT NULL"),
    )
    return Totals(*(_count(connection, index, condition, now) for index, condition in states))


def _count(connection: sqlite3.Connection, index: str, condition: str, now: float) -> int:
    """How many, up to one more than `MANY`. Left to itself, SQLite may choose an index that leads through all issues,
    hence this and the other queries say which one it is, and with `CROSS JOIN` that the second table is looked up."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM issues INDEXED BY {index} WHERE {condition} LIMIT {MANY + 1})"
    (row,) = _rows(connection, sql, now=now)
    return int(row[0])


def _goals(connection: sqlite3.Connection, parent: str | None) -> Iterator[Goal]:
    """The parents of an issue, nearest first; without one the open epics, or else the most urgent open issue."""
    select = "SELECT id, title, type, priority FROM issues INDEXED BY"
    order = "ORDER BY priority, created_clock, id LIMIT :most"
    if parent is not None:
        sql = (
            "WITH RECURSIVE up(id, depth) AS (VALUES (:parent, 1) UNION SELECT i.parent, depth + 1 FROM issues i"
            " JOIN up ON i.id = up.id WHERE i.parent IS NOT NULL AND depth < :most)"
            " SELECT i.id, i.title, i.type, i.priority FROM up CROSS JOIN issues i ON i.id = up.id"
            " ORDER BY depth LIMIT :most"
        )
        rows = _rows(connection, sql, parent=parent, most=MOST_GOALS)
    else:
        rows = _rows(
            connection, f"{select} issues_epics WHERE status = 'open' AND type = 'epic' {order}", most=MOST_GOALS
        )
        rows = rows or _rows(connection, f"{select} issues_by_status WHERE status = 'open' {order}", most=1)
    for row in rows:
        sql = (
            "SELECT count(*), coalesce(sum(status = 'closed'), 0) FROM"
            f" (SELECT status FROM issues WHERE parent = :id LIMIT {MANY})"
        )
        (progress,) = _rows(connection, sql, id=row[0])
        yield Goal(Brief(*row), *progress)


def _held(connection: sqlite3.Connection, now: float) -> Iterator[Held]:
    """What is leased or in the queue, most urgent first."""
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, i.lease_owner, i.lease_expires, a.agent, a.number, a.rounds,"
        f" (SELECT c.state FROM changes c WHERE c.issue = i.id AND c.state IN {_IN_QUEUE} LIMIT 1)"
        f" FROM (SELECT * FROM issues INDEXED BY issues_leased WHERE status = 'open' AND {LEASED} LIMIT {LOOKED_AT}) i"
        " LEFT JOIN attempts a ON a.id = i.lease_owner ORDER BY i.priority, i.lease_expires, i.id LIMIT :most"
    )
    found = {row[0]: row for row in _rows(connection, sql, now=now, most=MOST_ITEMS)}
    queued = (
        "SELECT i.id, i.title, i.type, i.priority, NULL, NULL, NULL, NULL, NULL, c.state"
        f" FROM changes c INDEXED BY changes_open CROSS JOIN issues i ON i.id = c.issue"
        f" WHERE c.state IN {_IN_QUEUE} AND i.status = 'open'"
        " ORDER BY i.priority, c.submitted_clock, c.id LIMIT :most"
    )
    for row in _rows(connection, queued, most=MOST_ITEMS):
        found.setdefault(row[0], row)
    for row in sorted(found.values(), key=lambda row: row[3])[:MOST_ITEMS]:
        owner, expires, agent, number, rounds, change = row[4:]
        attempt = f"attempt {number}, prompt {rounds}" if agent else ""
        yield Held(Brief(*row[:4]), owner, expires, attempt, change or "")


def _blocked(connection: sqlite3.Connection, now: float) -> Iterator[Blocked]:
    sql = (
        "SELECT id, title, type, priority FROM issues INDEXED BY issues_blocked"
        f" WHERE {_BLOCKED} ORDER BY priority, created_clock, id LIMIT :most"
    )
    for row in _rows(connection, sql, most=MOST_BLOCKED):
        chain: list[Blocker] = []
        seen = {row[0]}
        here = row[0]
        while len(chain) < CHAIN_LENGTH:
            blockers = _blockers(connection, here, now)
            if not blockers or blockers[0].issue.id in seen:
                break
            here = blockers[0].issue.id
            seen.add(here)
            chain.append(blockers[0])
        if chain:
            yield Blocked(Brief(*row), tuple(chain))


def _blockers(connection: sqlite3.Connection, identity: str, now: float) -> list[Blocker]:
    """What an issue waits for, most urgent first."""
    sql = (
        "SELECT id FROM (SELECT t.id, t.priority, t.created_clock FROM dependencies d"
        f" CROSS JOIN issues t ON t.id = d.target"
        f" WHERE d.issue = :id AND d.kind IN {WAITING_KINDS} AND NOT d.ignored AND t.status = 'open'"
        f" AND NOT t.not_needed LIMIT {LOOKED_AT}) ORDER BY priority, created_clock, id"
    )
    identities = dict.fromkeys(row[0] for row in _rows(connection, sql, id=identity))
    found = (queries.issue(connection, one) for one in list(identities)[:MOST_ITEMS])
    return [Blocker(_brief(one), one.state(now), len(identities) - 1) for one in found]


def _brief(issue: Issue) -> Brief:
    return Brief(issue.id, issue.title, issue.type, issue.priority)


def _ready(connection: sqlite3.Connection, now: float) -> Iterator[Brief]:
    sql = (
        "SELECT id, title, type, priority FROM issues INDEXED BY issues_ready"
        f" WHERE {READY} ORDER BY priority, created_clock, id LIMIT :most"
    )
    for row in _rows(connection, sql, now=now, most=MOST_ITEMS):
        yield Brief(*row)


def _failures(connection: sqlite3.Connection) -> Iterator[Failure]:
    """Issues that agents gave up, then what failed lately on open issues, then issues that were closed unsolved."""
    sql = (
        "SELECT id, title, type, priority, substr(needs_person, 1, :characters)"
        " FROM issues INDEXED BY issues_need_person"
        " WHERE needs_person IS NOT NULL ORDER BY priority, created_clock, id LIMIT :most"
    )
    seen = set()
    for *brief, reason in _rows(connection, sql, most=MOST_FAILURES, characters=MOST_CHARACTERS):
        seen.add(brief[0])
        refused = _last_refusal(connection, brief[0])
        yield Failure(Brief(*brief), "needs a person", f"{reason}{f'; {refused}' if refused else ''}")
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, a.number, a.outcome, a.detail"
        f" FROM (SELECT * FROM attempts INDEXED BY attempts_failed WHERE outcome IN {_FAILED}"
        f" ORDER BY ended_at DESC, id DESC LIMIT {LOOKED_AT}) a"
        " CROSS JOIN issues i ON i.id = a.issue WHERE i.status = 'open' ORDER BY a.ended_at DESC, a.id DESC LIMIT :most"
    )
    for *brief, number, outcome, detail in _rows(connection, sql, most=MOST_ITEMS):
        if brief[0] not in seen:
            seen.add(brief[0])
            yield _failed_attempt(connection, Brief(*brief), number, outcome, detail)
    sql = (
        "SELECT id, title, type, priority, resolution, (SELECT substr(text, 1, :characters) FROM comments"
        " WHERE issue = recent.id ORDER BY clock DESC, id DESC LIMIT 1) FROM"
        " (SELECT * FROM issues INDEXED BY issues_closed WHERE status = 'closed'"
        f" ORDER BY closed_at DESC, id DESC LIMIT {LOOKED_AT}) recent"
        " WHERE resolution IN ('failed', 'wontfix') ORDER BY closed_at DESC, id DESC LIMIT :most"
    )
    for *brief, resolution, note in _rows(connection, sql, most=MOST_FAILURES, characters=MOST_CHARACTERS):
        yield Failure(Brief(*brief), f"was closed as {resolution}", note or "no reason given")


def _failures_of(connection: sqlite3.Connection, issue: Issue) -> Iterator[Failure]:
    """What was tried on one issue, newest first."""
    if issue.needs_person:
        yield Failure(_brief(issue), "needs a person", issue.needs_person[:MOST_CHARACTERS])
    sql = (
        f"SELECT number, outcome, detail FROM attempts WHERE issue = :id AND outcome IN {_FAILED}"
        " ORDER BY number DESC, id DESC LIMIT :most"
    )
    for number, outcome, detail in _rows(connection, sql, id=issue.id, most=MOST_ITEMS):
        yield _failed_attempt(connection, _brief(issue), number, outcome, detail)


def _failed_attempt(connection: sqlite3.Connection, issue: Brief, number: int, outcome: str, detail: str) -> Failure:
    refused = _last_refusal(connection, issue.id, number)
    why = "; ".join(dict.fromkeys(part[:MOST_CHARACTERS] for part in (detail, refused) if part))
    return Failure(issue, f"attempt {number} ended as {outcome}", why or outcome)


def _last_refusal(connection: sqlite3.Connection, issue: str, number: int | None = None) -> str:
    """Why the gate refused the newest refused change of an issue, or of one attempt on it; with the first finding."""
    sql = (
        "SELECT c.verdict FROM changes c LEFT JOIN attempts a ON a.id = c.attempt WHERE c.issue = :issue"
        " AND c.state IN ('failed', 'conflict') AND c.verdict IS NOT NULL AND (:number IS NULL OR a.number = :number)"
        " ORDER BY c.submitted_clock DESC, c.id DESC LIMIT 1"
    )
    for (text,) in _rows(connection, sql, issue=issue, number=number):
        verdict = json.loads(text)
        if isinstance(verdict, dict):
            return "; ".join(_reasons(verdict))
    return ""


def _reasons(verdict: dict[str, Any]) -> Iterator[str]:
    yield str(verdict.get("reason", "refused"))[:MOST_CHARACTERS]
    findings = verdict.get("findings")
    if isinstance(findings, list) and findings and isinstance(findings[0], dict):
        excerpt = str(findings[0].get("excerpt", "")).strip().splitlines()[-EXCERPT_LINES:]
        yield f"{findings[0].get('check', '')}: {' '.join(excerpt)[:MOST_CHARACTERS]}"


def _notes(connection: sqlite3.Connection, issue: str | None) -> Iterator[Note]:
    """The newest comments: on one issue, or the newest one on each open issue."""
    where = "WHERE issue = :issue" if issue is not None else ""
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, c.actor, c.at, substr(c.text, 1, :characters) FROM"
        f" (SELECT * FROM comments {where} ORDER BY clock DESC, id DESC LIMIT {LOOKED_AT}) c"
        " CROSS JOIN issues i ON i.id = c.issue WHERE :issue IS NOT NULL OR i.status = 'open'"
        " ORDER BY c.clock DESC, c.id DESC"
    )
    seen: set[str] = set()
    found = 0
    for *brief, actor, at, text in connection.execute(sql, {"issue": issue, "characters": MOST_CHARACTERS}):
        if found >= MOST_NOTES:
            return
        if issue is not None or brief[0] not in seen:
            seen.add(brief[0])
            found += 1
            yield Note(Brief(*brief), actor, at, text)


def _closed(connection: sqlite3.Connection) -> Iterator[Closed]:
    sql = (
        "SELECT id, title, type, priority, resolution, closed_at, landed_commit FROM issues INDEXED BY issues_closed"
        " WHERE status = 'closed' ORDER BY closed_at DESC, id DESC LIMIT :most"
    )
    for *brief, resolution, at, commit in _rows(connection, sql, most=MOST_CLOSED):
        yield Closed(Brief(*brief), resolution or "closed", at or 0.0, commit)


def _queue_stopped(connection: sqlite3.Connection) -> str | None:
    rows = _rows(connection, "SELECT value FROM meta WHERE key = 'queue-stopped'")
    return str(rows[0][0]) if rows else None


def _focus(connection: sqlite3.Connection, now: float, issue: Issue) -> Focus:
    sql = (
        "SELECT id, title, type, priority FROM (SELECT DISTINCT i.* FROM dependencies d"
        f" CROSS JOIN issues i ON i.id = d.issue"
        f" WHERE d.target = :id AND d.kind IN {WAITING_KINDS} AND i.status = 'open' LIMIT {LOOKED_AT})"
        " ORDER BY priority, created_clock, id LIMIT :most"
    )
    needed_by = tuple(Brief(*row) for row in _rows(connection, sql, id=issue.id, most=MOST_ITEMS))
    sql = (
        "SELECT d.kind, i.id, i.title, i.type, i.priority FROM dependencies d CROSS JOIN issues i ON i.id = d.target"
        f" WHERE d.issue = :id AND d.kind NOT IN {WAITING_KINDS} ORDER BY d.kind, i.id LIMIT :most"
    )
    related = tuple((row[0], Brief(*row[1:])) for row in _rows(connection, sql, id=issue.id, most=MOST_ITEMS))
    waits_for = tuple(_blockers(connection, issue.id, now)) if issue.open_blockers else ()
    return Focus(issue, issue.state(now), needed_by, waits_for, related)
