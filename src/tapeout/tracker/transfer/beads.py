"""Beads: one issue a line, as `bd export` writes and `bd import` reads it.

What Beads knows and we do not goes into labels (`status:hooked`, `type:spike`), the body (notes) and one comment with
the rest; what we know and Beads does not goes into its `metadata`. Both come back the same way.

Source: `internal/types/types.go` of gastownhall/beads.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tapeout.tracker.model import ISSUE_TYPES, RESOLUTIONS
from tapeout.tracker.transfer import sections
from tapeout.tracker.transfer.names import OWN_PREFIX, Named, unique_names
from tapeout.tracker.transfer.record import Item, Note, Record, iso

_REST = "Beads also says of this issue:\n\n```json\n"
_REST_END = "\n```"
_REASON = "Closed: "
_STATUS = "status:"
_TYPE = "type:"

_KINDS = {
    "blocks": "blocks",
    "conditional-blocks": "conditional",
    "waits-for": "blocks",
    "related": "related",
    "relates-to": "related",
    "discovered-from": "discovered-from",
    "duplicates": "duplicates",
    "supersedes": "supersedes",
}
_BACK = {"conditional": "conditional-blocks"}

_FAILURES = (
    "failed", "rejected", "wontfix", "won't fix", "canceled", "cancelled", "abandoned", "blocked", "error", "timeout",
    "aborted",
)  # fmt: skip
"""Words in a reason by which Beads itself tells that an issue was closed without success."""

_KNOWN = frozenset(
    {
        "id", "title", "description", "design", "acceptance_criteria", "notes", "status", "priority", "issue_type",
        "assignee", "estimated_minutes", "created_at", "created_by", "updated_at", "closed_at", "close_reason",
        "due_at", "defer_until", "external_ref", "labels", "dependencies", "comments", "_type",
        # What `bd` computes when it prints.
        "dependency_count", "dependent_count", "comment_count", "parent", "notes_preview", "dependents",
    }
)  # fmt: skip

_OWN_FIELDS = ("resolution", "scope", "agent", "needs_person", "landed_commit")


def looks_like(item: Mapping[str, Any]) -> bool:
    """Whether an object is an issue, or another line, of Beads."""
    return "issue_type" in item or "_type" in item or ("id" in item and "title" in item and "number" not in item)


def read(item: Item) -> Record | None:
    """An issue of Beads; None for a line that is none, such as one of its memories."""
    if item.data.get("_type", "issue") != "issue":
        item.note(f"skipped: a {item.data['_type']!r:.60}, not an issue")
        return None
    name = item.word("id")
    if name is None or len(name.split()) > 1:
        raise item.error("id", "it is missing" if name is None else "it holds spaces")
    status = item.word("status") or "open"
    created = item.moment("created_at")
    updated = item.moment("updated_at") or created
    if created is None or updated is None:
        raise item.error("created_at", "it is missing")
    title, more = item.title()
    parent, dependencies, left = _dependencies(item, name)
    own = _own(item)
    closed = status in ("closed", "tombstone")
    closed_at = (item.moment("closed_at") or updated) if closed else None
    labels = item.labels(item.texts("labels"))
    kind = item.type(item.word("issue_type"), labels)
    deferred, person = item.plannable("defer_until", item.moment("defer_until")), own.get("needs_person")
    if not closed:
        person = person or _person(status, deferred, waits=any(d[1] == "blocks" for d in dependencies))
        if status != "open":
            labels += item.labels([f"{_STATUS}{status}"])
            item.note(f"status {status!r:.60} became open with the label {_STATUS}{status}")
    return Record(
        where=item.where,
        name=name,
        title=title,
        created_at=created,
        updated_at=updated,
        body=sections.join(more + item.text("description"), "Notes", item.text("notes")),
        acceptance=item.text("acceptance_criteria"),
        design=item.text("design"),
        type=kind,
        priority=item.priority(),
        resolution=_resolution(item, own) if closed else None,
        closed_at=closed_at,
        landed_commit=own.get("landed_commit"),
        labels=tuple(dict.fromkeys(labels)),
        scope=tuple(own.get("scope", ())),
        parent=parent,
        agent=own.get("agent"),
        assignee=item.line("assignee"),
        needs_person=None if closed else person,
        deferred_until=deferred,
        due_at=item.plannable("due_at", item.moment("due_at")),
        estimate_minutes=item.estimate("estimated_minutes"),
        external_ref=item.line("external_ref"),
        created_by=item.word("created_by") or item.word("owner"),
        dependencies=tuple(dependencies),
        comments=tuple(_comments(item, updated, closed_at, left)),
        deleted=status == "tombstone",
    )


def _own(item: Item) -> dict[str, Any]:
    """What an export of ours put into the metadata."""
    metadata = item.data.get("metadata")
    own = metadata.get("tapeout") if isinstance(metadata, dict) else None
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise item.error("metadata.tapeout", "expected an object")
    found: dict[str, Any] = {
        "agent": item.line("metadata.tapeout.agent", own.get("agent")),
        "needs_person": item.word("metadata.tapeout.needs_person", own.get("needs_person")),
        "landed_commit": item.word("metadata.tapeout.landed_commit", own.get("landed_commit")),
    }
    found["scope"] = item.globs("metadata.tapeout.scope", own.get("scope"))
    resolution = own.get("resolution")
    if resolution is not None and resolution not in RESOLUTIONS:
        raise item.error("metadata.tapeout.resolution", f"{resolution!r:.60} is no resolution")
    return found | {"resolution": resolution}


def _resolution(item: Item, own: Mapping[str, Any]) -> str:
    if item.data.get("status") == "tombstone":
        return "invalid"
    if own.get("resolution"):
        return str(own["resolution"])
    reason = item.text("close_reason").lower()
    return "failed" if any(word in reason for word in _FAILURES) else "done"


def _person(status: str, deferred: float | None, *, waits: bool) -> str | None:
    """Why no agent may start it, for a status that Beads would not start it in."""
    expected = {"deferred": deferred is not None, "blocked": waits, "open": True, "in_progress": True, "hooked": True}
    return None if expected.get(status, False) else _reason_for(status)


def _reason_for(status: str) -> str:
    return f"its status in Beads is {status}"


def _dependencies(item: Item, name: str) -> tuple[str | None, list[tuple[str, str]], list[dict[str, Any]]]:
    """The parent, other dependencies, and those that we have no word for."""
    parent: str | None = None
    found: list[tuple[str, str]] = []
    left = []
    for number, edge in enumerate(item.items("dependencies")):
        field = f"dependencies[{number}]"
        issue = item.word(f"{field}.issue_id", edge.get("issue_id")) or name
        target = item.word(f"{field}.depends_on_id", edge.get("depends_on_id"))
        kind = item.word(f"{field}.type", edge.get("type")) or "blocks"
        if target is None:
            raise item.error(f"{field}.depends_on_id", "it is missing")
        if issue != name:
            raise item.error(f"{field}.issue_id", f"{issue!r:.60} is not this issue")
        if kind == "parent-child" and parent in (None, target):
            parent = target
        elif kind in _KINDS:
            found.append((target, _KINDS[kind]))
            if kind == "waits-for":
                item.note(f"dependency {kind} on {target} became blocks")
        else:
            left.append(edge)
            item.note(f"dependency {kind!r:.60} on {target} is kept in a comment")
    return parent, list(dict.fromkeys(found)), left


def _comments(item: Item, updated: float, closed_at: float | None, left: list[dict[str, Any]]) -> Iterator[Note]:
    for number, comment in enumerate(item.items("comments")):
        field = f"comments[{number}]"
        text = item.text(f"{field}.text", comment.get("text"))
        at = item.moment(f"{field}.created_at", comment.get("created_at"))
        if text.strip():
            yield Note(item.word(f"{field}.author", comment.get("author")), updated if at is None else at, text)
    reason = item.text("close_reason")
    if closed_at is not None and reason.strip():
        yield Note(None, closed_at, _REASON + reason)
    rest = _without_place(item, left)
    if rest:
        text = json.dumps(rest, ensure_ascii=False, sort_keys=True, indent=1)
        yield Note(None, item.moment("created_at") or updated, item.text("comment", _REST + text + _REST_END))


def _without_place(item: Item, left: list[dict[str, Any]]) -> dict[str, Any]:
    """What an issue of Beads says that an issue of ours cannot."""
    rest = {key: value for key, value in item.data.items() if key not in _KNOWN}
    metadata = rest.get("metadata")
    if isinstance(metadata, dict):
        rest["metadata"] = {key: value for key, value in metadata.items() if key != "tapeout"}
    rest["dependencies"] = left
    return {key: value for key, value in rest.items() if value not in (None, "", [], {})}


def write(record: Record, names: Mapping[str, str]) -> dict[str, Any]:
    """An issue as Beads reads it.

    Args:
        names: our ids to the ids in Beads.
    """
    identity = names[record.name]
    status, labels = _status(record)
    kind, labels = _type(record, labels)
    body, notes = sections.split(record.body, "Notes")
    reason, rest, comments = _told(record)
    item: dict[str, Any] = {
        "id": identity,
        "title": record.title,
        "description": body,
        "design": record.design,
        "acceptance_criteria": record.acceptance,
        "notes": notes,
        "status": status,
        "priority": record.priority,
        "issue_type": kind,
        "assignee": record.assignee,
        "estimated_minutes": record.estimate_minutes,
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
        "updated_at": iso(record.updated_at),
        **_moments(closed_at=record.closed_at, due_at=record.due_at, defer_until=record.deferred_until),
        "close_reason": reason,
        "external_ref": _without(record.external_ref, identity),
        "labels": labels,
        "dependencies": _edges(record, names, identity),
        "comments": comments,
    }
    for key, value in rest.items():
        item[key] = item["dependencies"] + value if key == "dependencies" else value
    own = _for_metadata(record, status, reason)
    if own:
        item["metadata"] = {**rest.get("metadata", {}), "tapeout": own}
    return {key: value for key, value in item.items() if value not in (None, "", [], {}) or key == "description"}


def _moments(**moments: float | None) -> dict[str, str]:
    return {name: iso(at) for name, at in moments.items() if at is not None}


def _for_metadata(record: Record, status: str, reason: str) -> dict[str, Any]:
    """What an issue of ours says that one of Beads cannot, and that an import would not find out."""
    own = {name: value for name in _OWN_FIELDS if (value := getattr(record, name))}
    if own.get("needs_person") == _reason_for(status):
        del own["needs_person"]
    if record.resolution == "done" and not _is_failure(reason):
        del own["resolution"]
    return own


def _status(record: Record) -> tuple[str, list[str]]:
    labels = sorted(record.labels)
    if record.resolution is not None:
        return "closed", labels
    known = next((label for label in labels if label.startswith(_STATUS) and len(label) > len(_STATUS)), None)
    if known is not None and known != f"{_STATUS}open" and not _ends(known):
        labels.remove(known)
        return known.removeprefix(_STATUS), labels
    return "open", labels


def _type(record: Record, labels: list[str]) -> tuple[str, list[str]]:
    """The type, or the one that an import made a label."""
    known = next((one for one in labels if one.startswith(_TYPE) and len(one) > len(_TYPE)), None)
    if record.type != "task" or known is None or known.removeprefix(_TYPE) in ISSUE_TYPES:
        return record.type, labels
    return known.removeprefix(_TYPE), [label for label in labels if label != known]


def _ends(label: str) -> bool:
    return label in (f"{_STATUS}closed", f"{_STATUS}tombstone")


def _is_failure(reason: str) -> bool:
    return any(word in reason.lower() for word in _FAILURES)


def _edges(record: Record, names: Mapping[str, str], identity: str) -> list[dict[str, Any]]:
    edges = [(names.get(target, OWN_PREFIX + target), _BACK.get(kind, kind)) for target, kind in record.dependencies]
    if record.parent:
        edges.append((names.get(record.parent, OWN_PREFIX + record.parent), "parent-child"))
    return [
        {"issue_id": identity, "depends_on_id": target, "type": kind, "created_at": iso(record.created_at)}
        for target, kind in sorted(edges)
    ]


def _told(record: Record) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """Why it was closed, what Beads said besides, and the other comments."""
    reason, rest, comments = "", {}, []
    for number, note in enumerate(record.comments, 1):
        found = _rest(note.text)
        if found is not None:
            rest = found
        elif record.resolution and note.text.startswith(_REASON) and note.at == record.closed_at and not reason:
            reason = note.text.removeprefix(_REASON)
        else:
            comments.append({"id": str(number), "author": note.actor, "text": note.text, "created_at": iso(note.at)})
    return reason, rest, comments


def _rest(text: str) -> dict[str, Any] | None:
    """The fields in the comment that an import made of what it had no place for."""
    if not (text.startswith(_REST) and text.endswith(_REST_END)):
        return None
    try:
        found = json.loads(text[len(_REST) : -len(_REST_END)])
    except ValueError:
        return None
    return found if _is_rest(found) else None


def _is_rest(found: Any) -> bool:
    """Anybody may have edited that comment: what it must not do is overwrite a field."""
    return (
        isinstance(found, dict)
        and not (found.keys() & (_KNOWN - {"dependencies"}))
        and isinstance(found.get("dependencies", []), list)
        and isinstance(found.get("metadata", {}), dict)
    )


def _without(external_ref: str | None, name: str) -> str | None:
    return " ".join(word for word in (external_ref or "").split() if word != name) or None


def names_of(identities: Named) -> dict[str, str]:
    """Our ids to ids in Beads: the name it came with, or our own id with a prefix.

    Args:
        identities: ids and external references of all issues, always in the same order.
    """
    return unique_names(identities, _is_beads_name)


def _is_beads_name(word: str) -> bool:
    prefix, dash, rest = word.rpartition("-")
    if word.startswith(OWN_PREFIX):
        return True
    return bool(dash and prefix and rest) and word.isascii() and prefix != "gh" and not set(word) & set("/:#@")
