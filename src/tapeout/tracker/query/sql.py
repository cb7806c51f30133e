"""What a query means: its tree as SQL over the table `issues`. Values are bound, never part of the SQL. Pure."""

from __future__ import annotations

from collections.abc import Callable

from tapeout.base.lean import NamedTuple
from tapeout.base.moments import seconds_of
from tapeout.tracker.model import OPEN_CHANGE_STATES, RESOLUTIONS
from tapeout.tracker.queries import LEASED, READY
from tapeout.tracker.query import fields, search
from tapeout.tracker.query.fields import Value
from tapeout.tracker.query.language import Condition, Group, Not, Query, Term

Resolve = Callable[[str], str]
"""From what people call an issue to its id; raises for what is none or fits several."""


class Where(NamedTuple):
    """A query as SQL."""

    condition: str
    order: str
    values: dict[str, object]
    searches: bool
    """Whether it looks for words: then the table of `search` must be up to date."""


def compile_query(query: Query, now: float, resolve: Resolve) -> Where:
    """The SQL of a query.

    Args:
        now: Unix time that lengths of time count from.
        resolve: raises for an issue that a term names and that does not exist.
    """
    compiler = _Compiler(now, resolve)
    condition = compiler.condition(query.condition) if query.condition is not None else "1"
    return Where(condition, _order(query), compiler.values, compiler.searches)


_OPEN_CHANGE = (
    "EXISTS (SELECT 1 FROM changes WHERE changes.issue = issues.id AND changes.state IN"
    f" ({', '.join(repr(state) for state in OPEN_CHANGE_STATES)}))"
)

_STATES: dict[str, str] = {
    "open": "status = 'open'",
    "closed": "status = 'closed'",
    "ready": f"({READY})",
    "blocked": "(status = 'open' AND open_blockers > 0)",
    "leased": f"(status = 'open' AND {LEASED})",
    "deferred": "(status = 'open' AND deferred_until > :now)",
    "needs-person": "(status = 'open' AND needs_person IS NOT NULL)",
    "not-needed": "(status = 'open' AND not_needed)",
    "overdue": "(status = 'open' AND due_at < :now)",
    "queued": f"(status = 'open' AND {_OPEN_CHANGE})",
    "epic": "type = 'epic'",
    **{name: f"resolution = '{name}'" for name in RESOLUTIONS},
}

_HAVING: dict[str, str] = {
    **{name: f"{name} <> ''" for name in ("body", "acceptance", "design")},
    "scope": "scope <> '[]'",
    "assignee": "assignee IS NOT NULL",
    "agent": "agent IS NOT NULL",
    "parent": "parent IS NOT NULL",
    "ref": "external_ref IS NOT NULL",
    "estimate": "estimate_minutes IS NOT NULL",
    "due": "due_at IS NOT NULL",
    "defer": "deferred_until IS NOT NULL",
    "blocker": "open_blockers > 0",
    "lease": LEASED,
    "child": "EXISTS (SELECT 1 FROM issues child WHERE child.parent = issues.id)",
    **{
        name: f"EXISTS (SELECT 1 FROM {table} WHERE {table}.issue = issues.id)"
        for name, table in (
            ("label", "labels"), ("comment", "comments"), ("attachment", "attachments"),
            ("dependency", "dependencies"), ("attempt", "attempts"), ("change", "changes"),
        )
    },
}  # fmt: skip

_COLUMNS = {
    "status": "status", "type": "type", "resolution": "resolution", "assignee": "assignee", "agent": "agent",
    "created-by": "created_by", "ref": "external_ref", "priority": "priority", "estimate": "estimate_minutes",
    "created": "created_at", "updated": "updated_at", "closed": "closed_at", "due": "due_at", "defer": "deferred_until",
    "title": "title", "id": "id",
}  # fmt: skip

_SEARCHED = {"title": "title", "body": "body", "acceptance": "acceptance", "design": "design", "comment": "comments"}
_AHEAD = ("due", "defer")
"""Times that lie ahead: a length of time counts from now into the future."""

_UNDER = (
    "id IN (WITH RECURSIVE below(id) AS (SELECT child.id FROM issues child WHERE child.parent = {name}"
    " UNION SELECT child.id FROM issues child JOIN below ON child.parent = below.id) SELECT id FROM below)"
)


def _order(query: Query) -> str:
    """Issues without the value come last, whichever way it is sorted."""
    parts = []
    for key, descending in query.sort:
        column = _COLUMNS[key]
        if key in ("closed", "due", "defer", "estimate"):
            parts.append(f"{column} IS NULL")
        direction = " DESC" if descending else ""
        parts.append(column + (" COLLATE NOCASE" if key == "title" else "") + direction)
        if key == "created":  # a batch is filed within one millisecond
            parts.append(f"created_clock{direction}")
    return ", ".join([*parts, *([] if query.sort else ["priority"]), "created_clock", "id"])


class _Compiler:
    def __init__(self, now: float, resolve: Resolve) -> None:
        self.values: dict[str, object] = {"now": now}
        self.searches = False
        self._now = now
        self._resolve = resolve

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, Not):
            # What is not known, such as the due date of an issue without one, does not fit: so its negation does.
            return f"NOT coalesce({self.condition(condition.part)}, 0)"
        if isinstance(condition, Group):
            return f"({f' {condition.operator} '.join(self.condition(part) for part in condition.parts)})"
        return self._term(condition)

    def _term(self, term: Term) -> str:
        exact = [value.text for value in term.values if value.operator == "="]
        column = _COLUMNS.get(term.field)
        if column and term.field not in (*_SEARCHED, "id") and len(exact) == len(term.values) > 1 and _is_text(term):
            return f"{column} IN ({', '.join(self._bind(text) for text in exact)})"
        parts = [self._value(term.field, value) for value in term.values]
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _value(self, field: str, value: Value) -> str:
        if field == "is":
            return _STATES[value.text]
        if field in ("has", "no"):
            return f"{'NOT ' if field == 'no' else ''}coalesce({_HAVING[value.text]}, 0)"
        if field == "" or field in _SEARCHED:
            return self._words(field, value)
        if field in ("label", "parent", "under", "id"):
            return self._linked(field, value)
        if field == "priority":
            return self._bounded("priority", value, float)
        if field == "estimate":
            return self._bounded("estimate_minutes", value, _minutes)
        if field in ("created", "updated", "closed", *_AHEAD):
            return self._moment(field, value)
        return self._text(_COLUMNS[field], value)

    def _bind(self, value: object) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def _text(self, column: str, value: Value) -> str:
        if value.operator == "*":
            low, high = self._bind(value.text), self._bind(value.text + "\U0010ffff")
            return f"({column} >= {low} AND {column} < {high})"
        return f"{column} = {self._bind(value.text)}"

    def _words(self, field: str, value: Value) -> str:
        self.searches = True
        match = search.phrase(value.text, begins=value.operator == "*", column=_SEARCHED.get(field))
        return (
            "id IN (SELECT issue FROM searched_issues WHERE number IN"
            f" (SELECT rowid FROM search WHERE search MATCH {self._bind(match)}))"
        )

    def _linked(self, field: str, value: Value) -> str:
        if field == "label":
            return f"id IN (SELECT issue FROM labels WHERE {self._text('label', value)})"
        if value.operator == "=":
            value = value._replace(text=self._resolve(value.text))
        if field == "under":
            return _UNDER.format(name=self._bind(value.text))
        return self._text(field, value)

    def _bounded(self, column: str, value: Value, number: Callable[[str], float]) -> str:
        if value.operator != "..":
            return f"{column} {value.operator} {self._bind(number(value.text))}"
        parts = [f"{column} >= {self._bind(number(value.text))}"] if value.text else []
        parts += [f"{column} <= {self._bind(number(value.high))}"] if value.high else []
        return f"({' AND '.join(parts)})"

    def _moment(self, field: str, value: Value) -> str:
        low, high = _bounds(value, self._now, ahead=field in _AHEAD)
        parts = [f"{_COLUMNS[field]} >= {self._bind(low)}"] if low is not None else []
        parts += [f"{_COLUMNS[field]} < {self._bind(high)}"] if high is not None else []
        return f"({' AND '.join(parts)})"


def _is_text(term: Term) -> bool:
    return term.field in ("status", "type", "resolution", "assignee", "agent", "created-by", "ref")


def _minutes(text: str) -> float:
    seconds = seconds_of(text)
    return float(text) if seconds is None else seconds / 60


def _bounds(value: Value, now: float, *, ahead: bool) -> tuple[float | None, float | None]:
    """Between which moments it must lie: from the first, before the second; None where there is no bound."""
    first = value.text or value.high
    if seconds_of(first) is not None:
        return _length_bounds(value, now, ahead=ahead)
    start, end = _day(value.text) if value.text else (None, None)
    if value.operator == "..":
        return start, _day(value.high)[1] if value.high else None
    return {"=": (start, end), "<": (None, start), "<=": (None, end), ">": (end, None), ">=": (start, None)}[
        value.operator
    ]


def _length_bounds(value: Value, now: float, *, ahead: bool) -> tuple[float | None, float | None]:
    near, far = value.text, value.high
    if value.operator in ("<", "<="):
        near, far = "", value.text
    seconds = sorted(seconds_of(text) or 0 for text in (near, far) if text)
    if ahead:
        return now + (seconds[0] if near else 0), now + seconds[-1] if far else None
    return now - seconds[-1] if far else None, now - seconds[0] if near else None


def _day(text: str) -> tuple[float, float]:
    """From when to when a day or moment lasts; a moment as long as the shortest step of a clock."""
    start, end = fields.day_or_time(text) or (0.0, 0.0)
    return start, max(end, start + 0.001)
