"""The query language, `status:open label:api -type:epic updated:<7d "exact phrase"`: text to a tree and back. Pure.

A query is terms that all must fit; `OR`, `-` and parentheses combine them. A term is a word to search for, or a field
with one or more values of which one must fit. What a term means is said in `sql`; docs/reference/queries.md is the
page for people. Whatever parses can be compiled: values are checked here, where their place is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING, Literal, NamedTuple
from tapeout.tracker.model import RESOLUTIONS
from tapeout.tracker.query.fields import ALIASES, FIELDS, KINDS, SORT, Kind, Value, read_prefix, shown

if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_LENGTH = 20_000
"""Characters of a query. What it compiles to stays far below SQLite's limits on values."""

MAX_TERMS = 300
MAX_DEPTH = 50
"""Terms and nesting of a query: SQLite refuses expressions that are 1,000 deep."""


class Term(NamedTuple):
    """A field of which one of the values must fit; the field is empty for words to search for anywhere."""

    field: str
    values: tuple[Value, ...]


class Not(NamedTuple):
    """What must not fit."""

    part: Condition


class Group(NamedTuple):
    """Two or more conditions of which all or any must fit."""

    operator: Literal["AND", "OR"]
    parts: tuple[Condition, ...]


Condition = Term | Not | Group


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
        value, end = _value(text, start, KINDS[""])
        return _Token("term", start, Term("", (value,))), end
    run = _RUN.match(text, start)
    assert run is not None
    if run[0] in _KEYWORDS:
        return _Token(_KEYWORDS[run[0]], start), run.end()
    name, colon, _ = run[0].partition(":")
    if not colon or not name:
        value = _checked(KINDS[""].read(run[0]), start, "", KINDS[""])
        return _Token("term", start, Term("", (value,))), run.end()
    return _lex_field(text, start, name)


def _lex_field(text: str, start: int, name: str) -> tuple[_Token, int]:
    field = ALIASES.get(name.lower(), name.lower())
    kind = KINDS.get(field)
    if kind is None and field != "sort":
        _fail(
            f"there is no field {name!r}: {', '.join(FIELDS)}",
            start,
            'to search for text with a colon, put it in "..."',
        )
    position = start + len(name) + 1
    values = []
    while True:
        value, end = _value(text, position, kind or SORT, field)
        values.append(value)
        if text[end : end + 1] != ",":
            break
        position = end + 1
    if kind is None:
        return _Token("sort", start, sort=tuple(_sort(value.text) for value in values)), end
    return _Token("term", start, Term(field, tuple(values))), end


def _value(text: str, start: int, kind: Kind, field: str = "") -> tuple[Value, int]:
    """One value, quoted or not, and where it ends."""
    if text[start : start + 1] == '"':
        quoted = _QUOTED.match(text, start)
        if quoted is None:
            _fail('a " is never closed', start)
        content, end = _ESCAPED.sub(r"\1", quoted[1]), quoted.end()
        begins = kind.read is read_prefix and text[end : end + 1] == "*"
        return _checked(Value("*" if begins else "=", content), start, field, kind), end + begins
    run = _VALUE.match(text, start)
    if run is None:
        _fail(f"{field}: needs a value", start)
    return _checked(kind.read(run[0]), start, field, kind), run.end()


def _checked(value: Value, position: int, field: str, kind: Kind) -> Value:
    problem = kind.check(value)
    if problem:
        _fail(f"{field}{':' if field else ''} {problem}".strip(), position)
    return value._replace(text=value.text.lower()) if kind.is_choice else value


def _sort(text: str) -> Sort:
    return Sort(text.lower().removesuffix("-desc").removesuffix("-asc"), text.lower().endswith("-desc"))


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
    return shown(value)


def exact(field: str, text: Any) -> Term:
    """A term for one exact value."""
    return Term(field, (Value("=", str(text)),))
