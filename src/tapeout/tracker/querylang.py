"""The query language, `status:open label:api -type:epic updated:<7d "exact phrase"`: text to a tree and back. Pure.

A query is terms that all must fit; `OR`, `-` and parentheses combine them. A term is a word to search for, or a field
with one or more values of which one must fit. What a term means is said in `wheres`; docs/reference/queries.md is the
page for people. Whatever parses can be compiled: values are checked here, where their place is known.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, Union

from tapeout.base.errors import UsageError
from tapeout.tracker.model import ISSUE_TYPES, PERSON_RESOLUTIONS, PRIORITIES

MAX_LENGTH = 20_000
"""Characters of a query. What it compiles to stays far below SQLite's limits on values."""

MAX_TERMS = 300
MAX_DEPTH = 50
"""Terms and nesting of a query: SQLite refuses expressions that are 1,000 deep."""

RESOLUTIONS = ("landed", *PERSON_RESOLUTIONS)
STATES = (
    "open", "closed", "ready", "blocked", "leased", "deferred", "needs-person", "not-needed", "overdue", "queued",
    "epic", *RESOLUTIONS,
)  # fmt: skip
HAVING = (
    "label", "parent", "child", "assignee", "agent", "ref", "body", "acceptance", "design", "scope", "estimate", "due",
    "defer", "comment", "attachment", "dependency", "blocker", "attempt", "change", "lease",
)  # fmt: skip
SORTS = ("priority", "created", "updated", "closed", "due", "defer", "estimate", "title", "id")

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Seconds of a unit of time."""


class Value(NamedTuple):
    """What a field is compared with."""

    operator: Literal["=", "*", "<", "<=", ">", ">=", ".."]
    """`*`: begins with; `..`: between `text` and `high`, both included, either of which may be empty."""
    text: str
    high: str = ""


class Term(NamedTuple):
    """A field of which one of the values must fit; the field is empty for words to search for anywhere."""

    field: str
    values: tuple[Value, ...]


class Not(NamedTuple):
    """What must not fit."""

    part: "Condition"


class Group(NamedTuple):
    """Two or more conditions of which all or any must fit."""

    operator: Literal["AND", "OR"]
    parts: tuple["Condition", ...]


Condition = Union[Term, Not, Group]  # noqa: UP007 - the classes refer to it by name


class Sort(NamedTuple):
    """By what the result is ordered."""

    key: str
    descending: bool


class Query(NamedTuple):
    """A query: no condition means every issue, no sort means most urgent first, oldest first among equals."""

    condition: Condition | None
    sort: tuple[Sort, ...] = ()


def parse(text: str) -> Query:
    """The tree of a query.

    Raises:
        UsageError: it is no query; says where and why.
    """
    _check_text(text)
    tokens = list(_tokens(text))
    sort, tokens = _take_sort(tokens, text)
    if not tokens:
        return Query(None, sort)
    parser = _Parser(tokens, text)
    condition = parser.any_of(0)
    parser.expect_end()
    return Query(condition, sort)


def render(query: Query) -> str:
    """The text of a query: `parse` makes the same query of it."""
    parts = [_render(query.condition, top=True)] if query.condition is not None else []
    if query.sort:
        parts.append("sort:" + ",".join(f"{key}-desc" if descending else key for key, descending in query.sort))
    return " ".join(parts)


def terms(condition: Condition | None) -> Iterator[Term]:
    """All terms of a condition, however deep."""
    if isinstance(condition, Term):
        yield condition
    elif isinstance(condition, Not):
        yield from terms(condition.part)
    elif condition is not None:
        for part in condition.parts:
            yield from terms(part)


def narrowed(query: Query, more: Iterable[Condition]) -> Query:
    """The query with further conditions that all must fit."""
    parts = [*([query.condition] if query.condition is not None else []), *more]
    if len(parts) < 2:
        return query._replace(condition=parts[0] if parts else None)
    return query._replace(condition=Group("AND", tuple(parts)))


def is_about_status(query: Query) -> bool:
    """Whether it says itself if open or closed issues are meant."""
    closing = {"open", "closed", *RESOLUTIONS}
    return any(
        term.field in ("status", "resolution", "closed", "id")
        or (term.field == "is" and any(value.text in closing for value in term.values))
        for term in terms(query.condition)
    )


class _Token(NamedTuple):
    kind: Literal["(", ")", "-", "OR", "AND", "term", "sort"]
    position: int
    term: Term | None = None
    sort: tuple[Sort, ...] = ()


_KEYWORDS: dict[str, Literal["OR", "AND", "-"]] = {"OR": "OR", "AND": "AND", "NOT": "-"}
_RUN = re.compile(r'[^\s()"]+')
_VALUE = re.compile(r'[^\s()",]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_PLAIN = re.compile(r"\w(?:[\w/@#+-]|\.(?!\.))*")
"""Text that needs no quotes."""


def _fail(problem: str, position: int, hint: str | None = None) -> NoReturn:
    raise UsageError(f"query, character {position + 1}: {problem}", hint=hint or "docs/reference/queries.md")


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        _fail(f"the query goes on; {MAX_LENGTH:,} characters are the most", MAX_LENGTH)
    for position, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            _fail("not a character of text", position)


def _tokens(text: str) -> Iterator[_Token]:
    position = count = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
        elif character in "()-":
            yield _Token(character, position)  # type: ignore[arg-type]
            position += 1
        else:
            token, position = _lex(text, position)
            count += 1
            if count > MAX_TERMS:
                _fail(f"more than {MAX_TERMS} terms", token.position)
            yield token


def _lex(text: str, start: int) -> tuple[_Token, int]:
    """The keyword, word or term that begins at `start`, and where it ends."""
    if text[start] == '"':
        value, end = _value(text, start, _FIELDS[""])
        return _Token("term", start, Term("", (value,))), end
    run = _RUN.match(text, start)
    assert run is not None
    if run[0] in _KEYWORDS:
        return _Token(_KEYWORDS[run[0]], start), run.end()
    name, colon, _ = run[0].partition(":")
    if not colon or not name:
        value = _checked(_FIELDS[""].read(run[0]), start, "", _FIELDS[""])
        return _Token("term", start, Term("", (value,))), run.end()
    return _lex_field(text, start, name)


def _lex_field(text: str, start: int, name: str) -> tuple[_Token, int]:
    field = _ALIASES.get(name.lower(), name.lower())
    kind = _FIELDS.get(field)
    if kind is None and field != "sort":
        _fail(
            f"there is no field {name!r}: {', '.join(FIELDS)}",
            start,
            'to search for text with a colon, put it in "..."',
        )
    position = start + len(name) + 1
    values = []
    while True:
        value, end = _value(text, position, kind or _Kind(_read_exact, _check_sort), field)
        values.append(value)
        if text[end : end + 1] != ",":
            break
        position = end + 1
    if kind is None:
        return _Token("sort", start, sort=tuple(_sort(value.text) for value in values)), end
    return _Token("term", start, Term(field, tuple(values))), end


def _value(text: str, start: int, kind: "_Kind", field: str = "") -> tuple[Value, int]:
    """One value, quoted or not, and where it ends."""
    if text[start : start + 1] == '"':
        quoted = _QUOTED.match(text, start)
        if quoted is None:
            _fail('a " is never closed', start)
        content, end = _ESCAPED.sub(r"\1", quoted[1]), quoted.end()
        begins = kind.read is _read_prefix and text[end : end + 1] == "*"
        return _checked(Value("*" if begins else "=", content), start, field, kind), end + begins
    run = _VALUE.match(text, start)
    if run is None:
        _fail(f"{field}: needs a value", start)
    return _checked(kind.read(run[0]), start, field, kind), run.end()


def _checked(value: Value, position: int, field: str, kind: "_Kind") -> Value:
    problem = kind.check(value)
    if problem:
        _fail(f"{field}{':' if field else ''} {problem}".strip(), position)
    return value._replace(text=value.text.lower()) if kind.check in _LOWERED else value


def _read_exact(text: str) -> Value:
    return Value("=", text)


def _read_prefix(text: str) -> Value:
    return Value("*", text[:-1]) if len(text) > 1 and text.endswith("*") else Value("=", text)


def _read_comparison(text: str) -> Value:
    for operator in ("<=", ">=", "<", ">"):
        if text.startswith(operator):
            return Value(operator, text.removeprefix(operator))
    low, dots, high = text.partition("..")
    return Value("..", low, high) if dots else Value("=", text)


def _choice(*choices: str) -> Callable[[Value], str]:
    def check(value: Value) -> str:
        return "" if value.text.lower() in choices else f"{value.text!r} is not one of {', '.join(choices)}"

    return check


def _check_sort(value: Value) -> str:
    key = value.text.lower().removesuffix("-desc").removesuffix("-asc")
    return "" if key in SORTS else f"{value.text!r} is not one of {', '.join(SORTS)}, with -desc for the reverse"


def _sort(text: str) -> Sort:
    return Sort(text.lower().removesuffix("-desc").removesuffix("-asc"), text.lower().endswith("-desc"))


def _check_text_value(value: Value) -> str:
    return "" if value.text else "needs a value"


def _check_words(value: Value) -> str:
    return "" if any(c.isalnum() for c in value.text) else f"{value.text!r} has no letter or digit to search for"


def _bounds(value: Value) -> list[str]:
    return [text for text in (value.text, value.high) if text] if value.operator == ".." else [value.text]


def _check_priority(value: Value) -> str:
    bounds = _bounds(value)
    if bounds and all(len(text) == 1 and text in "01234" for text in bounds):
        return ""
    return f"{_shown(value)!r} is not a priority: {PRIORITIES[0]} to {PRIORITIES[-1]}, <=1, or 0..2"


def _check_estimate(value: Value) -> str:
    bounds = _bounds(value)
    if bounds and all(re.fullmatch("[0-9]{1,7}[mhdw]?", text) for text in bounds):
        return ""
    return f"{_shown(value)!r} is not an estimate: 90 (minutes), <2h, or 1h..3h"


def _check_moment(value: Value) -> str:
    bounds = _bounds(value)
    lengths = [length_seconds(text) is not None for text in bounds]
    if all(lengths) and bounds and value.operator != "=":
        return ""
    if bounds and not any(lengths) and all(day_or_time(text) for text in bounds):
        return ""
    return f"{_shown(value)!r} is not a time: <7d, >2w, 2027-01-31, >=2027-01-31T12:00, or 2027-01-01..2027-01-31"


def _shown(value: Value) -> str:
    if value.operator == "..":
        return f"{value.text}..{value.high}"
    return ("" if value.operator == "=" else value.operator) + value.text


def length_seconds(text: str) -> float | None:
    """A length of time such as `7d` or `90m`, in seconds; None if it is none."""
    return int(text[:-1]) * UNITS[text[-1]] if re.fullmatch("[0-9]{1,6}[mhdw]", text) else None


def day_or_time(text: str) -> tuple[float, float] | None:
    """Unix times between which a day lies, or at which a moment is, in local time; None if it is neither."""
    from datetime import datetime, timedelta

    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if "T" in text:
            return moment.timestamp(), moment.timestamp()
        return moment.timestamp(), (moment + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


class _Kind(NamedTuple):
    """How the values of a field are read, and what is wrong with one, if anything."""

    read: Callable[[str], Value]
    check: Callable[[Value], str]


_TEXT = _Kind(_read_prefix, _check_text_value)
_WORDS = _Kind(_read_prefix, _check_words)
_MOMENT = _Kind(_read_comparison, _check_moment)

_FIELDS: dict[str, _Kind] = {
    "": _WORDS,
    "status": _Kind(_read_exact, _choice("open", "closed")),
    "is": _Kind(_read_exact, _choice(*STATES)),
    "type": _Kind(_read_exact, _choice(*ISSUE_TYPES)),
    "resolution": _Kind(_read_exact, _choice(*RESOLUTIONS)),
    "priority": _Kind(_read_comparison, _check_priority),
    "label": _TEXT,
    "assignee": _TEXT,
    "agent": _TEXT,
    "created-by": _TEXT,
    "id": _TEXT,
    "parent": _TEXT,
    "under": _TEXT,
    "ref": _TEXT,
    "estimate": _Kind(_read_comparison, _check_estimate),
    "created": _MOMENT,
    "updated": _MOMENT,
    "closed": _MOMENT,
    "due": _MOMENT,
    "defer": _MOMENT,
    "title": _WORDS,
    "body": _WORDS,
    "acceptance": _WORDS,
    "design": _WORDS,
    "comment": _WORDS,
    "has": _Kind(_read_exact, _choice(*HAVING)),
    "no": _Kind(_read_exact, _choice(*HAVING)),
}
_LOWERED = {_FIELDS[name].check for name in ("status", "is", "type", "resolution", "has", "no")}
_ALIASES = {"state": "is"}

FIELDS = (*(name for name in _FIELDS if name), "sort")
"""The fields that a query can name."""


def _take_sort(tokens: Sequence[_Token], text: str) -> tuple[tuple[Sort, ...], list[_Token]]:
    """The sort, which is no condition and concerns the whole query, and the other tokens."""
    sort: list[Sort] = []
    rest: list[_Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.kind, 0)
        if token.kind != "sort":
            rest.append(token)
        elif depth > 0 or (rest and rest[-1].kind == "-"):
            _fail("sort: concerns the whole query: put it outside of parentheses, without -", token.position)
        else:
            sort += token.sort
    return tuple(dict.fromkeys(sort)), rest


class _Parser:
    """Recursive descent; its depth is bounded."""

    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = len(text)

    def any_of(self, depth: int) -> Condition:
        parts = [self._all_of(depth)]
        while self._accept("OR"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Group("OR", tuple(parts))

    def _all_of(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._peek() not in ("", ")", "OR"):
            self._accept("AND")
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Group("AND", tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            _fail(f"more than {MAX_DEPTH} levels of parentheses and negations", self._position())
        if self._accept("-"):
            return Not(self._one(depth + 1))
        if self._peek() == "(":
            opened = self._position()
            self._next += 1
            inner = self.any_of(depth + 1)
            if not self._accept(")"):
                _fail("a ( is never closed", opened)
            return inner
        if self._peek() != "term":
            _fail("a word or a field is missing here", self._position())
        term = self._tokens[self._next].term
        assert term is not None
        self._next += 1
        return term

    def expect_end(self) -> None:
        if self._peek():
            _fail("a ) that closes nothing", self._position())

    def _peek(self) -> str:
        return self._tokens[self._next].kind if self._next < len(self._tokens) else ""

    def _position(self) -> int:
        return self._tokens[self._next].position if self._next < len(self._tokens) else self._end

    def _accept(self, kind: str) -> bool:
        if self._peek() != kind:
            return False
        self._next += 1
        return True


def _render(condition: Condition, *, top: bool = False) -> str:
    if isinstance(condition, Term):
        values = ",".join(_render_value(value) for value in condition.values)
        return f"{condition.field}:{values}" if condition.field else values
    if isinstance(condition, Not):
        return "-" + _render(condition.part)
    joined = (" OR " if condition.operator == "OR" else " ").join(_render(part) for part in condition.parts)
    return joined if top else f"({joined})"


def _render_value(value: Value) -> str:
    if value.operator in ("=", "*"):
        text = value.text
        if not _PLAIN.fullmatch(text) or text in _KEYWORDS:
            text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return text + ("*" if value.operator == "*" else "")
    return _shown(value)


def of(field: str, text: Any) -> Term:
    """A term for one exact value."""
    return Term(field, (Value("=", str(text)),))
