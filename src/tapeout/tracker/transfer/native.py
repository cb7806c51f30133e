"""Our own format, `tapeout`: one issue a line with everything that the tracker knows of it.

docs/reference/transfer.md describes it, docs/reference/issue.schema.json says it as JSON Schema. Times are unix
seconds, as in every answer of `--json`. Fields that are empty are left out.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any

from tapeout.tracker.model import DEPENDENCY_KINDS, ISSUE_TYPES, RESOLUTIONS
from tapeout.tracker.transfer.record import Attachment, Item, Note, Record

VERSION = 1
"""Value of the field `tapeout` of every line: grows when a field changes its meaning."""

_TIMES = ("closed_at", "deferred_until", "due_at")
_WORDS = ("closed_by", "landed_commit", "parent", "needs_person", "created_by")
_NAMES = ("agent", "assignee", "external_ref")


def looks_like(item: Mapping[str, Any]) -> bool:
    """Whether an object is an issue of ours."""
    return "tapeout" in item and "id" in item


def read(item: Item) -> Record:
    """An issue of ours."""
    version = item.data.get("tapeout")
    if version != VERSION:
        raise item.error("tapeout", f"version {version!r:.20} is not known here, only {VERSION}")
    name = item.word("id")
    if name is None or not name.isascii() or not name.isalnum() or name != name.lower():
        raise item.error("id", f"{name!r:.60} is no id of an issue")
    created, updated = _number(item, "created_at"), _number(item, "updated_at")
    if created is None:
        raise item.error("created_at", "it is missing")
    title, more = item.title()
    return Record(
        where=item.where,
        name=name,
        title=title,
        created_at=created,
        updated_at=created if updated is None else updated,
        body=more + item.text("body"),
        acceptance=item.text("acceptance"),
        design=item.text("design"),
        type=_one_of(item, "type", ISSUE_TYPES) or "task",
        priority=item.priority(),
        resolution=_resolution(item),
        labels=tuple(sorted(set(item.labels(item.texts("labels"))))),
        scope=item.globs("scope", item.data.get("scope")),
        closed_at=_number(item, "closed_at"),
        deferred_until=item.plannable("deferred_until", _number(item, "deferred_until")),
        due_at=item.plannable("due_at", _number(item, "due_at")),
        estimate_minutes=item.estimate("estimate_minutes"),
        dependencies=tuple(_dependencies(item)),
        comments=tuple(_comments(item)),
        attachments=tuple(_attachments(item)),
        **{field: item.word(field) for field in _WORDS},  # type: ignore[arg-type]
        **{field: item.line(field) for field in _NAMES},  # type: ignore[arg-type]
    )


def _number(item: Item, field: str, value: Any = None) -> float | None:
    value = item.data.get(field) if value is None else value
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value):
        raise item.error(field, f"{value!r:.60} is no unix time in seconds")
    return float(value)


def _one_of(item: Item, field: str, allowed: tuple[str, ...], value: Any = None) -> str | None:
    value = item.data.get(field) if value is None else value
    known = next((word for word in allowed if word == value), None)
    if known is None and value is not None:
        raise item.error(field, f"{value!r:.60} is not one of {', '.join(allowed)}")
    return known


def _resolution(item: Item) -> str | None:
    resolution = _one_of(item, "resolution", RESOLUTIONS)
    closed = _one_of(item, "status", ("open", "closed")) == "closed"
    if closed != (resolution is not None):
        raise item.error("resolution", "a closed issue has one, an open issue has none")
    return resolution


def _dependencies(item: Item) -> list[tuple[str, str]]:
    found = []
    for number, one in enumerate(item.items("dependencies")):
        field = f"dependencies[{number}]"
        target = item.word(f"{field}.target", one.get("target"))
        kind = _one_of(item, f"{field}.kind", DEPENDENCY_KINDS, one.get("kind"))
        if target is None or kind is None:
            raise item.error(field, "it needs a target and a kind")
        found.append((target, kind))
    return list(dict.fromkeys(found))


def _comments(item: Item) -> list[Note]:
    found = []
    for number, one in enumerate(item.items("comments")):
        field = f"comments[{number}]"
        at = _number(item, f"{field}.at", one.get("at"))
        if at is None:
            raise item.error(f"{field}.at", "it is missing")
        text = item.text(f"{field}.text", one.get("text"))
        found.append(Note(item.word(f"{field}.actor", one.get("actor")), at, text))
    return found


def _attachments(item: Item) -> list[Attachment]:
    found = []
    for number, one in enumerate(item.items("attachments")):
        field = f"attachments[{number}]"
        name, blob = (item.word(f"{field}.{key}", one.get(key)) for key in ("name", "blob"))
        at, size = _number(item, f"{field}.at", one.get("at")), one.get("size")
        if name is None or blob is None or at is None or type(size) is not int or size < 0:
            raise item.error(field, "it needs a name, a blob, a size and a time")
        try:
            content = None if one.get("content") is None else base64.b64decode(one["content"], validate=True)
        except (ValueError, TypeError) as error:
            raise item.error(f"{field}.content", "it is no base64") from error
        found.append(Attachment(name, blob, size, item.word(f"{field}.actor", one.get("actor")), at, content))
    return found


def write(record: Record) -> dict[str, Any]:
    """An issue as one line says it."""
    item: dict[str, Any] = {
        "tapeout": VERSION,
        "id": record.name,
        "title": record.title,
        "type": record.type,
        "priority": record.priority,
        "status": "closed" if record.resolution else "open",
        "resolution": record.resolution,
        "body": record.body,
        "acceptance": record.acceptance,
        "design": record.design,
        "labels": sorted(record.labels),
        "scope": list(record.scope),
        "estimate_minutes": record.estimate_minutes,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        **{field: getattr(record, field) for field in (*_TIMES, *_WORDS, *_NAMES)},
        "dependencies": [{"target": target, "kind": kind} for target, kind in sorted(record.dependencies)],
        "comments": [note._asdict() for note in record.comments],
        "attachments": [_attachment(one) for one in record.attachments],
        **(record.history or {}),
    }
    return {key: value for key, value in item.items() if value not in (None, "", [])}


def _attachment(one: Attachment) -> dict[str, Any]:
    item = one._asdict()
    item["content"] = None if one.content is None else base64.b64encode(one.content).decode()
    return item
