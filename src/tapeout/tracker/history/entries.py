"""The history of an issue, told from its operations: who changed what from which value to which, what was overwritten,
undone or lost, and who set a field's value. Pure.
"""

from __future__ import annotations

import json

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import values
from tapeout.tracker.history.replay import LEASE, Difference, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from tapeout.tracker.operations import Operation

    Knew = Callable[[Operation, Operation], bool]

PROSE = ("body", "acceptance", "design")
"""Fields of several lines, of which each has a history of its own."""

BLAMED = (*(name for name in values.FIELDS), "status", "resolution", "landed_commit", "labels")
"""What `blame` can tell about."""


class FieldChange(NamedTuple):
    """A field, or a set such as `labels`, before and after an operation."""

    field: str
    old: Any
    new: Any


class Overwritten(NamedTuple):
    """A value that is gone because another replica wrote another one without knowing of it."""

    field: str
    """Name of the field, or of the set's element such as `labels: api`."""
    by: str
    """Id of the operation that overwrote it."""
    actor: str
    at: float


class Entry(NamedTuple):
    """One operation in the history of an issue."""

    id: str
    """`<replica>.<number>`."""
    at: float
    """Unix time, seconds."""
    actor: str
    replica: str
    kind: str
    act: str
    """Id of the first operation of the transaction that it was part of."""
    changes: tuple[FieldChange, ...]
    overwritten: tuple[Overwritten, ...]
    """What of it a concurrent operation of another replica overwrote."""
    undone_by: str | None
    """Id of the operation that undid it."""
    undoes: str | None
    """Id of the first operation of the act that it undoes."""
    lost_to: str | None
    """It is a claim that did not hold: who had the lease."""
    data: dict[str, Any]
    """The operation's own data, as the log has it."""


def entries(steps: Sequence[Step], knew: Knew) -> list[Entry]:
    """The history of an issue, one entry an operation, in the order of the fold.

    Args:
        knew: whether the author of one operation could have known of another one.
    """
    lost = _overwritten(steps, knew)
    undone = _undone(steps)
    held: dict[str, set[Any]] = {"labels": set(), "dependencies": set()}
    return [
        Entry(
            id=step.operation.id,
            at=step.operation.happened_at,
            actor=step.operation.author,
            replica=step.operation.replica,
            kind=step.operation.kind,
            act=step.operation.act_id,
            changes=tuple(_changes(step, held)),
            overwritten=tuple(lost.get(step.operation.id, ())),
            undone_by=undone.get((step.operation.actor, step.operation.act_id)),
            undoes=undoes(step.operation),
            lost_to=_lost_to(step),
            data=step.operation.data,
        )
        for step in steps
    ]


def undoes(operation: Operation) -> str | None:
    """Id of the first operation of the act that an operation undoes."""
    act = operation.data.get("undoes")
    return act if isinstance(act, str) else None


def _undone(steps: Sequence[Step]) -> dict[tuple[str, str], str]:
    """Actor and act to the first operation that undid it: everybody undoes only what is theirs."""
    found: dict[tuple[str, str], str] = {}
    for step in steps:
        act = undoes(step.operation)
        if act:
            found.setdefault((step.operation.actor, act), step.operation.id)
    return found


def _changes(step: Step, held: dict[str, set[Any]]) -> Iterator[FieldChange]:
    """What an operation changed.

    Args:
        held: the elements of the small sets, of which all are told, before the operation; made those after it.
    """
    for name, (old, new) in step.changes.items():
        if name == LEASE:
            yield FieldChange(name, old and old[0], new and new[0])
        elif name == "scope":
            if _listed(old) != _listed(new):
                yield FieldChange(name, _listed(old), _listed(new))
        elif not (step.is_first and new in ("", None)):  # a new issue's empty fields say nothing
            yield FieldChange(name, old, new)
    for name, difference in step.differences.items():
        if name in held:
            before = _plain(sorted(held[name]))
            held[name] = held[name].difference(difference.gone).union(difference.came)
            yield FieldChange(name, before, _plain(sorted(held[name])))
        else:
            told = {"comments": 3, "attachments": 2}[name]
            yield FieldChange(name, [one[told] for one in difference.gone], [one[told] for one in difference.came])


def _listed(scope: str | None) -> list[str]:
    return [] if scope is None else list(json.loads(scope))


def _plain(elements: Iterable[tuple[str, ...]]) -> list[str]:
    return [" ".join(one) for one in elements]


def _lost_to(step: Step) -> str | None:
    data = step.operation.data
    if step.operation.kind != "claimed" or step.lease is None:
        return None
    if step.lease_after == (data.get("owner"), data.get("token")):
        return None
    return str(step.lease[0])


def _overwritten(steps: Sequence[Step], knew: Knew) -> dict[str, list[Overwritten]]:
    """Operation to what of it was overwritten by one whose author had not seen it."""
    found: dict[str, list[Overwritten]] = {}
    writers: dict[str, Operation] = {}
    for step in steps:
        later = step.operation
        for name in _written(step):
            earlier = writers.get(name)
            if earlier is not None and not knew(later, earlier):
                loss = Overwritten(name, later.id, later.author, later.happened_at)
                found.setdefault(earlier.id, []).append(loss)
            writers[name] = later
    return found


def _written(step: Step) -> Iterator[str]:
    """Names of what an operation gave another value: fields, and elements of the sets that can lose one unawares."""
    if step.is_first:
        return
    yield from (name for name in step.changes if name != LEASE)
    for name in ("labels", "dependencies"):
        difference = step.differences.get(name, Difference([], []))
        yield from (f"{name}: {element}" for element in _plain([*difference.gone, *difference.came]))


class Setting(NamedTuple):
    """One value that a field had."""

    value: Any
    at: float
    """Unix time at which it was set, seconds."""
    actor: str
    replica: str
    operation: str
    overwritten: bool
    """A concurrent edit of another replica replaced it unseen."""
    undone: bool


class BlamedLine(NamedTuple):
    """One line of a field's current value."""

    line: str
    setting: Setting
    """Who brought it in."""


class Blame(NamedTuple):
    """Who made a field what it is."""

    issue: str
    field: str
    settings: tuple[Setting, ...]
    """Every value that it had, oldest first; the last one is the current. Empty if nobody ever set it."""
    lines: tuple[BlamedLine, ...]
    """The current value line by line; for the fields of `PROSE` and for sets."""


def blame(issue: str, steps: Sequence[Step], knew: Knew, field: str) -> Blame:
    """Who set a field of an issue.

    Args:
        knew: as in `entries`.

    Raises:
        UsageError: there is no such field.
    """
    if field not in BLAMED:
        raise UsageError(f"issues have no field {field!r}", hint=f"fields are {', '.join(BLAMED)}")
    settings = [
        _setting(entry, change) for entry in entries(steps, knew) for change in entry.changes if change.field == field
    ]
    lines: list[BlamedLine] = []
    for setting in settings:
        lines = _with_lines_of(lines, setting, field)
    return Blame(issue, field, tuple(settings), tuple(lines))


def _setting(entry: Entry, change: FieldChange) -> Setting:
    return Setting(
        value=change.new,
        at=entry.at,
        actor=entry.actor,
        replica=entry.replica,
        operation=entry.id,
        overwritten=any(one.field.partition(":")[0] == change.field for one in entry.overwritten),
        undone=entry.undone_by is not None,
    )


def _with_lines_of(lines: list[BlamedLine], setting: Setting, field: str) -> list[BlamedLine]:
    """The lines of a new value: those that were there before keep who brought them in."""
    if field in PROSE:
        old = "\n".join(one.line for one in lines)
        return _merged(lines, _split(setting.value), setting, old)
    if isinstance(setting.value, list):
        known = {one.line: one for one in lines}
        return [known.get(element) or BlamedLine(element, setting) for element in setting.value]
    return []


def _split(text: str) -> list[str]:
    """Lines as git counts them: only a newline ends one."""
    return text.removesuffix("\n").split("\n") if text else []


def _merged(lines: list[BlamedLine], new: list[str], setting: Setting, old: str) -> list[BlamedLine]:
    """Lines that git's own comparison finds unchanged keep their setting."""
    if not lines:
        return [BlamedLine(line, setting) for line in new]
    import pygit2

    patch = pygit2.Patch.create_from(
        f"{old}\n".encode(), "".join(f"{line}\n" for line in new).encode(), context_lines=0,
        flag=pygit2.enums.DiffOption.FORCE_TEXT,
    )  # fmt: skip
    made: list[BlamedLine] = []
    at = 0
    for hunk in patch.hunks:
        kept = hunk.old_start - (1 if hunk.old_lines else 0)  # git counts from 1, and from 0 where nothing was
        made += lines[at:kept]
        at = kept + hunk.old_lines
        start = len(made)
        made += [BlamedLine(line, setting) for line in new[start : start + hunk.new_lines]]
    return [*made, *lines[at:]]
