"""The query language: whatever is typed is a query or one clear error, and a query can be written out again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapeout.base.errors import UsageError
from tapeout.tracker.model import RESOLUTIONS
from tapeout.tracker.query import fields, language, sql
from tapeout.tracker.query.fields import Value
from tapeout.tracker.query.language import Group, Not, Query, Sort, Term

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
WORDS = TEXT.filter(lambda text: any(character.isalnum() for character in text))
LENGTHS = st.builds(lambda number, unit: f"{number}{unit}", st.integers(0, 999), st.sampled_from("mhdw"))
DAYS = st.dates().map(str).filter(lambda day: "0002" < day < "9999") | st.datetimes().map(
    lambda at: at.isoformat(timespec="minutes")
).filter(lambda day: "0002" < day < "9999")
ORDERS = st.sampled_from(["<", "<=", ">", ">="])


def texts(values: st.SearchStrategy[str]) -> st.SearchStrategy[Value]:
    return st.builds(Value, st.sampled_from("=*"), values, st.just(""))


def choices(*names: str) -> st.SearchStrategy[Value]:
    return st.builds(Value, st.just("="), st.sampled_from(names), st.just(""))


def bounded(values: st.SearchStrategy[str], *, exact: bool = True) -> st.SearchStrategy[Value]:
    ranges = st.tuples(values | st.just(""), values | st.just("")).filter(any).map(lambda pair: Value("..", *pair))
    compared = st.builds(Value, ORDERS, values, st.just(""))
    return ranges | compared | (st.builds(Value, st.just("="), values, st.just("")) if exact else st.nothing())


VALUES: dict[str, st.SearchStrategy[Value]] = {
    **{name: texts(TEXT) for name in ("label", "assignee", "agent", "created-by", "id", "parent", "under", "ref")},
    **{name: texts(WORDS) for name in ("title", "body", "acceptance", "design", "comment")},
    **{
        name: bounded(LENGTHS, exact=False) | bounded(DAYS) for name in ("created", "updated", "closed", "due", "defer")
    },
    "status": choices("open", "closed"),
    "is": choices(*fields.STATES),
    "type": choices("task", "epic"),
    "resolution": choices(*RESOLUTIONS),
    "has": choices(*fields.HAVING),
    "no": choices(*fields.HAVING),
    "priority": bounded(st.sampled_from("01234")),
    "estimate": bounded(LENGTHS | st.integers(0, 9999).map(str)),
}
TERMS = texts(WORDS).map(lambda value: Term("", (value,))) | st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.lists(VALUES[name], min_size=1, max_size=3).map(lambda values: Term(name, tuple(values)))
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Group, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
SORT = st.lists(st.builds(Sort, st.sampled_from(fields.SORTS), st.booleans()), unique=True, max_size=3).map(tuple)
QUERIES = st.builds(Query, st.none() | CONDITIONS, SORT)


def test_every_field_is_tried() -> None:
    assert {*VALUES, "sort"} == set(fields.FIELDS)


@given(QUERIES)
def test_what_is_written_out_is_the_same_query(query: Query) -> None:
    assert language.parse(language.render(query)) == query


@given(QUERIES)
def test_every_query_can_be_compiled_and_holds_no_text_of_the_user(query: Query) -> None:
    where = sql.compile_query(query, 1e9, lambda prefix: prefix)
    names = {name for name in where.values if f":{name}" in where.condition}
    assert names | {"now"} == where.values.keys()
    assert not any(quote in where.condition.replace("'open'", "") for quote in ('"', "\\"))


WORDLIKE = st.lists(
    st.sampled_from(["status:", "open", "label:", "a,b", "-", "(", ")", " ", '"', "OR", "AND", "NOT", "\\", "..", "<7d",
                     "due:", "sort:", "priority:", "*", "ä", "\0", "\ud800", "x"]),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.text(max_size=30) | WORDLIKE)
@example("(" * 5000)
@example("-" * 5000)
@example("NOT " * 4000 + "x")
@example("a " * 9999)
@example("x" * 30_000)
@example("due:<9999999999d")
@example("created:9999-12-31")
@example("created:0001-01-01")
def test_any_text_is_a_query_or_an_error_that_names_the_place(text: str) -> None:
    try:
        query = language.parse(text)
    except UsageError as error:
        place, _, problem = error.message.partition(": ")
        assert place.startswith("query, character ")
        assert 1 <= int(place.split()[-1]) <= len(text) + 1
        assert problem
    else:
        assert language.parse(language.render(query)) == query


def any_of(field: str, *texts: str) -> Term:
    return Term(field, tuple(Value("=", text) for text in texts))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("", None),
        ("word", any_of("", "word")),
        ('"two words"', any_of("", "two words")),
        ("wor*", Term("", (Value("*", "wor"),))),
        ("STATE:Ready", any_of("is", "ready")),
        ("label:api,ui", any_of("label", "api", "ui")),
        ('label:"a,b"', any_of("label", "a,b")),
        ("label:area/*", Term("label", (Value("*", "area/"),))),
        ("-type:epic", Not(any_of("type", "epic"))),
        ("NOT a", Not(any_of("", "a"))),
        ("a OR b c", Group("OR", (any_of("", "a"), Group("AND", (any_of("", "b"), any_of("", "c")))))),
        ("a AND b", Group("AND", (any_of("", "a"), any_of("", "b")))),
        ("(a OR b) c", Group("AND", (Group("OR", (any_of("", "a"), any_of("", "b"))), any_of("", "c")))),
        ("priority:<=1", Term("priority", (Value("<=", "1"),))),
        ("priority:0..2", Term("priority", (Value("..", "0", "2"),))),
        ("due:2027-01-01..", Term("due", (Value("..", "2027-01-01", ""),))),
        ("due:2027-01-01T12:00", any_of("due", "2027-01-01T12:00")),
        ("and or", Group("AND", (any_of("", "and"), any_of("", "or")))),
        ('"OR"', any_of("", "OR")),
    ],
)
def test_what_is_read(text: str, condition: language.Condition | None) -> None:
    assert language.parse(text) == Query(condition)


def test_the_sort_is_taken_from_anywhere() -> None:
    assert language.parse("sort:due a OR b sort:Updated-desc,id-asc").sort == (
        Sort("due", False), Sort("updated", True), Sort("id", False),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "character", "part"),
    [
        ("a foo:bar", 3, "there is no field 'foo': status, is, type"),
        ("https://example", 1, "there is no field 'https'"),
        ("a (b", 3, "never closed"),
        ("a ) b", 3, "closes nothing"),
        ('a "b', 3, "never closed"),
        ("a OR", 5, "missing"),
        ("OR a", 1, "missing"),
        ("()", 2, "missing"),
        ("label:", 7, "needs a value"),
        ("label:a,", 9, "needs a value"),
        ("type:story", 6, "'story' is not one of task, bug"),
        ("priority:5", 10, "'5' is not a priority"),
        ("priority:..", 10, "'..' is not a priority"),
        ("estimate:soon", 10, "not an estimate"),
        ("due:7d", 5, "'7d' is not a time"),
        ("due:<2027-02-30", 5, "not a time"),
        ("due:7d..2027-01-01", 5, "not a time"),
        ("a ---", 6, "missing"),
        ("+++", 1, "no letter or digit"),
        ("(sort:id)", 2, "outside of parentheses"),
        ("-sort:id", 2, "without -"),
        ("sort:rank", 6, "'rank' is not one of priority"),
        ("a\0", 2, "not a character"),
    ],
)
def test_an_error_names_the_place(text: str, character: int, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        language.parse(text)
    assert caught.value.message.startswith(f"query, character {character}: ")
    assert part in caught.value.message
