"""Reports for people and agents: what does not go on and why, the graph, how far epics are, figures."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import queries
from tapeout.tracker.store import Store

# Imported where they are used: most commands report nothing.
if TYPE_CHECKING:
    from tapeout.tracker.reports.figures import Statistics
    from tapeout.tracker.reports.graphs import Graph
    from tapeout.tracker.reports.reasons import Obstacle


class Epic(NamedTuple):
    """An epic and how far it is."""

    id: str
    title: str
    status: str
    priority: int
    children: int
    closed: int
    """How many of the children are closed."""

    @property
    def percent(self) -> int:
        """Of the children, rounded down, so that 100 means all."""
        return self.closed * 100 // self.children if self.children else 0

    @property
    def closable(self) -> bool:
        """Whether it is open though all its children are closed."""
        return self.status == "open" and 0 < self.children == self.closed


class ReportCommands(Store):
    """Reports. All of them read; none grows without a limit."""

    def obstacles(self, limit: int = -1, issue: str | None = None) -> list[Obstacle]:
        """What does not go on, with the chain of reasons down to each cause; of one issue, or most urgent first.

        Args:
            limit: how many; negative means all.
            issue: a full or shortened id.
        """
        from tapeout.tracker.reports import reasons

        with self._reading() as connection:
            identity = queries.resolve(connection, issue) if issue is not None else None
            return reasons.obstacles(connection, time.time(), limit, identity)

    def graph(self, limit: int = -1, issue: str | None = None, *, closed: bool = False) -> Graph:
        """Who waits for whom and who is a child of whom: below one issue, or of all that have any connection.

        Args:
            limit: how many issues; negative means all.
            issue: a full or shortened id.
            closed: with closed issues.
        """
        from tapeout.tracker.reports import graphs

        with self._reading() as connection:
            start = queries.resolve(connection, issue) if issue is not None else None
            return graphs.graph(connection, limit, start=start, closed=closed)

    def epics(self, limit: int = -1, *, status: str | None = "open", closable: bool = False) -> list[Epic]:
        """Epics with their progress, most urgent first.

        Args:
            limit: how many; negative means all.
            status: `open`, `closed`, or None for both.
            closable: only open ones whose children are all closed.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM (SELECT id, title, status, priority,"
                " (SELECT count(*) FROM issues c WHERE c.parent = epic.id) AS children,"
                " (SELECT count(*) FROM issues c WHERE c.parent = epic.id AND c.status = 'closed') AS closed"
                " FROM issues epic WHERE type = 'epic' AND (:status IS NULL OR status = :status)"
                " ORDER BY priority, created_clock, id)"
                " WHERE NOT :closable OR (status = 'open' AND children > 0 AND children = closed) LIMIT :limit",
                {"status": status, "closable": closable, "limit": limit},
            )
            return [Epic(*row) for row in rows]

    def statistics(self) -> Statistics:
        """How many issues of which sort, how old they are, and how fast they are done."""
        from tapeout.tracker.reports import figures

        with self._reading() as connection:
            return figures.statistics(connection, time.time())
