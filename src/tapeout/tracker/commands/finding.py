"""Finding issues: by a query of `query.language`, or by words."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import queries
from tapeout.tracker.model import Issue
from tapeout.tracker.store import Store

# Imported where it is used: most commands ask no query.
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Union

    from tapeout.tracker.query.language import Query
    from tapeout.tracker.query.sql import Where

    AnyQuery = Union[str, Query]  # noqa: UP007 - read at start-up

STREAM_BATCH = 200
"""Issues that a stream reads at once: between the batches it holds no snapshot of the index, so that a slow reader
keeps nobody's writes from being tidied up."""


class Hit(NamedTuple):
    """An issue that a search found."""

    issue: Issue
    snippet: str
    """The place where the words stand, with `**` around each."""
    score: float
    """How well it fits; higher is better, comparable within one search only."""


class FindCommands(Store):
    """Questions about many issues."""

    def find(self, query: AnyQuery, limit: int = -1) -> list[Issue]:
        """Issues that fit a query (docs/reference/queries.md), open and closed ones; a negative limit means all.

        Raises:
            UsageError: it is no query; says where and why. Or an id in it fits several issues.
            NotFound: an issue that it names does not exist.
        """
        with self._reading() as connection:
            where = self._where(connection, query)
            return queries.matching(connection, where.condition, where.order, where.values, limit)

    def matching_ids(self, query: AnyQuery, limit: int = -1) -> list[str]:
        """Ids of the issues that fit a query, in its order; as `find`. For writing to them in one transaction too."""
        with self._reading() as connection:
            where = self._where(connection, query)
            rows = connection.execute(
                f"SELECT id FROM issues WHERE {where.condition} ORDER BY {where.order} LIMIT :limit",
                {**where.values, "limit": limit},
            )
            return [row[0] for row in rows]

    def stream(self, query: AnyQuery, limit: int = -1) -> Iterator[Issue]:
        """As `find`, one by one, each as it is when it is read, so that any number of them takes little memory."""
        identities = self.matching_ids(query, limit)
        for start in range(0, len(identities), STREAM_BATCH):
            with self._reading() as connection:
                batch = queries.several(connection, identities[start : start + STREAM_BATCH])
            yield from batch

    def search(self, text: str, limit: int = -1, within: AnyQuery = "") -> list[Hit]:
        """Issues that hold all words of a text, best first; whatever the text holds, it is no syntax but `word*` for
        words that begin so.

        Args:
            limit: how many; negative means all.
            within: a query that they must fit too.

        Raises:
            UsageError: the text holds no word; or as `find`.
        """
        from tapeout.tracker.query import search

        match = search.expression(text.encode(errors="replace").decode())
        with self._reading() as connection:
            where = self._where(connection, within)
            search.refresh(connection, self.paths.tracker_db)
            found = search.search(connection, match, limit, where.condition, where.values)
            issues = {issue.id: issue for issue in queries.several(connection, [one.issue for one in found])}
        return [Hit(issues[one.issue], one.snippet, one.score) for one in found if one.issue in issues]

    def _where(self, connection: Connection, query: AnyQuery) -> Where:
        from tapeout.tracker.query import language, search, sql

        tree = language.parse(query) if isinstance(query, str) else query
        where = sql.compile_query(tree, time.time(), lambda prefix: queries.resolve(connection, prefix))
        if where.searches:
            search.refresh(connection, self.paths.tracker_db)
        return where
