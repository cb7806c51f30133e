"""Filing issues and looking at them."""

from __future__ import annotations

import time

from tapeout.base.errors import UsageError
from tapeout.base.ids import new_id
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import queries, waiting
from tapeout.tracker.fields import SPARSE, Draft, checked_draft, checked_kind
from tapeout.tracker.model import WAITING_KINDS, Attachment, Comment, Dependency, Event, Issue
from tapeout.tracker.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class IssueCommands(Store):
    """New issues, and what is known of those that there are."""

    def create(self, draft: Draft) -> Issue:
        """File one issue."""
        return self.create_many([draft])[0]

    def create_many(self, drafts: Sequence[Draft]) -> list[Issue]:
        """File issues in one transaction: all of them or none.

        Raises:
            UsageError: a field is not valid, a local name is used twice, or the dependencies form a cycle.
            NotFound: a parent or dependency does not exist.
        """
        with self._writing():
            return [queries.issue(self._connection, identity) for identity in self._create(drafts)]

    def _create(self, drafts: Sequence[Draft]) -> list[str]:
        """File issues; their ids. Inside `_writing` only."""
        checked = [checked_draft(draft) for draft in drafts]
        identities = [self._fresh_id() for _ in checked]
        local = _local_names(checked, identities)
        links = [self._links(draft, local) for draft in checked]
        parents = [self._target(draft.parent, local) if draft.parent else None for draft in checked]
        waits = [[target for target, kind in one if kind in WAITING_KINDS] for one in links]
        _refuse_cycles("dependencies", dict(zip(identities, waits, strict=True)))
        _refuse_cycles("parents", {i: [p] for i, p in zip(identities, parents, strict=True) if p})
        for draft, identity, linked, parent in zip(checked, identities, links, parents, strict=True):
            self._append(identity, "created", _creation(draft, linked, parent))
        return identities

    def resolve(self, prefix: str) -> str:
        """The full id of the issue that a person or agent means by `prefix`."""
        with self._reading() as connection:
            return queries.resolve(connection, prefix)

    def issue(self, prefix: str) -> Issue:
        """One issue, by id or by the start of its id."""
        with self._reading() as connection:
            return queries.issue(connection, queries.resolve(connection, prefix))

    def issues(self, wanted: queries.Filter = queries.Filter(), limit: int = -1) -> list[Issue]:  # noqa: B008
        """Issues that fit the filter; a negative limit means all."""
        with self._reading() as connection:
            return queries.issues(connection, wanted, limit)

    def open_titles(self, titles: Sequence[str]) -> dict[str, str]:
        """Those of these titles that open issues have, and the id of one that has it."""
        with self._reading() as connection:
            return queries.open_titles(connection, titles)

    def ready(self, limit: int = -1, now: float | None = None) -> list[Issue]:
        """Issues that a worker could start now, most urgent first."""
        with self._reading() as connection:
            return queries.ready(connection, time.time() if now is None else now, limit)

    def counts(self) -> queries.Counts:
        """How many issues are in which state."""
        with self._reading() as connection:
            return queries.counts(connection, time.time())

    def next_wake(self) -> float | None:
        """The next moment (unix time) at which the passing of time alone makes an issue ready."""
        with self._reading() as connection:
            return queries.next_wake(connection, time.time())

    def dependencies(self, identity: str) -> list[Dependency]:
        """What an issue depends on, and what depends on it."""
        with self._reading() as connection:
            return queries.dependencies(connection, identity)

    def blockers(self, identity: str) -> list[str]:
        """Ids of the open issues that an issue waits for."""
        with self._reading() as connection:
            return queries.blockers(connection, identity)

    def circles(self) -> list[tuple[Dependency, list[str]]]:
        """Dependencies that are ignored because issues would wait for each other, each with the way back from its
        target to its issue."""
        with self._reading() as connection:
            return waiting.circles(connection)

    def parent_circles(self) -> list[list[str]]:
        """Issues that are each other's parents, as a merge can make them."""
        with self._reading() as connection:
            return waiting.parent_circles(connection)

    def comments(self, identity: str) -> list[Comment]:
        """Comments on an issue, oldest first."""
        with self._reading() as connection:
            return queries.comments(connection, identity)

    def attachments(self, prefix: str) -> list[Attachment]:
        """Files attached to an issue, oldest first."""
        with self._reading() as connection:
            return queries.attachments(connection, queries.resolve(connection, prefix))

    def events(self, *, after: int = 0, issue: str | None = None, limit: int | None = None) -> list[Event]:
        """What happened, oldest first; with `limit`, only the newest so many."""
        with self._reading() as connection:
            return list(queries.events(connection, after=after, issue=issue, limit=limit))

    def record(self, kind: str, data: dict[str, Any], issue: str = "") -> None:
        """Write down something that happened, for people to read in `tapeout logs`."""
        with self._writing():
            self._append(issue, "noted", {"what": kind, **data})

    def record_once(self, kind: str, reason: str) -> None:
        """Write down a state of affairs when it changes, and not again while it lasts; an empty reason ends it."""
        with self._writing():
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (f"last-{kind}",)).fetchone()
            if reason == (row[0] if row else ""):
                return
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"last-{kind}", reason))
            if reason:
                self._append("", "noted", {"what": kind, "reason": reason})

    def _fresh_id(self) -> str:
        while True:
            identity = new_id()
            if not queries.exists(self._connection, identity):
                return identity

    def _links(self, draft: Draft, local: dict[str, str]) -> list[tuple[str, str]]:
        wanted = [*((name, "blocks") for name in draft.depends_on), *draft.links]
        return [(self._target(name, local), checked_kind(kind)) for name, kind in wanted]

    def _target(self, name: str, local: dict[str, str]) -> str:
        return local.get(name) or queries.resolve(self._connection, name)


def _local_names(drafts: Sequence[Draft], identities: Sequence[str]) -> dict[str, str]:
    """Local name to id."""
    local: dict[str, str] = {}
    for draft, identity in zip(drafts, identities, strict=True):
        if draft.name and local.setdefault(draft.name, identity) != identity:
            raise UsageError(f"two issues have the local name {draft.name!r}")
    return local


def _creation(draft: Draft, links: list[tuple[str, str]], parent: str | None) -> dict[str, Any]:
    """Data of a `created` operation: what differs from an empty issue."""
    data: dict[str, Any] = {"title": draft.title, "type": draft.type, "priority": draft.priority}
    for field in SPARSE:
        value = getattr(draft, field)
        if value or value == 0:
            data[field] = value
    if parent:
        data["parent"] = parent
    if draft.labels:
        data["labels"] = sorted(set(draft.labels))
    if draft.scope:
        data["scope"] = list(draft.scope)
    if links:
        data["dependencies"] = list(dict.fromkeys(links))
    return data


def _refuse_cycles(what: str, edges: dict[str, list[str]]) -> None:
    """Among issues that are filed together, nobody may wait for himself; older issues cannot wait for new ones."""
    if not any(target in edges for targets in edges.values() for target in targets):
        return
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise UsageError(f"the {what} of these issues form a cycle") from error
