"""Which failures came up in which attempts, and what became of their issues: reads the index of failure signatures."""

from __future__ import annotations

from collections.abc import Sequence

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.lean import NamedTuple
from tapeout.base.sqlite import sqlite3


class FailureCount(NamedTuple):
    """How often attempts failed in one way."""

    signature: str
    issues: int
    attempts: int
    landed: int
    """How many of the issues landed in the end."""
    last_at: float
    """When the newest of the attempts began; Unix time, seconds."""
    last_attempt: str


class Recurrence(NamedTuple):
    """An attempt that failed in one way, and what became of its issue."""

    signature: str
    issue: str
    title: str
    attempt: str
    number: int
    agent: str
    at: float
    """When the attempt began; Unix time, seconds."""
    landed_commit: str | None


def failure_counts(connection: sqlite3.Connection, limit: int) -> list[FailureCount]:
    """Ways of failing, those of the most issues first, then the newest.

    Args:
        limit: how many; negative means all.
    """
    rows = connection.execute(
        "SELECT f.signature, count(DISTINCT f.issue) AS issues, count(*),"
        " count(DISTINCT CASE WHEN i.landed_commit IS NOT NULL THEN f.issue END), max(a.started_at) AS newest, a.id"
        " FROM failure_signatures f CROSS JOIN attempts a ON a.id = f.attempt CROSS JOIN issues i ON i.id = f.issue"
        " GROUP BY f.signature ORDER BY issues DESC, newest DESC, f.signature LIMIT ?",
        (limit,),
    )
    return [FailureCount(*row) for row in rows]


def recurrences(
    connection: sqlite3.Connection, signatures: Sequence[str], limit: int, *, besides: str = "", landed: bool = False
) -> list[Recurrence]:
    """Attempts that failed in one of these ways, the newest first.

    Args:
        signatures: full ids.
        limit: how many; negative means all.
        besides: an issue whose attempts are left out.
        landed: only those of issues that landed in the end.
    """
    marks = ", ".join("?" * len(signatures))
    rows = connection.execute(
        "SELECT f.signature, f.issue, i.title, a.id, a.number, a.agent, a.started_at, i.landed_commit"
        " FROM failure_signatures f CROSS JOIN issues i ON i.id = f.issue CROSS JOIN attempts a ON a.id = f.attempt"
        f" WHERE f.signature IN ({marks}) AND f.issue <> ? AND (i.landed_commit IS NOT NULL OR NOT ?)"
        " ORDER BY a.started_at DESC, a.id, f.signature LIMIT ?",
        (*signatures, besides, landed, limit),
    )
    return [Recurrence(*row) for row in rows]


def full_signature(connection: sqlite3.Connection, prefix: str) -> str:
    """A signature by the start of its id.

    Raises:
        NotFound: nothing failed that way.
        UsageError: several do.
    """
    rows = connection.execute(
        "SELECT DISTINCT signature FROM failure_signatures WHERE signature >= ? AND signature < ? LIMIT 2",
        (prefix, prefix + "\U0010ffff"),
    ).fetchall()
    if not rows or not prefix:
        raise NotFound(f"nothing is known to have failed as {prefix!r}", hint="`tapeout failures` lists what did")
    if len(rows) > 1 and rows[0][0] != prefix:
        raise UsageError(f"{prefix!r} fits several failures", hint="give more characters of the id")
    return str(rows[0][0])
