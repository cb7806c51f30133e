"""Reading the index: rows become the values of `model`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tapeout.base import jsontext as json
from tapeout.base.errors import NotFound, UsageError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple, cast
from tapeout.base.sqlite import sqlite3
from tapeout.tracker.log import COLUMNS, from_row
from tapeout.tracker.model import (
    CLOCK_SKEW_SECONDS,
    Attachment,
    Attempt,
    AttemptNote,
    Change,
    Comment,
    Decisions,
    Dependency,
    DependencyKind,
    Event,
    Issue,
)

if TYPE_CHECKING:
    from typing import Any, Literal

_ISSUE_COLUMNS = (
    "id, title, body, acceptance, design, type, priority, status, resolution,"
    " (SELECT json_group_array(label) FROM labels WHERE issue = issues.id), scope, parent, agent, assignee,"
    " needs_person, deferred_until, due_at, estimate_minutes, external_ref, created_by, created_at, updated_at,"
    " closed_at, open_blockers, not_needed, lease_owner, lease_expires, lease_granted, lease_token, landed_commit"
)
_LABELS, _SCOPE, _NOT_NEEDED = (Issue._fields.index(name) for name in ("labels", "scope", "not_needed"))
_ATTEMPT_COLUMNS = ", ".join(Attempt._fields)
_CHANGE_COLUMNS = ", ".join(f'"{name}"' for name in Change._fields)

LEASED = f"(lease_owner IS NOT NULL AND lease_expires > :now AND lease_granted < :now + {CLOCK_SKEW_SECONDS:.0f})"
"""What makes an issue leased: as `Issue.is_leased`."""

_UNHINDERED = "status = 'open' AND open_blockers = 0 AND not_needed = 0 AND needs_person IS NULL AND type <> 'epic'"
"""What the partial indexes `issues_ready` and `issues_deferred` hold."""

READY = (
    f"{_UNHINDERED} AND (deferred_until IS NULL OR deferred_until <= :now)"
    f" AND NOT {LEASED}"
    " AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.issue = issues.id"
    " AND changes.state IN ('queued', 'gating', 'passed'))"
)
"""What makes an issue ready, as SQL over `:now` (unix seconds); uses the partial index `issues_ready`. An issue with a
change in the queue waits for its verdict."""


class Filter(NamedTuple):
    """Which issues a listing shows; None means any."""

    status: str | None = None
    type: str | None = None
    label: str | None = None
    parent: str | None = None
    needs_person: bool | None = None


class Counts(NamedTuple):
    """How many issues are in which state."""

    open: int
    ready: int
    leased: int
    blocked: int
    deferred: int
    needs_person: int
    closed: int
    landed: int


def _issue(row: Sequence[Any]) -> Issue:
    values = list(row)
    values[_LABELS] = () if row[_LABELS] == "[]" else tuple(sorted(json.loads(row[_LABELS])))
    values[_SCOPE] = () if row[_SCOPE] == "[]" else tuple(json.loads(row[_SCOPE]))
    values[_NOT_NEEDED] = bool(row[_NOT_NEEDED])
    return Issue._make(values)


def resolve(connection: sqlite3.Connection, prefix: str) -> str:
    """The id of the one issue whose id starts with `prefix`.

    Raises:
        NotFound: there is none.
        UsageError: there are several; lists them.
    """
    wanted = prefix.strip().lower().removeprefix("#")
    rows = _starting_with(connection, "SELECT id, title FROM issues", wanted, 6)
    if not rows:
        raise NotFound(f"there is no issue {prefix!r}", hint="`tapeout issue list` shows all open ones")
    if len(rows) == 1 or rows[0][0] == wanted:
        return cast("str", rows[0][0])
    names = ", ".join(f"{identity} ({title})" for identity, title in rows[:5]) + (", ..." if len(rows) > 5 else "")
    raise UsageError(f"{prefix!r} fits several issues: {names}", hint="give more characters of the id")


def _starting_with(connection: sqlite3.Connection, select: str, prefix: str, limit: int) -> list[Any]:
    """Rows whose id starts with `prefix`, in order; ids are ASCII."""
    if not prefix or not prefix.isascii():
        return []
    return connection.execute(
        f"{select} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", (prefix, prefix + "\x7f", limit)
    ).fetchall()


def exists(connection: sqlite3.Connection, identity: str) -> bool:
    """Whether there is an issue with exactly this id."""
    return connection.execute("SELECT 1 FROM issues WHERE id = ?", (identity,)).fetchone() is not None


def issue(connection: sqlite3.Connection, identity: str) -> Issue:
    """One issue by its full id."""
    row = connection.execute(f"SELECT {_ISSUE_COLUMNS} FROM issues WHERE id = ?", (identity,)).fetchone()
    if row is None:
        raise NotFound(f"there is no issue {identity!r}")
    return _issue(row)


def issues(connection: sqlite3.Connection, wanted: Filter, limit: int) -> list[Issue]:
    """Issues that fit the filter, most urgent first, oldest first among equals."""
    conditions: list[str] = []
    values: list[object] = []
    for column in ("status", "type", "parent"):
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if wanted.label is not None:
        conditions.append("id IN (SELECT issue FROM labels WHERE label = ?)")
        values.append(wanted.label)
    if wanted.needs_person is not None:
        conditions.append(f"needs_person IS {'NOT ' if wanted.needs_person else ''}NULL")
    where = " AND ".join(conditions) or "1"
    rows = connection.execute(
        f"SELECT {_ISSUE_COLUMNS} FROM issues WHERE {where} ORDER BY priority, created_clock, id LIMIT ?",
        (*values, limit),
    )
    return [_issue(row) for row in rows]


def matching(
    connection: sqlite3.Connection, condition: str, order: str, values: dict[str, object], limit: int
) -> list[Issue]:
    """Issues that fit a condition of `query.sql`; a negative limit means all."""
    rows = connection.execute(
        f"SELECT {_ISSUE_COLUMNS} FROM issues WHERE {condition} ORDER BY {order} LIMIT :limit",
        {**values, "limit": limit},
    )
    return [_issue(row) for row in rows]


def several(connection: sqlite3.Connection, identities: Sequence[str]) -> list[Issue]:
    """Issues by their full ids, in this order; those that do not exist are left out."""
    rows = connection.execute(
        f"SELECT {_ISSUE_COLUMNS} FROM issues WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(identities),)
    )
    found = {row[0]: _issue(row) for row in rows}
    return [found[identity] for identity in identities if identity in found]


def open_titles(connection: sqlite3.Connection, titles: Sequence[str]) -> dict[str, str]:
    """Those of these titles that open issues have, and the id of the oldest that has it."""
    rows = connection.execute(
        "SELECT title, id FROM issues WHERE status = 'open' AND title IN (SELECT value FROM json_each(?))"
        " ORDER BY created_clock DESC, id DESC",
        (json.dumps(list(titles)),),
    )
    return dict(rows.fetchall())


def ready(connection: sqlite3.Connection, now: float, limit: int, labels: Sequence[str] = ()) -> list[Issue]:
    """Issues that a worker could start now and that have all these labels, most urgent first."""
    names = {f"label{number}": label for number, label in enumerate(labels)}
    labelled = "".join(
        f" AND EXISTS (SELECT 1 FROM labels WHERE issue = issues.id AND label = :{name})" for name in names
    )
    rows = connection.execute(
        f"SELECT {_ISSUE_COLUMNS} FROM issues WHERE {READY}{labelled}"
        " ORDER BY priority, created_clock, id LIMIT :limit",
        {"now": now, "limit": limit, **names},
    )
    return [_issue(row) for row in rows]


def is_ready(connection: sqlite3.Connection, identity: str, now: float) -> bool:
    """Whether a worker could start this issue now."""
    return (
        connection.execute(f"SELECT 1 FROM issues WHERE id = :id AND {READY}", {"id": identity, "now": now}).fetchone()
        is not None
    )


def next_wake(connection: sqlite3.Connection, now: float) -> float | None:
    """The next moment at which time alone makes an issue ready: a lease runs out or a deferral ends."""
    row = connection.execute(
        "SELECT min(at) FROM (SELECT min(lease_expires) AS at FROM issues WHERE lease_owner IS NOT NULL AND"
        " lease_expires > :now UNION ALL"
        # Left to itself, SQLite may walk all ready issues.
        " SELECT min(deferred_until) FROM issues INDEXED BY issues_deferred WHERE status = 'open' AND"
        " open_blockers = 0 AND not_needed = 0 AND needs_person IS NULL AND type <> 'epic' AND deferred_until > :now)",
        {"now": now},
    ).fetchone()
    return cast("float | None", row[0])


def counts(connection: sqlite3.Connection, now: float) -> Counts:
    """How many issues are in which state. Counted in the indexes: of the issues themselves only those are looked at
    that are blocked, leased, deferred or otherwise kept from being ready."""
    row = connection.execute(_COUNTS, {"now": now}).fetchone()
    return Counts(*row)


_COUNTS = f"""
WITH hindered(id) AS MATERIALIZED (
  SELECT id FROM issues INDEXED BY issues_blocked WHERE status = 'open' AND open_blockers > 0
  UNION SELECT id FROM issues INDEXED BY issues_not_needed WHERE status = 'open' AND not_needed = 1
  UNION SELECT id FROM issues INDEXED BY issues_need_person WHERE status = 'open' AND needs_person IS NOT NULL
  UNION SELECT id FROM issues INDEXED BY issues_epics WHERE status = 'open' AND type = 'epic'
), held(id) AS MATERIALIZED (
  SELECT id FROM issues INDEXED BY issues_leased WHERE lease_owner IS NOT NULL AND lease_expires > :now
  UNION SELECT id FROM issues INDEXED BY issues_deferred WHERE {_UNHINDERED} AND deferred_until > :now
  UNION SELECT issue FROM changes INDEXED BY changes_open WHERE state IN ('queued', 'gating', 'passed')
), opened(number) AS (SELECT count(*) FROM issues WHERE status = 'open')
SELECT
  (SELECT number FROM opened),
  (SELECT number FROM opened) - (SELECT count(*) FROM hindered)
    - (SELECT count(*) FROM held CROSS JOIN issues USING (id) WHERE {_UNHINDERED} AND NOT ({READY})),
  (SELECT count(*) FROM issues INDEXED BY issues_leased
    WHERE lease_owner IS NOT NULL AND lease_expires > :now AND status = 'open' AND {LEASED}),
  (SELECT count(*) FROM issues INDEXED BY issues_blocked WHERE status = 'open' AND open_blockers > 0),
  (SELECT count(*) FROM held CROSS JOIN issues USING (id) WHERE {_UNHINDERED} AND deferred_until > :now)
    + (SELECT count(*) FROM hindered CROSS JOIN issues USING (id) WHERE deferred_until > :now),
  (SELECT count(*) FROM issues INDEXED BY issues_need_person WHERE status = 'open' AND needs_person IS NOT NULL),
  (SELECT count(*) FROM issues WHERE status = 'closed'),
  (SELECT count(*) FROM issues WHERE resolution = 'landed')
"""
"""Ready is what is open but for what is hindered, and of the rest but for what is held."""


def dependencies(connection: sqlite3.Connection, identity: str) -> list[Dependency]:
    """What an issue depends on, and what depends on it."""
    rows = connection.execute(
        "SELECT issue, target, kind, ignored FROM dependencies WHERE issue = ?1 OR target = ?1"
        " ORDER BY kind, issue, target",
        (identity,),
    )
    return [
        Dependency(subject, target, cast("DependencyKind", kind), bool(ignored))
        for subject, target, kind, ignored in rows
    ]


def blockers(connection: sqlite3.Connection, identity: str) -> list[str]:
    """Ids of the open issues that an issue waits for."""
    rows = connection.execute(
        "SELECT DISTINCT t.id FROM dependencies d JOIN issues t ON t.id = d.target"
        " WHERE d.issue = ? AND d.kind IN ('blocks', 'conditional') AND NOT d.ignored"
        " AND t.status = 'open' AND NOT t.not_needed ORDER BY t.id",
        (identity,),
    )
    return [row[0] for row in rows]


def ancestors(connection: sqlite3.Connection, identity: str) -> set[str]:
    """The issue itself, its parent, the parent's parent and so on; ends even if merged logs made a circle."""
    rows = connection.execute(
        "WITH RECURSIVE up(id) AS (VALUES (?) UNION SELECT i.parent FROM issues i JOIN up ON i.id = up.id"
        " WHERE i.parent IS NOT NULL) SELECT id FROM up",
        (identity,),
    )
    return {row[0] for row in rows}


def comments(connection: sqlite3.Connection, identity: str) -> list[Comment]:
    """Comments on an issue, oldest first."""
    rows = connection.execute(
        "SELECT id, actor, at, text FROM comments WHERE issue = ? ORDER BY clock, id", (identity,)
    )
    return [Comment(*row) for row in rows]


def attachments(connection: sqlite3.Connection, identity: str) -> list[Attachment]:
    """Files attached to an issue, oldest first."""
    rows = connection.execute(
        f"SELECT {', '.join(Attachment._fields)} FROM attachments WHERE issue = ? ORDER BY clock, id", (identity,)
    )
    return [Attachment(*row) for row in rows]


def attempts(connection: sqlite3.Connection, *, issue: str | None = None, running: bool = False) -> list[Attempt]:
    """Attempts, oldest first: of one issue, or those of this clone that have not ended."""
    condition, values = ("issue = ?", [issue]) if issue is not None else ("1", [])
    if running:
        condition += " AND state <> 'ended' AND replica IN (SELECT name FROM own_replicas)"
    rows = connection.execute(
        f"SELECT {_ATTEMPT_COLUMNS} FROM attempts WHERE {condition} ORDER BY started_at, number, id",
        values,
    )
    return [Attempt(*row) for row in rows]


def attempt(connection: sqlite3.Connection, prefix: str) -> Attempt:
    """One attempt by id or by the start of its id."""
    rows = _starting_with(connection, f"SELECT {_ATTEMPT_COLUMNS} FROM attempts", prefix, 2)
    if not rows:
        raise NotFound(f"there is no attempt {prefix!r}", hint="`tapeout status` shows those that run")
    if len(rows) > 1 and rows[0][0] != prefix:
        raise UsageError(f"{prefix!r} fits several attempts", hint="give more characters of the id")
    return Attempt(*rows[0])


def attempt_notes(
    connection: sqlite3.Connection,
    column: Literal["attempt", "topic"],
    value: str,
    limit: int = -1,
    since: float = 0.0,
) -> list[AttemptNote]:
    """Notes of one attempt, or about one topic, written at `since` (Unix time) or later; newest first."""
    rows = connection.execute(
        f"SELECT attempt, topic, issue, at, data FROM attempt_notes WHERE {column} = ? AND at >= ?"
        " ORDER BY at DESC, attempt, topic LIMIT ?",
        (value, since, limit),
    )
    return [AttemptNote(attempt, topic, issue, at, json.loads(data)) for attempt, topic, issue, at, data in rows]


def notes_under(connection: sqlite3.Connection, prefix: str) -> list[AttemptNote]:
    """Notes of all attempts whose topic is `PREFIX.` and more; oldest first."""
    rows = connection.execute(
        "SELECT attempt, topic, issue, at, data FROM attempt_notes WHERE topic >= ? AND topic < ?"
        " ORDER BY at, attempt, topic",
        (f"{prefix}.", f"{prefix}/"),  # the character after the full stop
    )
    return [AttemptNote(attempt, topic, issue, at, json.loads(data)) for attempt, topic, issue, at, data in rows]


_VERDICT = Change._fields.index("verdict")


def _change(row: Sequence[Any]) -> Change:
    values = list(row)
    values[_VERDICT] = json.loads(values[_VERDICT]) if values[_VERDICT] else None
    return Change(*values)


def changes(
    connection: sqlite3.Connection, *, states: Iterable[str] | None = None, issue: str | None = None
) -> list[Change]:
    """Changes in queue order: urgent issues first, then first come first served; without `issue`, those of this clone.

    What another clone submitted is in its own queue: its commits are not here.
    """
    conditions, values = ["1"], []
    if issue is None:
        conditions.append("changes.replica IN (SELECT name FROM own_replicas)")
    if states is not None:
        wanted = list(states)
        conditions.append(f"changes.state IN ({', '.join('?' * len(wanted))})")
        values += wanted
    if issue is not None:
        conditions.append("changes.issue = ?")
        values.append(issue)
    columns = ", ".join(f'changes."{name}"' for name in Change._fields)
    rows = connection.execute(
        f"SELECT {columns} FROM changes JOIN issues ON issues.id = changes.issue WHERE {' AND '.join(conditions)}"
        " ORDER BY issues.priority, changes.submitted_clock, changes.id",
        values,
    )
    return [_change(row) for row in rows]


def decided(connection: sqlite3.Connection, limit: int) -> Decisions:
    """What became of the latest `limit` changes of this clone that were judged."""
    rows = connection.execute(
        "SELECT state, json_extract(verdict, '$.seconds') FROM changes WHERE state IN ('landed', 'failed')"
        " AND replica IN (SELECT name FROM own_replicas) ORDER BY submitted_clock DESC LIMIT ?",
        (limit,),
    ).fetchall()
    landed = sum(state == "landed" for state, _ in rows)
    return Decisions(landed, len(rows) - landed, tuple(seconds for _, seconds in rows if seconds))


def decided_after(connection: sqlite3.Connection, sequence: int) -> set[str]:
    """Issues with a change that landed or was refused since the event of that number."""
    rows = connection.execute(
        "SELECT DISTINCT issue FROM operations WHERE sequence > ? AND (kind = 'change-landed'"
        " OR (kind = 'change-moved' AND json_extract(data, '$.state') IN ('failed', 'conflict')))",
        (sequence,),
    )
    return {str(row[0]) for row in rows}


def change(connection: sqlite3.Connection, identity: str) -> Change:
    """One change by its id."""
    row = connection.execute(
        f"SELECT {_CHANGE_COLUMNS} FROM changes WHERE id = ?",
        (identity,),
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no change {identity!r}")
    return _change(row)


def events(connection: sqlite3.Connection, *, after: int, issue: str | None, limit: int | None) -> Iterator[Event]:
    """Operations with a local sequence number above `after`, oldest first; with `limit`, only the newest so many."""
    condition, values = "sequence > ?", [after]
    if issue is not None:
        condition += " AND issue = ?"
        values.append(issue)  # type: ignore[arg-type]
    rows = connection.execute(
        f"SELECT * FROM (SELECT sequence, {COLUMNS} FROM operations"
        f" WHERE {condition} ORDER BY sequence DESC LIMIT ?) ORDER BY sequence",
        (*values, -1 if limit is None else limit),
    )
    for sequence, *fields in rows:
        operation = from_row(tuple(fields))
        yield Event(sequence, operation.at, operation.actor, operation.issue, operation.kind, operation.data)
