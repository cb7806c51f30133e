"""Collects what a digest tells beside the facts of a primer. Every query ends after a bounded number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import queries
from tapeout.tracker.model import ANSWER, QUESTION, RED_MAIN, SUPERVISION, WAITING_KINDS, Issue
from tapeout.tracker.prime.facts import LOOKED_AT, MOST_CHARACTERS, collect
from tapeout.tracker.prime.model import MANY, MOST_ITEMS, Brief, Closed, Facts
from tapeout.tracker.queries import LEASED, READY

if TYPE_CHECKING:
    from typing import Any

MOST_HOT_SPOTS = 12
MOST_CUTS = 12
MOST_LANDED = 12
MOST_RED = 3

MOST_QUESTIONS = 8

_TOLD = "told"
"""Kind of an entry there that ended nothing."""

_EXPECTED = ("context", "person", "provider")
"""Kinds of cuts that need nobody's attention: the work goes on by itself, or a person did it."""


class Running(NamedTuple):
    """An attempt that has not ended."""

    issue: Brief
    agent: str
    number: int
    rounds: int
    state: str
    seconds: float
    """Since it started."""
    context: float | None
    """Share of the context window that is used, from 0; None if unknown."""


class HotSpot(NamedTuple):
    """An open issue that others wait for."""

    issue: Brief
    state: str
    waiting: int
    """How many blocked issues wait for it, among the `MANY` most urgent blocked ones."""


class CutOff(NamedTuple):
    """An attempt on an open issue whose session supervision ended."""

    issue: Brief
    number: int
    agent: str
    kind: str
    """spiral, budget or stalled."""
    evidence: str


class Kind(NamedTuple):
    """How many issues of one lane or type could be started, and how many are worked on: of the first `MANY` each."""

    name: str
    ready: int
    held: int


class FloorNow(NamedTuple):
    """The floor that runs."""

    workers: int
    agent: str
    started_at: float
    """Unix time."""


class Asked(NamedTuple):
    """A question of an agent that nobody has answered."""

    issue: Brief
    question: str
    title: str
    seconds: float
    """Since it was asked."""


class DigestFacts(NamedTuple):
    """All that a digest is made of."""

    plan: Facts
    floor: FloorNow | None = None
    held: tuple[str, ...] = ()
    """Why attempts are not started though issues are ready, a line each."""
    asked: tuple[Asked, ...] = ()
    """The newest questions, oldest of them first."""
    red_main: tuple[Brief, ...] = ()
    """Issues about a target branch that fails the gate by itself."""
    running: tuple[Running, ...] = ()
    running_total: int = 0
    """Up to `MANY`."""
    hot_spots: tuple[HotSpot, ...] = ()
    hot_spots_total: int = 0
    """Up to `MANY`."""
    cut_off: tuple[CutOff, ...] = ()
    landed: tuple[Closed, ...] = ()
    kinds: tuple[Kind, ...] = ()
    by_lane: bool = False
    """Whether `kinds` are lanes; else they are types."""


def collect_digest(
    connection: sqlite3.Connection,
    now: float,
    floor: FloorNow | None = None,
    lane_of: Callable[[Issue], str] | None = None,
    held: Sequence[str] = (),
) -> DigestFacts:
    """The facts at a moment (unix seconds).

    Args:
        lane_of: names the lane of an issue, where there are lanes.
        held: why attempts are not started though issues are ready, a line each.
    """
    hot_spots, hot_spots_total = _hot_spots(connection, now)
    return DigestFacts(
        plan=collect(connection, now),
        floor=floor,
        held=tuple(held),
        asked=tuple(_asked(connection, now)),
        red_main=tuple(_red_main(connection)),
        running=tuple(_running(connection, now)),
        running_total=_running_total(connection),
        hot_spots=hot_spots,
        hot_spots_total=hot_spots_total,
        cut_off=tuple(_cut_off(connection)),
        landed=tuple(_landed(connection)),
        kinds=_kinds(connection, now, lane_of),
        by_lane=lane_of is not None,
    )


def _rows(connection: sqlite3.Connection, sql: str, **values: Any) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _asked(connection: sqlite3.Connection, now: float) -> Iterator[Asked]:
    """Questions on open issues without an answer, of the newest ones that were asked."""
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, q.topic, q.at, q.data FROM (SELECT * FROM attempt_notes"
        " WHERE topic >= :first AND topic < :end ORDER BY at DESC, attempt DESC, topic DESC"
        f" LIMIT {LOOKED_AT}) q CROSS JOIN issues i ON i.id = q.issue WHERE i.status = 'open' AND NOT EXISTS"
        " (SELECT 1 FROM attempt_notes a WHERE a.attempt = q.attempt AND a.topic = :answer || substr(q.topic, :cut))"
        " ORDER BY q.at DESC, q.attempt DESC, q.topic DESC LIMIT :most"
    )
    prefix = f"{QUESTION}."
    values = {"first": prefix, "end": f"{QUESTION}/", "answer": f"{ANSWER}.", "cut": len(prefix) + 1}
    found = _rows(connection, sql, **values, most=MOST_QUESTIONS)
    for *brief, topic, at, data in reversed(found):
        yield Asked(Brief(*brief), topic[len(prefix) :], _title(data), now - at)


def _title(data: str) -> str:
    note = json.loads(data)
    return str(note.get("title", "") if isinstance(note, dict) else "")[:MOST_CHARACTERS]


def _red_main(connection: sqlite3.Connection) -> Iterator[Brief]:
    sql = (
        "SELECT i.id, i.title, i.type, i.priority FROM labels l CROSS JOIN issues i ON i.id = l.issue"
        f" WHERE l.label = :label AND i.status = 'open' ORDER BY i.created_clock, i.id LIMIT {MOST_RED}"
    )
    for row in _rows(connection, sql, label=RED_MAIN):
        yield Brief(*row)


def _running(connection: sqlite3.Connection, now: float) -> Iterator[Running]:
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, a.agent, a.number, a.rounds, a.state, a.started_at,"
        " coalesce(v.used, a.tokens_used), coalesce(v.window, a.tokens_window)"
        " FROM (SELECT * FROM attempts INDEXED BY attempts_running WHERE state <> 'ended'"
        " ORDER BY started_at, id LIMIT :most) a"
        " CROSS JOIN issues i ON i.id = a.issue LEFT JOIN activity v ON v.attempt = a.id ORDER BY a.started_at, a.id"
    )
    for *brief, agent, number, rounds, state, started, used, window in _rows(connection, sql, most=MOST_ITEMS):
        share = used / window if used is not None and window else None
        yield Running(Brief(*brief), agent, number, rounds, state, now - started, share)


def _running_total(connection: sqlite3.Connection) -> int:
    running = f"SELECT 1 FROM attempts INDEXED BY attempts_running WHERE state <> 'ended' LIMIT {MANY + 1}"
    return int(_rows(connection, f"SELECT count(*) FROM ({running})")[0][0])


def _hot_spots(connection: sqlite3.Connection, now: float) -> tuple[tuple[HotSpot, ...], int]:
    """What most of the most urgent blocked issues wait for, and how many issues they wait for altogether."""
    sql = (
        "SELECT t.id, count(DISTINCT b.id) AS waiting, count(*) OVER () FROM (SELECT id FROM issues"
        " INDEXED BY issues_blocked WHERE status = 'open' AND open_blockers > 0"
        f" ORDER BY priority, created_clock, id LIMIT {MANY}) b"
        " CROSS JOIN dependencies d ON d.issue = b.id CROSS JOIN issues t ON t.id = d.target"
        f" WHERE d.kind IN {WAITING_KINDS} AND NOT d.ignored AND t.status = 'open' AND NOT t.not_needed"
        " GROUP BY t.id ORDER BY waiting DESC, t.priority, t.created_clock, t.id LIMIT :most"
    )
    rows = _rows(connection, sql, most=MOST_HOT_SPOTS)
    found = []
    for identity, waiting, _ in rows:
        issue = queries.issue(connection, identity)
        brief = Brief(issue.id, issue.title, issue.type, issue.priority)
        found.append(HotSpot(brief, issue.state(now), waiting))
    return tuple(found), min(rows[0][2], MANY) if rows else 0


def _cut_off(connection: sqlite3.Connection) -> Iterator[CutOff]:
    """The newest sessions that supervision ended for a reason that somebody should look at, one an issue. Those of
    issues that need a person are told there."""
    sql = (
        "SELECT i.id, i.title, i.type, i.priority, a.number, a.agent, n.data"
        " FROM (SELECT * FROM attempt_notes INDEXED BY attempt_notes_by_topic WHERE topic = :topic"
        f" ORDER BY at DESC, attempt DESC LIMIT {LOOKED_AT}) n"
        " CROSS JOIN issues i ON i.id = n.issue JOIN attempts a ON a.id = n.attempt"
        " WHERE i.status = 'open' AND i.needs_person IS NULL ORDER BY n.at DESC, n.attempt DESC"
    )
    seen: set[str] = set()
    for *brief, number, agent, data in connection.execute(sql, {"topic": SUPERVISION}):
        entry = _last_cut(data)
        if entry and brief[0] not in seen and len(seen) < MOST_CUTS:
            seen.add(brief[0])
            yield CutOff(Brief(*brief), number, agent, *entry)


def _last_cut(data: str) -> tuple[str, str] | None:
    """Kind and evidence of what ended a session, from the note about its supervision: other clones write notes, too."""
    note = json.loads(data)
    entries = note.get("entries") if isinstance(note, dict) else None
    if not isinstance(entries, list):
        return None
    passed_over = (None, _TOLD, *_EXPECTED)  # after it was cut, an agent may still be told something
    cuts = (one for one in reversed(entries) if isinstance(one, dict) and one.get("kind") not in passed_over)
    for last in cuts:
        return str(last["kind"])[:MOST_CHARACTERS], str(last.get("evidence", ""))[:MOST_CHARACTERS]
    return None


def _landed(connection: sqlite3.Connection) -> Iterator[Closed]:
    sql = (
        "SELECT id, title, type, priority, closed_at, landed_commit FROM (SELECT * FROM issues INDEXED BY issues_closed"
        f" WHERE status = 'closed' ORDER BY closed_at DESC, id DESC LIMIT {LOOKED_AT})"
        " WHERE resolution = 'landed' ORDER BY closed_at DESC, id DESC LIMIT :most"
    )
    for *brief, at, commit in _rows(connection, sql, most=MOST_LANDED):
        yield Closed(Brief(*brief), "landed", at or 0.0, commit)


_READY_ONES = f"issues INDEXED BY issues_ready WHERE {READY} LIMIT {MANY}"
_HELD_ONES = f"issues INDEXED BY issues_leased WHERE status = 'open' AND {LEASED} LIMIT {MANY}"


def _kinds(connection: sqlite3.Connection, now: float, lane_of: Callable[[Issue], str] | None) -> tuple[Kind, ...]:
    """Lanes or types, those with most issues first."""
    counted: dict[str, list[int]] = {}
    for place, ones in enumerate((_READY_ONES, _HELD_ONES)):
        for kind in _kinds_among(connection, now, ones, lane_of):
            counted.setdefault(kind, [0, 0])[place] += 1
    ordered = sorted(counted.items(), key=lambda one: (-sum(one[1]), one[0]))
    return tuple(Kind(name, *numbers) for name, numbers in ordered[:MOST_ITEMS])


def _kinds_among(
    connection: sqlite3.Connection, now: float, ones: str, lane_of: Callable[[Issue], str] | None
) -> list[str]:
    """Lane or type of each of some issues."""
    if lane_of is None:
        return [row[0] for row in _rows(connection, f"SELECT type FROM {ones}", now=now)]
    identities = [row[0] for row in _rows(connection, f"SELECT id FROM {ones}", now=now)]
    return [lane_of(issue) for issue in queries.several(connection, identities)]
