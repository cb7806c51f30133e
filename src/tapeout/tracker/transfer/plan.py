"""What an import writes: the operations that bring an issue to what a record says.

Between two imports of an issue its file and its tracker may both have changed. An import brings in what changed in the
file since the import before, field by field; the rest stays as it is here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tapeout.base.errors import UsageError
from tapeout.tracker.transfer import github
from tapeout.tracker.transfer.names import OWN_PREFIX, meanings
from tapeout.tracker.transfer.record import FIELDS, Attachment, Note, Record, Remark

_DEFAULTS = Record._field_defaults
_SAME_SECONDS = 1e-5
"""Other tools' times are cut to a microsecond."""

_HELD_BY_GITHUB = frozenset({"title", "body", "acceptance", "design", "type", "priority", "assignee", "external_ref"})


class Known(NamedTuple):
    """An issue that the tracker has already."""

    id: str
    external_ref: str | None
    updated_at: float


class Matches:
    """Which issue a name means: of a file's records, and of issues that the tracker has."""

    def __init__(
        self, records: Sequence[Record], known: Sequence[Known], source: str, fresh: Callable[[int], list[str]]
    ) -> None:
        """
        Args:
            fresh: makes so many ids that are not taken, in order.
        """
        self.source = source
        self.known = {one.id: one for one in known}
        self._means = meanings([(one.id, one.external_ref) for one in known])
        found = {record.name: self._existing(record.name) for record in records}
        missing = [record.name for record in records if found[record.name] is None and not record.deleted]
        new = missing if source == "tapeout" else fresh(len(missing))
        found.update(zip(missing, new, strict=True))
        self.ids = {name: identity for name, identity in found.items() if identity is not None}

    def _existing(self, name: str) -> str | None:
        if self.source == "tapeout":
            return name if name in self.known else None
        return self._means.get(name)

    def of(self, name: str) -> str | None:
        """Our id of what a record calls `name`."""
        return self.ids.get(name) or self._existing(name)


def resolved(record: Record, matches: Matches, remarks: list[Remark]) -> Record:
    """The record with our ids for other issues and its own name among the external references. Issues that are neither
    in the file nor in the tracker become comments."""
    missing: list[Note] = []

    def target(name: str, what: str) -> str | None:
        identity = matches.of(name)
        if identity is None:
            missing.append(Note(None, record.created_at, f"{what} {name}, which was not there to import."))
            remarks.append(Remark(record.where, f"{what.lower()} {name}, which does not exist: kept as a comment"))
        elif identity == matches.ids[record.name]:
            remarks.append(Remark(record.where, f"{what.lower()} itself: left out"))
            return None
        return identity

    parent = target(record.parent, "Child of") if record.parent else None
    dependencies = [(target(name, f"Depends ({kind}) on"), kind) for name, kind in record.dependencies]
    external_ref = record.external_ref
    if matches.source != "tapeout":
        own = record.name == OWN_PREFIX + matches.ids[record.name]
        words = dict.fromkeys([*([] if own else [record.name]), *(external_ref or "").split()])
        external_ref = " ".join(words) or None
    return record._replace(
        parent=parent,
        dependencies=tuple(dict.fromkeys((identity, kind) for identity, kind in dependencies if identity)),
        comments=(*record.comments, *missing),
        external_ref=external_ref,
    )


def creation(record: Record, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kinds and data of the operations that make the issue."""
    data: dict[str, Any] = {"title": record.title, "type": record.type, "priority": record.priority}
    for field in FIELDS[1:]:
        value = getattr(record, field)
        if value != _DEFAULTS[field]:
            data[field] = list(value) if field == "scope" else value
    if record.labels:
        data["labels"] = sorted(record.labels)
    if record.dependencies:
        data["dependencies"] = [list(one) for one in record.dependencies]
    yield "created", _told(data, record.created_at, record.created_by, source)
    last = record.created_at
    for kind, content in (*_notes(record.comments, source), *_files(record.attachments, source)):
        yield kind, content
        last = content["at"]
    if record.resolution is not None:
        yield _closing(record, source)
        last = _closing_time(record)
    if last != record.updated_at:
        yield "fields-set", _told({}, record.updated_at, None, source)


def _told(data: dict[str, Any], at: float, by: str | None, source: str) -> dict[str, Any]:
    told = {**data, "at": at, "source": source}
    if by:
        told["by"] = by
    return told


def _notes(notes: Iterable[Note], source: str) -> list[tuple[str, dict[str, Any]]]:
    return [("commented", _told({"text": note.text}, note.at, note.actor, source)) for note in notes]


def _files(files: Iterable[Attachment], source: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("attached", _told({"name": one.name, "blob": one.blob, "size": one.size}, one.at, one.actor, source))
        for one in files
    ]


def _closing(record: Record, source: str) -> tuple[str, dict[str, Any]]:
    at = _closing_time(record)
    if record.landed_commit:
        return "change-landed", _told({"change": "", "commit": record.landed_commit}, at, record.closed_by, source)
    return "closed", _told({"resolution": record.resolution}, at, record.closed_by, source)


def _closing_time(record: Record) -> float:
    return record.updated_at if record.closed_at is None else record.closed_at


def update(base: Record, record: Record, current: Known, source: str) -> list[tuple[str, dict[str, Any]]]:
    """Kinds and data of the operations that bring in what changed in a file.

    Args:
        base: the issue as the import before left it, or as it is here if there was none.
    """
    record = _held(base, record) if source == "github" else record
    changes: list[tuple[str, dict[str, Any]]] = []
    if base.resolution is not None and record.resolution is None:
        changes.append(("reopened", {}))
    fields = _changed_fields(base, record, current, source)
    if fields:
        changes.append(("fields-set", fields))
    changes += _changed_sets(base, record)
    changes = [(kind, _told(data, record.updated_at, None, source)) for kind, data in changes]
    changes += _notes(_new_notes(base, record), source)
    attached = {(one.name, one.blob) for one in base.attachments}
    changes += _files((one for one in record.attachments if (one.name, one.blob) not in attached), source)
    if record.resolution is not None and not _closed_alike(base, record):
        changes.append(_closing(record, source))
    return [*changes, *_last_changed(changes, record, current, source)] if changes else []


def _changed_fields(base: Record, record: Record, current: Known, source: str) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in FIELDS if not _same(getattr(base, name), getattr(record, name))}
    if base.resolution is not None and record.resolution is None and record.needs_person:
        fields["needs_person"] = record.needs_person  # to reopen it clears that
    if "external_ref" in fields and source != "tapeout":
        fields["external_ref"] = _united(current.external_ref, fields["external_ref"])
        if fields["external_ref"] == current.external_ref:
            del fields["external_ref"]
    if "scope" in fields:
        fields["scope"] = list(fields["scope"])
    return fields


def _changed_sets(base: Record, record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Labels and dependencies."""
    add, remove = set(record.labels) - set(base.labels), set(base.labels) - set(record.labels)
    if add or remove:
        yield "labels-changed", {"add": sorted(add), "remove": sorted(remove)}
    for target, kind in record.dependencies:
        if (target, kind) not in base.dependencies:
            yield "dependency-added", {"target": target, "kind": kind}
    for target, kind in base.dependencies:
        if (target, kind) not in record.dependencies:
            yield "dependency-removed", {"target": target, "kind": kind}


def _last_changed(
    changes: Sequence[tuple[str, dict[str, Any]]], record: Record, current: Known, source: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """When the issue was last changed: as the file says, or later if it was changed here."""
    if changes[-1][1]["at"] != record.updated_at:
        yield "fields-set", _told({}, record.updated_at, None, source)
    if current.updated_at > record.updated_at:
        yield "fields-set", {"at": current.updated_at}


def _united(one: str | None, other: str | None) -> str | None:
    """All names elsewhere: an import adds one and forgets none."""
    return " ".join(dict.fromkeys([*(one or "").split(), *(other or "").split()])) or None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < _SAME_SECONDS
    return bool(one == other)


def _new_notes(base: Record, record: Record) -> list[Note]:
    known = {(round(note.at, 4), note.text) for note in base.comments}
    return [note for note in record.comments if (round(note.at, 4), note.text) not in known]


def _closed_alike(base: Record, record: Record) -> bool:
    return (
        base.resolution == record.resolution
        and base.landed_commit == record.landed_commit
        and _same(base.closed_at, record.closed_at)
    )


def _held(base: Record, record: Record) -> Record:
    """What GitHub has no place for stays as it is."""
    kept = {name: getattr(base, name) for name in FIELDS if name not in _HELD_BY_GITHUB}
    record = record._replace(**kept, dependencies=base.dependencies)
    if github.closed_alike(base.resolution, record.resolution):
        record = record._replace(resolution=base.resolution, landed_commit=base.landed_commit, closed_at=base.closed_at)
    return record


def refuse_parent_circles(parents: Mapping[str, tuple[str, str]], above: Mapping[str, str], source: str) -> None:
    """No issue may be its own ancestor.

    Args:
        parents: new parents: issue to parent and place in the file.
        above: the parents that the tracker has.
        source: name of the file.
    """
    for issue, (parent, where) in parents.items():
        seen = {issue}
        node: str | None = parent
        while node is not None:
            if node in seen:
                raise UsageError(
                    f"{source}, {where}, parent: the issue would be its own ancestor", hint="nothing was imported"
                )
            seen.add(node)
            node = parents[node][0] if node in parents else above.get(node)
