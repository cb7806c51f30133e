"""What undoes an act: operations that set back what its operations changed, if it still is as they left it. Pure.

Nothing is taken out of the log: an act and its undoing are both part of the history.
"""

from __future__ import annotations

import contextlib

from tapeout.base.errors import Conflict, NotAllowed
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.base.moments import clock
from tapeout.tracker import schema, values
from tapeout.tracker.history.replay import LEASE, Step, replay, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from tapeout.tracker.operations import Operation

_FOR_GOOD = {
    "attempt-started": "attempts happened",
    "attempt-updated": "attempts happened",
    "attempt-noted": "attempts happened",
    "attempt-ended": "attempts happened",
    "gave-up": "attempts happened; `tapeout issue reopen ID` lets agents try again",
    "change-submitted": "a change was submitted; closing the issue withdraws it",
    "change-moved": "the gate has judged a change",
    "change-landed": "a change has landed; revert its commit in a new issue",
    "released": "a lease was given back; `tapeout claim ID` takes it again",
    "comment-removed": "a comment was removed",
}
"""Kinds of operations that nobody undoes, and why."""

_STATUS = ("status", "resolution")


class Compensation(NamedTuple):
    """One operation to write."""

    issue: str
    kind: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.issue}  {_DESCRIPTIONS[self.kind](self.data)}"


class Act(NamedTuple):
    """What an actor did in one transaction."""

    id: str
    """Of its first operation."""
    at: float
    """Unix time, seconds."""
    issues: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of its operations, each once."""
    undo: tuple[Compensation, ...]
    """What would undo it."""
    obstacle: str | None
    """Why it cannot be undone, or None."""


def compensations(act: Sequence[Operation], histories: dict[str, Sequence[Operation]]) -> list[Compensation]:
    """Operations that undo an act; none if nothing of it is left.

    Args:
        act: its operations, in the order in which they were written.
        histories: for each issue of the act all its operations, in the order of the fold.

    Raises:
        NotAllowed: something of it cannot be undone by anybody.
        Conflict: somebody changed it since.
    """
    for operation in act:
        if operation.kind in _FOR_GOOD:
            raise NotAllowed(f"what was done to {operation.issue} cannot be undone: {_FOR_GOOD[operation.kind]}")
    found: list[Compensation] = []
    with contextlib.closing(schema.in_memory()) as index:
        for issue, mine in reversed(_by_issue(act).items()):
            found += _of_issue(issue, mine, replay(histories[issue], index))
    return found


def _by_issue(act: Sequence[Operation]) -> dict[str, set[str]]:
    """Issue to the ids of the act's operations on it."""
    found: dict[str, set[str]] = {}
    for operation in act:
        if operation.issue:
            found.setdefault(operation.issue, set()).add(operation.id)
    return found


def _of_issue(issue: str, mine: set[str], steps: Sequence[Step]) -> list[Compensation]:
    created = next((s.operation for s in steps if s.operation.id in mine and s.operation.kind == "created"), None)
    if created is not None:
        _refuse_touched(created, [step.operation for step in steps])
        return [Compensation(issue, "closed", {"resolution": "invalid"})] if _is_open(steps) else []
    changes = list(_changes(mine, steps))
    by_name = {change.name: change for change in changes}
    return [
        *_status(issue, by_name),
        *_fields(issue, changes),
        *_labels(issue, *_to_undo("labels", mine, steps)),
        *_dependencies(issue, *_to_undo("dependencies", mine, steps)),
        *_comments(issue, *_to_undo("comments", mine, steps)),
        *_attachments(issue, *_to_undo("attachments", mine, steps)),
        *_lease(issue, by_name.get(LEASE), steps, mine),
    ]


def _is_open(steps: Sequence[Step]) -> bool:
    return next((s.changes["status"].new for s in reversed(steps) if "status" in s.changes), None) == "open"


def _refuse_touched(created: Operation, operations: Iterable[Operation]) -> None:
    """Who filed an issue cannot undo that when others have written to it."""
    other = next((one for one in operations if one.actor != created.actor), None)
    if other is not None:
        raise Conflict(
            f"{other.actor} has worked on {created.issue} since it was filed",
            hint="`tapeout issue close ID --as invalid` closes it all the same",
        )


class _Change(NamedTuple):
    """A register of one value that an act changed."""

    name: str
    old: Any
    """Before the act."""
    new: Any
    """As the act left it."""
    current: Any
    changed_by: Operation | None
    """The last operation after the act that changed it."""


def _changes(mine: set[str], steps: Sequence[Step]) -> Iterator[_Change]:
    written: dict[str, list[Step]] = {}
    for step in steps:
        for name in step.changes:
            written.setdefault(name, []).append(step)
    for name in dict.fromkeys(name for step in steps if step.operation.id in mine for name in step.changes):
        ours = [step for step in written[name] if step.operation.id in mine]
        newest = written[name][-1]
        changed_by = None if newest is ours[-1] else newest.operation
        yield _Change(name, ours[0].changes[name].old, ours[-1].changes[name].new, newest.changes[name].new, changed_by)


def _to_set_back(issue: str, change: _Change) -> bool:
    """Whether a register should get its old value.

    Raises:
        Conflict: somebody gave it another one.
    """
    if change.current == change.old:
        return False
    if change.current != change.new:
        by = change.changed_by
        who = "" if by is None else f" by {by.actor} at {clock(by.at)}"
        raise Conflict(f"{change.name} of {issue} was changed since{who}", hint="`tapeout issue history ID` shows how")
    return True


def _status(issue: str, changes: dict[str, _Change]) -> Iterator[Compensation]:
    concerned = [changes[name] for name in _STATUS if name in changes]
    differing = [change for change in concerned if _to_set_back(issue, change)]
    if not differing:
        return
    status, resolution = changes.get("status"), changes.get("resolution")
    if status is not None and status.old == "open":
        yield Compensation(issue, "reopened", {})
    elif resolution is not None:
        yield Compensation(issue, "closed", {"resolution": resolution.old})


def _fields(issue: str, changes: Sequence[_Change]) -> Iterator[Compensation]:
    import json

    fields = {}
    for change in changes:
        if change.name in values.FIELDS and _to_set_back(issue, change):
            fields[change.name] = json.loads(change.old) if change.name == "scope" else change.old
    if fields:
        yield Compensation(issue, "fields-set", fields)


def _labels(issue: str, remove: list[Any], add: list[Any]) -> Iterator[Compensation]:
    if remove or add:
        yield Compensation(
            issue, "labels-changed", {"add": [one for (one,) in add], "remove": [one for (one,) in remove]}
        )


def _dependencies(issue: str, remove: list[Any], add: list[Any]) -> Iterator[Compensation]:
    for word, elements in (("removed", remove), ("added", add)):
        for kind, target in elements:
            yield Compensation(issue, f"dependency-{word}", {"target": target, "kind": kind})


def _comments(issue: str, remove: list[Any], _add: list[Any]) -> Iterator[Compensation]:
    for _clock, identity, *_rest in remove:
        yield Compensation(issue, "comment-removed", {"comment": identity})


def _attachments(issue: str, remove: list[Any], add: list[Any]) -> Iterator[Compensation]:
    for _clock, identity, name, *_rest in remove:
        yield Compensation(issue, "detached", {"attachment": identity, "name": name})
    for _clock, _identity, name, blob, size in add:
        yield Compensation(issue, "attached", {"name": name, "blob": blob, "size": size})


def _to_undo(name: str, mine: set[str], steps: Sequence[Step]) -> tuple[list[Any], list[Any]]:
    """Elements of a set to remove, and to add again: those that others removed or added already are as they were."""
    touching = [step for step in steps if name in step.differences]
    ours = [number for number, step in enumerate(touching) if step.operation.id in mine]
    if not ours:
        return [], []
    act = total(step.differences[name] for step in touching[ours[0] : ours[-1] + 1])
    later = total(step.differences[name] for step in touching[ours[-1] + 1 :])
    gone_again, back_again = set(later.gone), set(later.came)
    return [one for one in act.came if one not in gone_again], [one for one in act.gone if one not in back_again]


def _lease(issue: str, change: _Change | None, steps: Sequence[Step], mine: set[str]) -> Iterator[Compensation]:
    """A lease that the act took is given back; one that closing ended is not taken again."""
    claimed = any(step.operation.kind == "claimed" and step.operation.id in mine for step in steps)
    if change is None or not claimed or change.new is None or change.current is None:
        return
    if change.current != change.new:
        raise Conflict(f"{issue} is held by {change.current[0]} now")
    owner, token = change.new
    yield Compensation(issue, "released", {"token": token, "owner": owner})


def _described_fields(data: dict[str, Any]) -> str:
    return "set back " + ", ".join(f"{name} to {_short(name, value)}" for name, value in data.items())


def _short(name: str, value: Any) -> str:
    if value in (None, "", []):
        return "nothing"
    if name in ("deferred_until", "due_at"):
        return clock(value)
    text = " ".join(str(value).split())
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _described_labels(data: dict[str, Any]) -> str:
    return "labels " + " ".join([*(f"+{label}" for label in data["add"]), *(f"-{label}" for label in data["remove"])])


_DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "closed": lambda data: f"close as {data['resolution']}",
    "reopened": lambda _: "reopen",
    "fields-set": _described_fields,
    "labels-changed": _described_labels,
    "dependency-added": lambda data: f"depend on {data['target']} again ({data['kind']})",
    "dependency-removed": lambda data: f"no longer depend on {data['target']} ({data['kind']})",
    "comment-removed": lambda data: f"remove the comment {data['comment']}",
    "attached": lambda data: f"attach {data['name']} again",
    "detached": lambda data: f"detach {data['name']}",
    "released": lambda data: f"release the lease of {data['owner']}",
}
