"""Why an issue does not go on: what it waits for, down to the causes that themselves wait for nobody."""

from __future__ import annotations

from collections.abc import Sequence

from tapeout.base.lean import Literal, NamedTuple
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import digraph, queries, waiting
from tapeout.tracker.model import FAILED_RESOLUTIONS, OPEN_CHANGE_STATES, Issue

MAX_CHAINS = 5
"""Causes that are listed for one issue."""

MAX_STEPS = 10
"""Steps of a chain that are listed: of a longer one the middle is left out."""


class Step(NamedTuple):
    """An issue on the way to the cause."""

    issue: str
    title: str
    state: str
    """As `Issue.state`; or `queued`: its change waits for the gate; or `epic`: it closes when its children have."""
    owner: str | None
    """Who holds it, if it is leased."""
    until: float | None
    """Unix time until which it is leased or deferred."""
    why: str | None
    """Why it needs a person; how far an epic is."""


class Chain(NamedTuple):
    """From what an issue waits for itself to what that waits for, and so on to the cause."""

    steps: tuple[Step, ...]
    left_out: int
    """Steps left out in the middle."""


class Obstacle(NamedTuple):
    """An issue that does not go on, or a dependency that does not count."""

    issue: str
    title: str
    priority: int
    reason: Literal["blocked", "not-needed", "circle", "parent-circle"]
    """`circle`: a dependency of it is ignored, since it would close a circle. `parent-circle`: it is above itself."""
    chains: tuple[Chain, ...]
    """To each cause; at most five."""
    more: bool
    """Whether there are more causes."""
    circle: tuple[str, ...]
    """The issues of the circle: each waits for the next, or has it as its parent, and the last for the first."""


def obstacles(connection: sqlite3.Connection, now: float, limit: int, issue: str | None = None) -> list[Obstacle]:
    """Everything that does not go on, most urgent first; circles come last.

    Args:
        limit: how many; negative means all.
        issue: this one only.
    """
    reader = _Reader(connection, now)
    found = [
        reader.blocked(one) for one in _ids(connection, "status = 'open' AND open_blockers > 0", limit, issue)
    ]  # fmt: skip
    rest = limit - len(found) if limit >= 0 else -1
    found += [reader.not_needed(one) for one in _ids(connection, "status = 'open' AND not_needed = 1", rest, issue)]
    found += [one for one in _circles(reader) if issue in (None, one.issue)]
    return found if limit < 0 else found[:limit]


def _ids(connection: sqlite3.Connection, condition: str, limit: int, issue: str | None) -> list[str]:
    rows = connection.execute(
        f"SELECT id FROM issues WHERE {condition} AND (:issue IS NULL OR id = :issue)"
        " ORDER BY priority, created_clock, id LIMIT :limit",
        {"issue": issue, "limit": limit},
    )
    return [row[0] for row in rows]


def _circles(reader: _Reader) -> list[Obstacle]:
    ignored = [
        reader.obstacle(dependency.issue, "circle", circle=(dependency.issue, *way[:-1]))
        for dependency, way in waiting.circles(reader.connection)
    ]
    parents = waiting.parent_circles(reader.connection)
    return ignored + [reader.obstacle(circle[0], "parent-circle", circle=tuple(circle)) for circle in parents]


class _Reader:
    """Reads each issue and whom it waits for once."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self.connection = connection
        self._now = now
        self._issues: dict[str, Issue] = {}
        self._blockers: dict[str, list[str]] = {}

    def obstacle(
        self,
        issue: str,
        reason: Literal["blocked", "not-needed", "circle", "parent-circle"],
        *,
        ways: Sequence[Sequence[str]] = (),
        circle: tuple[str, ...] = (),
    ) -> Obstacle:
        known = self._issue(issue)
        chains = tuple(self._chain(way) for way in ways[:MAX_CHAINS])
        return Obstacle(issue, known.title, known.priority, reason, chains, len(ways) > MAX_CHAINS, circle)

    def blocked(self, issue: str) -> Obstacle:
        """An issue that waits, with a shortest way to each cause."""
        ways = digraph.shortest_ways(issue, self._waits_for, lambda one: not self._waits_for(one), MAX_CHAINS + 1)
        return self.obstacle(issue, "blocked", ways=ways)

    def not_needed(self, issue: str) -> Obstacle:
        """An issue that is conditional on a failure that did not happen, with the way to what ended well instead."""
        ways = digraph.shortest_ways(issue, self._conditional_on, self._ended_well, MAX_CHAINS + 1)
        return self.obstacle(issue, "not-needed", ways=ways)

    def _issue(self, issue: str) -> Issue:
        if issue not in self._issues:
            self._issues[issue] = queries.issue(self.connection, issue)
        return self._issues[issue]

    def _waits_for(self, issue: str) -> list[str]:
        if issue not in self._blockers:
            self._blockers[issue] = queries.blockers(self.connection, issue)
        return self._blockers[issue]

    def _conditional_on(self, issue: str) -> list[str]:
        if self._issue(issue).status == "closed":
            return []
        rows = self.connection.execute(
            "SELECT target FROM dependencies JOIN issues ON issues.id = target WHERE issue = ?"
            " AND kind = 'conditional' AND NOT ignored ORDER BY target",
            (issue,),
        )
        return [row[0] for row in rows]

    def _ended_well(self, issue: str) -> bool:
        known = self._issue(issue)
        return known.status == "closed" and known.resolution not in FAILED_RESOLUTIONS

    def _chain(self, way: Sequence[str]) -> Chain:
        left_out = max(0, len(way) - MAX_STEPS)
        half = MAX_STEPS // 2
        shown = [*way[:half], *way[-half:]] if left_out else way
        return Chain(tuple(self._step(one) for one in shown), left_out)

    def _step(self, identity: str) -> Step:
        issue = self._issue(identity)
        state, why = self._state(issue)
        leased = state == "leased"
        until = issue.lease_expires if leased else issue.deferred_until if state == "deferred" else None
        return Step(identity, issue.title, state, issue.lease_owner if leased else None, until, why)

    def _state(self, issue: Issue) -> tuple[str, str | None]:
        state = issue.state(self._now)
        if state == "needs-person":
            return state, issue.needs_person
        if state == "ready" and issue.type == "epic":
            closed, children = progress(self.connection, issue.id)
            return "epic", f"{closed} of {children} children closed"
        changes = queries.changes(self.connection, states=OPEN_CHANGE_STATES, issue=issue.id)
        return ("queued" if state == "ready" and changes else state), None


def progress(connection: sqlite3.Connection, epic: str) -> tuple[int, int]:
    """How many children of an epic are closed, and how many it has."""
    row = connection.execute(
        "SELECT coalesce(sum(status = 'closed'), 0), count(*) FROM issues WHERE parent = ?", (epic,)
    ).fetchone()
    return row[0], row[1]
