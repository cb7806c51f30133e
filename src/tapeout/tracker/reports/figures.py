"""Figures over all issues, each from one pass over the index."""

from __future__ import annotations

from tapeout.base.lean import NamedTuple
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.queries import LEASED

WEEKS = 8
MOST = 20
"""Labels, assignees and agents that are listed, most frequent first."""

_WEEK_SECONDS = 604_800

_STATE = (
    "CASE WHEN status = 'closed' THEN coalesce(resolution, 'closed') WHEN needs_person IS NOT NULL THEN 'needs-person'"
    f" WHEN {LEASED} THEN 'leased' WHEN not_needed THEN 'not-needed' WHEN open_blockers > 0 THEN 'blocked'"
    " WHEN deferred_until > :now THEN 'deferred' ELSE 'ready' END"
)
"""As `Issue.state`."""


class Spread(NamedTuple):
    """Lengths of time in seconds: half of them are below the median, nine of ten below p90. None of none."""

    number: int
    median: float | None
    p90: float | None


class Week(NamedTuple):
    """What happened in seven days."""

    ends: float
    """Unix time."""
    opened: int
    closed: int


class Tally(NamedTuple):
    """Issues that have something in common."""

    name: str
    open: int
    closed: int


class AgentTally(NamedTuple):
    """What became of an agent's attempts."""

    name: str
    attempts: int
    landed: int


class Statistics(NamedTuple):
    """Figures over all issues."""

    states: dict[str, int]
    types: tuple[Tally, ...]
    priorities: tuple[Tally, ...]
    labels: tuple[Tally, ...]
    """The most frequent ones among open issues."""
    assignees: tuple[Tally, ...]
    agents: tuple[AgentTally, ...]
    age: Spread
    """How long open issues have been open."""
    lead: Spread
    """How long closed issues took from filing to closing."""
    weeks: tuple[Week, ...]
    """The last eight, the newest last."""


def statistics(connection: sqlite3.Connection, now: float) -> Statistics:
    """All figures as of `now` (Unix time)."""
    rows = connection.execute(
        f"SELECT {_STATE}, type, priority, assignee, status, count(*) FROM issues GROUP BY 1, 2, 3, 4, 5", {"now": now}
    ).fetchall()
    states: dict[str, int] = {}
    for state, *_, count in rows:
        states[state] = states.get(state, 0) + count
    return Statistics(
        states=dict(sorted(states.items(), key=lambda item: (-item[1], item[0]))),
        types=_tallies([(kind, status, count) for _, kind, _, _, status, count in rows]),
        priorities=tuple(sorted(_tallies([(str(pri), status, count) for _, _, pri, _, status, count in rows]))),
        labels=_labels(connection),
        assignees=_tallies([(who, status, count) for _, _, _, who, status, count in rows if who])[:MOST],
        agents=_agents(connection),
        age=_spread(connection, ":now - created_at", "+status = 'open'", now),
        lead=_spread(connection, "closed_at - created_at", "+status = 'closed' AND closed_at IS NOT NULL", now),
        weeks=_weeks(connection, now),
    )


def _tallies(rows: list[tuple[str, str, int]]) -> tuple[Tally, ...]:
    counted: dict[str, list[int]] = {}
    for name, status, count in rows:
        counted.setdefault(name, [0, 0])[status == "closed"] += count
    found = [Tally(name, opened, closed) for name, (opened, closed) in counted.items()]
    return tuple(sorted(found, key=lambda one: (-one.open, -one.closed, one.name)))


def _labels(connection: sqlite3.Connection) -> tuple[Tally, ...]:
    rows = connection.execute(
        "SELECT label, sum(issue IN (SELECT id FROM issues WHERE status = 'open')) AS open,"
        " sum(issue NOT IN (SELECT id FROM issues WHERE status = 'open')) FROM labels"
        " GROUP BY label ORDER BY open DESC, label LIMIT ?",
        (MOST,),
    )
    return tuple(Tally(*row) for row in rows)


def _agents(connection: sqlite3.Connection) -> tuple[AgentTally, ...]:
    rows = connection.execute(
        "SELECT agent, count(*) AS attempts, coalesce(sum(outcome = 'landed'), 0) FROM attempts"
        " GROUP BY agent ORDER BY attempts DESC, agent LIMIT ?",
        (MOST,),
    )
    return tuple(AgentTally(*row) for row in rows)


def _spread(connection: sqlite3.Connection, length: str, condition: str, now: float) -> Spread:
    # The conditions have a + before the status: so many rows are read faster in their order than through an index.
    rows = connection.execute(
        f"SELECT max(0.0, {length}) FROM issues WHERE {condition} ORDER BY 1", {"now": now}
    ).fetchall()
    if not rows:
        return Spread(0, None, None)
    return Spread(len(rows), rows[(len(rows) - 1) // 2][0], rows[(len(rows) - 1) * 9 // 10][0])


def _weeks(connection: sqlite3.Connection, now: float) -> tuple[Week, ...]:
    counted: dict[str, dict[int, int]] = {}
    for column in ("created_at", "closed_at"):
        counted[column] = dict(
            connection.execute(
                f"SELECT cast((:now - {column}) / {_WEEK_SECONDS} AS INTEGER), count(*) FROM issues"
                f" WHERE {column} > :now - {WEEKS * _WEEK_SECONDS} AND {column} <= :now GROUP BY 1",
                {"now": now},
            )
        )
    return tuple(
        Week(now - ago * _WEEK_SECONDS, counted["created_at"].get(ago, 0), counted["closed_at"].get(ago, 0))
        for ago in reversed(range(WEEKS))
    )
