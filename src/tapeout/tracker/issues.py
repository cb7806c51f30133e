"""What people and agents do to issues: create, edit, comment, connect, close."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from tapeout.base.errors import NotAllowed, UsageError
from tapeout.base.ids import new_id
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import queries, waiting
from tapeout.tracker.model import (
    DEPENDENCY_KINDS,
    ISSUE_TYPES,
    PERSON_RESOLUTIONS,
    PRIORITIES,
    WAITING_KINDS,
    Comment,
    Dependency,
    DependencyKind,
    Event,
    Issue,
    IssueType,
)
from tapeout.tracker.store import Store, checked_text

if TYPE_CHECKING:
    from typing import Any

MAX_TITLE = 300
"""Longest title, in characters."""

MAX_LABEL = 80
"""Longest label, in characters."""


class Draft(NamedTuple):
    """An issue that is not filed yet."""

    title: str
    body: str = ""
    acceptance: str = ""
    type: IssueType = "task"
    priority: int = 2
    labels: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    parent: str | None = None
    agent: str | None = None
    assignee: str | None = None
    deferred_until: float | None = None
    design: str = ""
    due_at: float | None = None
    estimate_minutes: int | None = None
    external_ref: str | None = None
    depends_on: tuple[str, ...] = ()
    """Issues that must close first: ids, or local names of other drafts filed together with this one."""
    links: tuple[tuple[str, DependencyKind], ...] = ()
    """Other dependencies: what they are on, as in `depends_on`, and their kind."""
    name: str | None = None
    """Local name, by which other drafts filed together can refer to this one."""


class IssueCommands(Store):
    """Issues and everything that hangs on them."""

    def create(self, draft: Draft) -> Issue:
        """File one issue."""
        return self.create_many([draft])[0]

    def create_many(self, drafts: Sequence[Draft]) -> list[Issue]:
        """File issues in one transaction: all of them or none.

        Raises:
            UsageError: a field is not valid, a local name is used twice, or the dependencies form a cycle.
            NotFound: a parent or dependency does not exist.
        """
        checked = [checked_draft(draft) for draft in drafts]
        with self._writing():
            identities = [self._fresh_id() for _ in checked]
            local = _local_names(checked, identities)
            links = [self._links(draft, local) for draft in checked]
            parents = [self._target(draft.parent, local) if draft.parent else None for draft in checked]
            waits = [[target for target, kind in one if kind in WAITING_KINDS] for one in links]
            _refuse_cycles("dependencies", dict(zip(identities, waits, strict=True)))
            _refuse_cycles("parents", {i: [p] for i, p in zip(identities, parents, strict=True) if p})
            for draft, identity, linked, parent in zip(checked, identities, links, parents, strict=True):
                self._append(identity, "created", _creation(draft, linked, parent))
            return [queries.issue(self._connection, identity) for identity in identities]

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

    def events(self, *, after: int = 0, issue: str | None = None, limit: int | None = None) -> list[Event]:
        """What happened, oldest first; with `limit`, only the newest so many."""
        with self._reading() as connection:
            return list(queries.events(connection, after=after, issue=issue, limit=limit))

    def edit(
        self,
        prefix: str,
        fields: dict[str, Any],
        *,
        add_labels: Iterable[str] = (),
        remove_labels: Iterable[str] = (),
    ) -> Issue:
        """Set fields of an issue (title, body, acceptance, design, type, priority, scope, parent, agent, assignee,
        deferred_until, due_at, estimate_minutes, external_ref) and add or remove labels, in one transaction."""
        fields = {name: _checked_field(name, value) for name, value in fields.items()}
        labels = {"add": [_checked_label(label) for label in add_labels], "remove": list(remove_labels)}
        with self._writing():
            identity = queries.resolve(self._connection, prefix)
            if fields.get("parent"):
                fields["parent"] = self._parent(identity, fields["parent"])
            if fields:
                self._append(identity, "fields-set", fields)
            if labels["add"] or labels["remove"]:
                self._append(identity, "labels-changed", labels)
            return queries.issue(self._connection, identity)

    def comment(self, prefix: str, text: str) -> Comment:
        """Add a comment."""
        if not checked_text(text, "comment").strip():
            raise UsageError("the comment is empty")
        with self._writing():
            identity = queries.resolve(self._connection, prefix)
            operation = self._append(identity, "commented", {"text": text})
            return Comment(operation.id, operation.actor, operation.at, text)

    def add_dependency(self, prefix: str, target: str, kind: str = "blocks") -> Dependency:
        """Make an issue depend on another.

        Raises:
            NotAllowed: it would depend on itself, or two issues would wait for each other.
        """
        with self._writing():
            dependency = self._dependency(prefix, target, kind)
            if dependency.issue == dependency.target:
                raise NotAllowed(f"{dependency.issue} cannot depend on itself")
            if kind in WAITING_KINDS and waiting.would_cycle(self._connection, dependency.issue, dependency.target):
                raise NotAllowed(f"{dependency.target} already waits for {dependency.issue}: that would be a cycle")
            data = {"target": dependency.target, "kind": dependency.kind}
            self._append(dependency.issue, "dependency-added", data)
            return dependency

    def remove_dependency(self, prefix: str, target: str, kind: str = "blocks") -> Dependency:
        """Remove a dependency; removing one that is not there changes nothing."""
        with self._writing():
            dependency = self._dependency(prefix, target, kind)
            if any(known[:3] == dependency[:3] for known in queries.dependencies(self._connection, dependency.issue)):
                data = {"target": dependency.target, "kind": dependency.kind}
                self._append(dependency.issue, "dependency-removed", data)
            return dependency

    def close_issue(self, prefix: str, resolution: str = "done", note: str = "") -> Issue:
        """Close an issue by a person's decision; changes of it that wait in the queue are withdrawn.

        Raises:
            NotAllowed: it is closed already, or the resolution is `landed`, which only a landing gives.
        """
        if resolution == "landed":
            raise NotAllowed("only a landing closes an issue as landed", hint="use --as done")
        if resolution not in PERSON_RESOLUTIONS:
            raise UsageError(f"{resolution!r} is not one of {', '.join(PERSON_RESOLUTIONS)}")
        with self._writing():
            issue = queries.issue(self._connection, queries.resolve(self._connection, prefix))
            if issue.status == "closed":
                raise NotAllowed(f"{issue.id} is closed already ({issue.resolution})")
            if note:
                self._append(issue.id, "commented", {"text": checked_text(note, "note")})
            self._append(issue.id, "closed", {"resolution": resolution})
            return queries.issue(self._connection, issue.id)

    def reopen(self, prefix: str) -> Issue:
        """Open a closed issue again, or give one that needs a person a fresh start with a full budget."""
        with self._writing():
            issue = queries.issue(self._connection, queries.resolve(self._connection, prefix))
            if issue.status == "open" and not issue.needs_person:
                raise NotAllowed(f"{issue.id} is open already")
            self._append(issue.id, "reopened", {})
            return queries.issue(self._connection, issue.id)

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
            if self._connection.execute("SELECT 1 FROM issues WHERE id = ?", (identity,)).fetchone() is None:
                return identity

    def _links(self, draft: Draft, local: dict[str, str]) -> list[tuple[str, str]]:
        wanted = [*((name, "blocks") for name in draft.depends_on), *draft.links]
        return [(self._target(name, local), _checked_kind(kind)) for name, kind in wanted]

    def _target(self, name: str, local: dict[str, str]) -> str:
        return local.get(name) or queries.resolve(self._connection, name)

    def _dependency(self, prefix: str, target: str, kind: str) -> Dependency:
        return Dependency(
            queries.resolve(self._connection, prefix),
            queries.resolve(self._connection, target),
            _checked_kind(kind),
        )

    def _parent(self, identity: str, prefix: str) -> str:
        """The parent's id, if it is not the issue itself or one of its descendants."""
        parent = queries.resolve(self._connection, prefix)
        if identity in queries.ancestors(self._connection, parent):
            raise NotAllowed(f"{parent} is {identity} itself or below it, so it cannot be its parent")
        return parent


def _checked_kind(kind: str) -> DependencyKind:
    for known in DEPENDENCY_KINDS:
        if kind == known:
            return known
    raise UsageError(f"{kind!r} is not one of {', '.join(DEPENDENCY_KINDS)}")


def _local_names(drafts: Sequence[Draft], identities: Sequence[str]) -> dict[str, str]:
    """Local name to id."""
    local: dict[str, str] = {}
    for draft, identity in zip(drafts, identities, strict=True):
        if draft.name and local.setdefault(draft.name, identity) != identity:
            raise UsageError(f"two issues have the local name {draft.name!r}")
    return local


_SPARSE = (
    "body", "acceptance", "design", "agent", "assignee", "deferred_until", "due_at", "estimate_minutes", "external_ref",
)  # fmt: skip
"""Fields that most issues do not have."""


def _creation(draft: Draft, links: list[tuple[str, str]], parent: str | None) -> dict[str, Any]:
    """Data of a `created` operation: what differs from an empty issue."""
    data: dict[str, Any] = {"title": draft.title, "type": draft.type, "priority": draft.priority}
    for field in _SPARSE:
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


def checked_draft(draft: Draft) -> Draft:
    """The draft as it can be filed.

    Raises:
        UsageError: a field is not valid.
    """
    checked = {
        name: _checked_field(name, getattr(draft, name)) for name in ("title", "type", "priority", "scope", *_SPARSE)
    }
    labels = tuple(_checked_label(label) for label in draft.labels)
    return draft._replace(**checked, labels=labels)


def _checked_label(label: str) -> str:
    odd = any(character in ", " or not character.isprintable() for character in label)
    if odd or not 1 <= len(label) <= MAX_LABEL:
        raise UsageError(f"{label!r} is not a label: 1 to 80 characters, without spaces and commas")
    return label


def _checked_field(name: str, value: Any) -> Any:
    if name == "title":
        return _checked_title(value)
    if name == "type" and value not in ISSUE_TYPES:
        raise UsageError(f"{value!r} is not an issue type: {', '.join(ISSUE_TYPES)}")
    if name == "priority" and not (type(value) is int and value in PRIORITIES):
        raise UsageError(f"{value!r} is not a priority: 0 (most urgent) to 4")
    if name == "scope":
        return [checked_text(glob, "scope") for glob in value]
    if name in ("parent", "agent", "assignee", "external_ref") and not value:
        return None
    if name == "estimate_minutes" and value is not None and not (type(value) is int and 0 <= value < 1 << 40):
        raise UsageError(f"{value!r} is not an estimate: a number of minutes")
    if isinstance(value, str):
        return checked_text(value, name)
    return value


def _checked_title(title: str) -> str:
    title = " ".join(checked_text(title, "title").split())
    if not title:
        raise UsageError("the title is empty")
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in title):
        raise UsageError("the title holds control characters")
    if len(title) > MAX_TITLE:
        raise UsageError(f"the title is {len(title)} characters long, {MAX_TITLE} is the most")
    return title
