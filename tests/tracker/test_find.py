"""Finding issues: what queries mean, against a plain reading of the issues."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Filter, Tracker
from tapeout.tracker.model import Issue
from tapeout.tracker.query.fields import Value
from tapeout.tracker.query.language import Condition, Group, Not, Query, Term

DAY = 86_400.0


@pytest.fixture
def filled(tracker: Tracker) -> Tracker:
    """One issue of each sort, named for it."""
    now = time.time()
    first = tracker.create(Draft("plain", labels=("api", "area/core")))
    tracker.create(Draft("waiting", depends_on=(first.id,), labels=("ui",), priority=1))
    unneeded = tracker.create(Draft("unneeded", links=((first.id, "conditional"),)))
    epic = tracker.create(Draft("epic", type="epic", priority=0, assignee="bo"))
    child = tracker.create(Draft("child", parent=epic.id, estimate_minutes=90, agent="codex"))
    tracker.create(Draft("grandchild", parent=child.id, external_ref="gh-12", type="bug"))
    tracker.create(Draft("deferred", deferred_until=now + 3 * DAY))
    tracker.create(Draft("late", due_at=now - DAY))
    tracker.create(Draft("soon", due_at=now + DAY, body="Some words.", acceptance="- a proof", design="boxes"))
    tracker.create(Draft("far", due_at=now + 30 * DAY, scope=("src/**",)))
    leased = tracker.create(Draft("leased"))
    tracker.claim(leased.id, "ada")
    person = tracker.create(Draft("needy"))
    lease = tracker.claim(person.id, "a-1")
    attempt = tracker.start_attempt(lease, "a-1", agent="codex", host="here", pid=1, pid_started=1.0)
    tracker.end_attempt(lease, attempt.id, "failed", "three times red", give_up="three times red")
    closed = tracker.create(Draft("closed", labels=("api",)))
    tracker.close_issue(closed.id, "wontfix", "not now")
    assert unneeded.open_blockers == 1
    tracker.close_issue(first.id, "done")
    tracker.reopen(first.id)
    return tracker


def titles(tracker: Tracker, query: str) -> set[str]:
    found = tracker.find(query)
    assert [issue.id for issue in found] == tracker.matching_ids(query)
    return {issue.title for issue in found}


EVERYTHING = {
    "plain", "waiting", "unneeded", "epic", "child", "grandchild", "deferred", "late", "soon", "far", "leased", "needy",
    "closed",
}  # fmt: skip


FINDS: list[tuple[str, set[str]]] = [
    ("", EVERYTHING),
    ("status:closed", {"closed"}),
    ("status:open,closed", EVERYTHING),
    ("is:blocked", {"waiting", "unneeded"}),
    ("state:deferred", {"deferred"}),
    ("is:leased", {"leased"}),
    ("is:needs-person", {"needy"}),
    ("is:overdue", {"late"}),
    ("is:epic", {"epic"}),
    ("is:wontfix", {"closed"}),
    ("is:landed", set()),
    ("is:queued", set()),
    ("is:ready", {"plain", "child", "grandchild", "late", "soon", "far"}),
    ("-is:open", {"closed"}),
    ("type:epic,bug", {"epic", "grandchild"}),
    ("label:api", {"plain", "closed"}),
    ("label:api,ui", {"plain", "closed", "waiting"}),
    ("label:area/*", {"plain"}),
    ("label:api status:open", {"plain"}),
    ("-label:api label:ui", {"waiting"}),
    ("priority:0", {"epic"}),
    ("priority:<=1", {"epic", "waiting"}),
    ("priority:0..1", {"epic", "waiting"}),
    ("-priority:2", {"epic", "waiting"}),
    ("priority:>=3", set()),
    ("assignee:bo", {"epic"}),
    ("assignee:b*", {"epic"}),
    ("assignee:B", set()),
    ("agent:codex", {"child"}),
    ("resolution:wontfix", {"closed"}),
    ("ref:gh-12", {"grandchild"}),
    ("ref:gh-*", {"grandchild"}),
    ("created-by:ada", EVERYTHING),
    ("estimate:90", {"child"}),
    ("estimate:<2h", {"child"}),
    ("estimate:>2h", set()),
    ("estimate:1h..90m", {"child"}),
    ("created:<1d", EVERYTHING),
    ("created:>1d", set()),
    ("updated:..1h", EVERYTHING),
    ("updated:1h..2d", set()),
    ("closed:<1d", {"closed"}),
    ("-closed:<1d", EVERYTHING - {"closed"}),
    ("due:<7d", {"soon"}),
    ("due:>7d", {"far"}),
    ("due:2d..40d", {"far"}),
    ("due:2001-01-01..2999-01-01", {"late", "soon", "far"}),
    ("due:<2001-01-01", set()),
    ("defer:<7d", {"deferred"}),
    ("has:due", {"late", "soon", "far"}),
    ("no:due is:ready", {"plain", "child", "grandchild"}),
    ("has:label", {"plain", "waiting", "closed"}),
    ("has:parent", {"child", "grandchild"}),
    ("has:child", {"epic", "child"}),
    ("has:assignee,agent", {"epic", "child"}),
    ("has:comment", {"closed"}),
    ("has:blocker", {"waiting", "unneeded"}),
    ("has:dependency", {"waiting", "unneeded"}),
    ("has:body", {"soon"}),
    ("has:scope", {"far"}),
    ("has:lease", {"leased"}),
    ("has:attachment,change", set()),
    ("has:attempt", {"needy"}),
    ("no:scope,label has:scope", {"far"}),
    ("word*", {"soon"}),
    ('"some words"', {"soon"}),
    ('"words some"', set()),
    ("title:word", set()),
    ("body:WORD", {"soon"}),
    ("acceptance:proof design:box", {"soon"}),
    ("comment:now", {"closed"}),
    ("-comment:now status:closed", set()),
    ("soon OR (late -has:body)", {"soon", "late"}),
]


def test_what_a_query_finds(filled: Tracker) -> None:
    found = {query: titles(filled, query) for query, _ in FINDS}
    assert found == dict(FINDS)


def test_not_needed(tracker: Tracker) -> None:
    first = tracker.create(Draft("first"))
    tracker.create(Draft("only if it fails", links=((first.id, "conditional"),)))
    tracker.close_issue(first.id)
    assert titles(tracker, "is:not-needed") == {"only if it fails"}


def test_issues_that_a_query_names(filled: Tracker) -> None:
    (epic,) = filled.find("is:epic")
    assert titles(filled, f"parent:{epic.id[:8]}") == {"child"}
    assert titles(filled, f"under:{epic.id}") == {"child", "grandchild"}
    assert titles(filled, f"id:#{epic.id[:8].upper()}") == {"epic"}
    assert titles(filled, f"id:{epic.id[:9]}*") == {"epic"}
    for field in ("id", "parent", "under"):
        with pytest.raises(NotFound, match="no issue 'zzuu'"):
            filled.find(f"{field}:zzuu")


def test_a_prefix_that_fits_several_is_refused(tracker: Tracker) -> None:
    """What is edited in bulk is never more than was meant."""
    known = [tracker.create(Draft(f"{number}")).id for number in range(40)]
    letter = next(one[0] for one in known if sum(other[0] == one[0] for other in known) > 1)
    with pytest.raises(UsageError, match="fits several issues"):
        tracker.matching_ids(f"id:{letter}")


def test_days_are_those_of_the_local_clock(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        noon = time.mktime((2027, 3, 31, 12, 0, 0, 0, 0, -1))
        tracker.create(Draft("noon", due_at=noon))
        for query in ("2027-03-31", "<=2027-03-31", ">=2027-03-31", ">2027-03-30", "<2027-04-01", "2027-03-31..",
                      "2027-03-30..2027-03-31", "2027-03-31T12:00", "2027-03-31T03:00Z",
                      ">2027-03-31T11:59",
                      ):  # fmt: skip
            assert titles(tracker, f"due:{query}") == {"noon"}, query
        for query in ("2027-03-30", "<2027-03-31", ">2027-03-31", "2027-04-01..", "..2027-03-30", "2027-03-31T12:01"):
            assert titles(tracker, f"due:{query}") == set(), query
    finally:
        monkeypatch.undo()
        time.tzset()


SORTED = {
    "priority-desc,title": ["far", "late", "soon", "epic"],
    "due": ["late", "soon", "far", "epic"],
    "due-desc": ["far", "soon", "late", "epic"],
    "title-desc": ["soon", "late", "far", "epic"],
    "created": ["epic", "late", "soon", "far"],
    "created-desc": ["far", "soon", "late", "epic"],
}


def test_sorting(filled: Tracker) -> None:
    for sort, expected in SORTED.items():
        assert [issue.title for issue in filled.find(f"(has:due OR is:epic) sort:{sort}")] == expected, sort


def test_the_limit_and_the_stream(tracker: Tracker) -> None:
    tracker.create_many([Draft(f"{number}") for number in range(450)])
    everything = tracker.find("sort:title")
    assert list(tracker.stream("sort:title")) == everything
    assert list(tracker.stream("sort:title", 201)) == everything[:201]
    assert tracker.find("sort:title", 3) == everything[:3]


def test_a_stream_goes_on_while_issues_are_written(tracker: Tracker, paths: StatePaths) -> None:
    tracker.create_many([Draft(f"{number}") for number in range(300)])
    stream = tracker.stream("")
    first = next(stream)
    with Tracker.open(paths, "bo") as other:
        other.create(Draft("one more"))
        assert other.matching_ids("id:" + first.id) == [first.id]
    assert len(list(stream)) == 299


def test_a_query_inside_a_transaction_that_writes(filled: Tracker) -> None:
    with filled._writing():
        filled._append(filled.matching_ids("is:epic")[0], "fields-set", {"body": "unheard of"})
        assert len(filled.matching_ids("label:api")) == 2
        assert len(filled.matching_ids("unheard")) == 1
    assert titles(filled, "unheard") == {"epic"}


FITS: dict[str, Callable[[Issue, Value], bool]] = {
    "status": lambda issue, value: issue.status == value.text,
    "type": lambda issue, value: issue.type == value.text,
    "priority": lambda issue, value: issue.priority <= int(value.text),
    "label": lambda issue, value: value.text in issue.labels,
    "assignee": lambda issue, value: issue.assignee == value.text,
    "has": lambda issue, value: getattr(issue, {"due": "due_at", "assignee": "assignee"}[value.text]) is not None,
    "no": lambda issue, value: getattr(issue, {"due": "due_at", "assignee": "assignee"}[value.text]) is None,
    "due": lambda issue, _: issue.due_at is not None and time.time() < issue.due_at < time.time() + 7 * DAY,
    "": lambda issue, value: value.text in issue.title.split(),
}
GIVEN = {
    "status": ["open", "closed"], "type": ["task", "bug"], "label": ["a", "b"], "assignee": ["x", "y"],
    "has": ["due", "assignee"], "no": ["due", "assignee"], "": ["ant", "bee"],
}  # fmt: skip
TERMS = st.one_of(
    st.sampled_from([field for field in GIVEN if field]).flatmap(
        lambda field: st.lists(st.sampled_from(GIVEN[field]), min_size=1, max_size=2).map(
            lambda names: Term(field, tuple(Value("=", name) for name in names))
        )
    ),
    st.sampled_from(GIVEN[""]).map(lambda word: Term("", (Value("=", word),))),
    st.integers(0, 4).map(lambda number: Term("priority", (Value("<=", str(number)),))),
    st.just(Term("due", (Value("<", "7d"),))),
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Group, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


def fits(issue: Issue, condition: Condition) -> bool:
    if isinstance(condition, Not):
        return not fits(issue, condition.part)
    if isinstance(condition, Group):
        return (all if condition.operator == "AND" else any)(fits(issue, part) for part in condition.parts)
    return any(FITS[condition.field](issue, value) for value in condition.values)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(condition=CONDITIONS)
def test_a_query_finds_what_fits_it(zoo: Tracker, condition: Condition) -> None:
    found = {issue.id for issue in zoo.find(Query(condition))}
    assert found == {issue.id for issue in zoo.issues() if fits(issue, condition)}


@pytest.fixture
def zoo(tracker: Tracker) -> Tracker:
    """Issues of all combinations that matter."""
    now = time.time()
    drafts = [
        Draft(title, type=kind, priority=number % 5, labels=labels, assignee=assignee, due_at=due)  # type: ignore[arg-type]
        for number, (title, kind, labels, assignee, due) in enumerate(
            (title, kind, labels, assignee, due)
            for title in ("ant", "bee", "ant bee")
            for kind in ("task", "bug")
            for labels in ((), ("a",), ("a", "b"))
            for assignee in (None, "x")
            for due in (None, now + DAY, now + 20 * DAY)
        )
    ]
    for issue in tracker.create_many(drafts)[::3]:
        tracker.close_issue(issue.id)
    return tracker


def test_what_is_no_utf_8_is_refused_wherever_it_is_asked_for(tracker: Tracker) -> None:
    asked: list[Callable[[str], object]] = [
        lambda odd: tracker.issues(Filter(label=odd)), lambda odd: tracker.claim_next("me", labels=[odd]),
        lambda odd: tracker.change(odd),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(UsageError, match="not valid UTF-8"):
            ask("\udcff")
