"""Changing issues: fields, labels, comments, dependencies, closing and reopening; of one issue or of many.

Every command here that takes several issues changes all of them in one transaction, or none.
"""

from __future__ import annotations

from tapeout.base.caller import AGENT
from tapeout.base.errors import NotAllowed, UsageError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import queries, waiting
from tapeout.tracker.fields import checked_fields, checked_kind, checked_label
from tapeout.tracker.model import PERSON_RESOLUTIONS, WAITING_KINDS, Comment, Dependency, Issue
from tapeout.tracker.store import Store, checked_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Self

    from tapeout.tracker.model import DependencyKind


class _Edit(NamedTuple):
    """Fields and labels to change, of any issue."""

    fields: dict[str, Any]
    labels: dict[str, list[str]]
    """To `add` and to `remove`."""

    @classmethod
    def checked(cls, fields: Mapping[str, Any], add_labels: Iterable[str], remove_labels: Iterable[str]) -> Self:
        labels = {"add": [checked_label(label) for label in add_labels], "remove": list(remove_labels)}
        return cls(checked_fields(fields), labels)


class EditCommands(Store):
    """What people and agents change about issues."""

    def edit(
        self,
        prefix: str,
        fields: Mapping[str, Any],
        *,
        add_labels: Iterable[str] = (),
        remove_labels: Iterable[str] = (),
        add_dependencies: Iterable[tuple[str, str]] = (),
        remove_dependencies: Iterable[tuple[str, str]] = (),
    ) -> Issue:
        """Change one issue, as `edit_many`, and what it depends on, all in one transaction.

        Args:
            add_dependencies: targets and kinds, as for `add_dependency`.
            remove_dependencies: targets and kinds, as for `remove_dependency`.
        """
        added = [(target, checked_kind(kind)) for target, kind in add_dependencies]
        removed = [(target, checked_kind(kind)) for target, kind in remove_dependencies]
        edit = _Edit.checked(fields, add_labels, remove_labels)
        with self._writing():
            issue = queries.resolve(self._connection, prefix)
            self._refuse_agents_at_work([issue])
            self._apply_edit([issue], edit)
            for target, kind in removed:
                self._disconnect(issue, queries.resolve(self._connection, target), kind)
            for target, kind in added:
                self._connect(issue, queries.resolve(self._connection, target), kind)
            return queries.issue(self._connection, issue)

    def edit_many(
        self,
        prefixes: Iterable[str],
        fields: Mapping[str, Any],
        *,
        add_labels: Iterable[str] = (),
        remove_labels: Iterable[str] = (),
    ) -> list[Issue]:
        """Set fields of issues (title, body, acceptance, design, type, priority, scope, parent, agent, assignee,
        deferred_until, due_at, estimate_minutes, external_ref) and add or remove labels.

        Raises:
            UsageError: there is no such field, or a value is not valid.
            NotAllowed: the parent is one of the issues or below it; or an agent would change what work in progress is
                judged by.
        """
        edit = _Edit.checked(fields, add_labels, remove_labels)
        with self._writing():
            identities = self._resolve_all(prefixes)
            self._refuse_agents_at_work(identities)
            self._apply_edit(identities, edit)
            return self._issues(identities)

    def _refuse_agents_at_work(self, identities: Iterable[str]) -> None:
        """Scope, criteria, type and labels of an issue say by what its change is judged and what it may use: while an
        attempt is under way, no agent moves them."""
        if not self.actor.startswith(AGENT):
            return
        for identity in identities:
            if any(one.state != "ended" for one in queries.attempts(self._connection, issue=identity)):
                raise NotAllowed(
                    f"an agent does not change {identity}, which is being worked on", hint="say it in a comment on it"
                )

    def _apply_edit(self, identities: Iterable[str], edit: _Edit) -> None:
        fields = dict(edit.fields)
        if fields.get("parent"):
            fields["parent"] = queries.resolve(self._connection, fields["parent"])
        for identity in identities:
            if fields.get("parent"):
                self._refuse_as_parent(identity, fields["parent"])
            if fields:
                self._append(identity, "fields-set", fields)
            if edit.labels["add"] or edit.labels["remove"]:
                self._append(identity, "labels-changed", edit.labels)

    def comment(self, prefix: str, text: str) -> Comment:
        """Add a comment to one issue."""
        return self.comment_many([prefix], text)[0]

    def comment_many(self, prefixes: Iterable[str], text: str) -> list[Comment]:
        """Add the same comment to issues."""
        if not checked_text(text, "comment").strip():
            raise UsageError("the comment is empty")
        with self._writing():
            operations = [self._append(one, "commented", {"text": text}) for one in self._resolve_all(prefixes)]
            return [Comment(operation.id, operation.actor, operation.at, text) for operation in operations]

    def close_issue(self, prefix: str, resolution: str = "done", note: str = "", *, of: str | None = None) -> Issue:
        """Close one issue, as `close_many`."""
        return self.close_many([prefix], resolution, note, of=of)[0]

    def close_many(
        self, prefixes: Iterable[str], resolution: str = "done", note: str = "", *, of: str | None = None
    ) -> list[Issue]:
        """Close issues by a person's decision; changes of them that wait in the queue are withdrawn.

        Args:
            resolution: one of `PERSON_RESOLUTIONS`.
            note: why; becomes a comment.
            of: the issue that they are duplicates of: closes them as such and records the dependency.

        Raises:
            NotAllowed: one is closed already, or the resolution is `landed`, which only a landing gives.
        """
        _refuse_resolution(resolution, of)
        checked_text(note, "note")
        with self._writing():
            identities = self._resolve_all(prefixes)
            original = None if of is None else queries.resolve(self._connection, of)
            for issue in self._issues(identities):
                if issue.status == "closed":
                    raise NotAllowed(f"{issue.id} is closed already ({issue.resolution})")
                if original:
                    self._connect(issue.id, original, "duplicates")
                if note:
                    self._append(issue.id, "commented", {"text": note})
                self._append(issue.id, "closed", {"resolution": resolution})
            return self._issues(identities)

    def reopen(self, prefix: str) -> Issue:
        """Open one issue again, as `reopen_many`."""
        return self.reopen_many([prefix])[0]

    def reopen_many(self, prefixes: Iterable[str]) -> list[Issue]:
        """Open closed issues again, or give those that need a person a fresh start with a full budget.

        Raises:
            NotAllowed: one is open already.
        """
        with self._writing():
            identities = self._resolve_all(prefixes)
            for issue in self._issues(identities):
                if issue.status == "open" and not issue.needs_person:
                    raise NotAllowed(f"{issue.id} is open already")
                self._append(issue.id, "reopened", {})
            return self._issues(identities)

    def add_dependency(self, prefix: str, target: str, kind: str = "blocks") -> Dependency:
        """Make an issue depend on another.

        Raises:
            NotAllowed: it would depend on itself, or two issues would wait for each other.
        """
        checked = checked_kind(kind)
        with self._writing():
            issue, on = queries.resolve(self._connection, prefix), queries.resolve(self._connection, target)
            return self._connect(issue, on, checked)

    def remove_dependency(self, prefix: str, target: str, kind: str = "blocks") -> Dependency:
        """Remove a dependency; removing one that is not there changes nothing."""
        checked = checked_kind(kind)
        with self._writing():
            issue, on = queries.resolve(self._connection, prefix), queries.resolve(self._connection, target)
            return self._disconnect(issue, on, checked)

    def remove_parent(self, prefix: str, parent: str) -> Issue:
        """Take an issue out of its parent; if that is another one, nothing changes."""
        with self._writing():
            issue = queries.issue(self._connection, queries.resolve(self._connection, prefix))
            if issue.parent is not None and issue.parent == queries.resolve(self._connection, parent):
                self._append(issue.id, "fields-set", {"parent": None})
            return queries.issue(self._connection, issue.id)

    def _connect(self, issue: str, target: str, kind: str) -> Dependency:
        dependency = Dependency(issue, target, checked_kind(kind))
        self._refuse_circle(issue, target, kind)
        self._append(issue, "dependency-added", {"target": target, "kind": kind})
        return dependency

    def _disconnect(self, issue: str, target: str, kind: DependencyKind) -> Dependency:
        dependency = Dependency(issue, target, kind)
        if any(known[:3] == dependency[:3] for known in queries.dependencies(self._connection, issue)):
            self._append(issue, "dependency-removed", {"target": target, "kind": kind})
        return dependency

    def _refuse_circle(self, issue: str, target: str, kind: str) -> None:
        if issue == target:
            raise NotAllowed(f"{issue} cannot depend on itself")
        if kind in WAITING_KINDS and waiting.would_cycle(self._connection, issue, target):
            raise NotAllowed(f"{target} already waits for {issue}: that would be a cycle")

    def _refuse_as_parent(self, identity: str, parent: str) -> None:
        if identity in queries.ancestors(self._connection, parent):
            raise NotAllowed(f"{parent} is {identity} itself or below it, so it cannot be its parent")

    def _resolve_all(self, prefixes: Iterable[str]) -> list[str]:
        """Full ids in the order given, each once."""
        return list(dict.fromkeys(queries.resolve(self._connection, prefix) for prefix in prefixes))

    def _issues(self, identities: Iterable[str]) -> list[Issue]:
        return [queries.issue(self._connection, identity) for identity in identities]


def _refuse_resolution(resolution: str, of: str | None) -> None:
    if resolution == "landed":
        raise NotAllowed("only a landing closes an issue as landed", hint="use --as done")
    if resolution not in PERSON_RESOLUTIONS:
        raise UsageError(f"{resolution!r} is not one of {', '.join(PERSON_RESOLUTIONS)}")
    if of is not None and resolution != "duplicate":
        raise UsageError(f"what is closed as {resolution} is no duplicate of another issue", hint="use --as duplicate")
