"""Issues as records: read from the index a thousand at a time, so that any number fits in memory."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tapeout.base.sqlite import sqlite3
from tapeout.tracker import queries
from tapeout.tracker.transfer.record import Attachment, Note, Record

CHUNK = 1_000

_COLUMNS = (
    "id, title, created_at, updated_at, body, acceptance, design, type, priority, status, resolution, closed_at,"
    " landed_commit, scope, parent, agent, assignee, needs_person, deferred_until, due_at, estimate_minutes,"
    " external_ref, created_by, lease_owner, lease_expires"
)


def identities(connection: sqlite3.Connection) -> list[str]:
    """Ids of all issues, oldest first."""
    return [row[0] for row in connection.execute("SELECT id FROM issues ORDER BY created_clock, id")]


def records(
    connection: sqlite3.Connection,
    wanted: Iterable[str],
    *,
    history: bool = False,
    content: Callable[[str], bytes | None] | None = None,
) -> Iterator[Record]:
    """Issues in the order of their ids in `wanted`; ids that there are no issues of are passed over.

    Args:
        history: attempts, changes and leases too.
        content: reads a blob; without it attachments have no content.
    """
    source = iter(wanted)
    while chunk := list(itertools.islice(source, CHUNK)):
        yield from _chunk(connection, chunk, history=history, content=content)


def _chunk(
    connection: sqlite3.Connection, chunk: list[str], *, history: bool, content: Callable[[str], bytes | None] | None
) -> Iterator[Record]:
    ids = json.dumps(chunk)
    some = "IN (SELECT value FROM json_each(?))"
    rows = {row[0]: row for row in connection.execute(f"SELECT {_COLUMNS} FROM issues WHERE id {some}", (ids,))}
    labels = _grouped(connection, f"SELECT issue, label FROM labels WHERE issue {some} ORDER BY issue, label", ids)
    dependencies = _grouped(
        connection, f"SELECT issue, target, kind FROM dependencies WHERE issue {some} ORDER BY clock, target, kind", ids
    )
    comments = _grouped(
        connection, f"SELECT issue, actor, at, text FROM comments WHERE issue {some} ORDER BY clock, id", ids
    )
    attachments = _grouped(
        connection,
        f"SELECT issue, name, blob, size, actor, at FROM attachments WHERE issue {some} ORDER BY clock, id",
        ids,
    )
    for identity in chunk:
        if identity not in rows:
            continue
        record = _record(rows[identity])._replace(
            labels=tuple(row[1] for row in labels.get(identity, ())),
            dependencies=tuple((row[1], row[2]) for row in dependencies.get(identity, ())),
            comments=tuple(Note(*row[1:]) for row in comments.get(identity, ())),
            attachments=tuple(
                Attachment(row[1], row[2], row[3], row[4], row[5], content(row[2]) if content else None)
                for row in attachments.get(identity, ())
            ),
        )
        yield record._replace(history=_history(connection, rows[identity])) if history else record


def _grouped(connection: sqlite3.Connection, query: str, ids: str) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in connection.execute(query, (ids,)):
        found.setdefault(row[0], []).append(row)
    return found


def _record(row: tuple[Any, ...]) -> Record:
    (identity, title, created_at, updated_at, body, acceptance, design, kind, priority, status, resolution, closed_at,
     landed_commit, scope, parent, agent, assignee, needs_person, deferred_until, due_at, estimate_minutes,
     external_ref, created_by, *_) = row  # fmt: skip
    return Record(
        where=identity,
        name=identity,
        title=title,
        created_at=created_at,
        updated_at=updated_at,
        body=body,
        acceptance=acceptance,
        design=design,
        type=kind,
        priority=priority,
        resolution=(resolution or "done") if status == "closed" else None,
        closed_at=closed_at,
        landed_commit=landed_commit if status == "closed" else None,
        scope=tuple(json.loads(scope)),
        parent=parent,
        agent=agent,
        assignee=assignee,
        needs_person=needs_person,
        deferred_until=deferred_until,
        due_at=due_at,
        estimate_minutes=estimate_minutes,
        external_ref=external_ref,
        created_by=created_by,
    )


def _history(connection: sqlite3.Connection, row: tuple[Any, ...]) -> dict[str, Any]:
    identity, (owner, expires) = row[0], row[-2:]
    return {
        "attempts": [one._asdict() for one in queries.attempts(connection, issue=identity)],
        "changes": [one._asdict() for one in queries.changes(connection, issue=identity)],
        "lease": {"owner": owner, "expires": expires} if owner else None,
    }
