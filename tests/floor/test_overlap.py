"""Issues that would touch the same files are started apart, and none waits for ever."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.floor.dispatch import plan_dispatch
from tapeout.floor.overlap import MOST_PASSED_OVER, globs_overlap, in_starting_order, scopes_overlap
from tapeout.gate.globs import matches
from tapeout.tracker.model import Issue
from tests.floor.test_decisions import NOTHING, issue


def scoped(identity: str, *scope: str) -> Issue:
    return issue(identity)._replace(scope=scope)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src/**", "src/api/user.py", True),
        ("src/**", "docs/**", False),
        ("**/*.md", "docs/how-to/*.txt", False),
        ("**/*.md", "docs/**", True),
        ("src/*.py", "src/api/*.py", False),
        ("src/**/test_*.py", "src/x/*_test.py", True),
        ("a?c", "abd", False),
        ("a[bc]d", "abd", True),
        ("**", "anything/at/all", True),
        ("", "src/a.py", False),
    ],
)
def test_globs_overlap(first: str, second: str, overlap: bool) -> None:
    assert globs_overlap(first, second) is overlap
    assert globs_overlap(second, first) is overlap


PARTS = st.sampled_from(["a", "b", "ab", "*", "a*", "?b", "**"])
GLOBS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "bb"]), min_size=1, max_size=4).map("/".join)


@given(GLOBS, GLOBS, PATHS)
def test_globs_that_fit_the_same_path_overlap(first: str, second: str, path: str) -> None:
    if matches(path, [first]) and matches(path, [second]):
        assert globs_overlap(first, second)


def test_an_unknown_scope_overlaps_with_nothing() -> None:
    assert not scopes_overlap((), ("**",))


def test_what_overlaps_is_started_after_what_does_not() -> None:
    ready = [scoped("i1", "src/**"), scoped("i2", "docs/**"), scoped("i3", "src/a.py"), scoped("i4")]
    now = dataclasses.replace(NOTHING, slots=3, ready=ready, scopes={"i0": ("src/b.py",)})
    plan = plan_dispatch(now)
    assert [one.issue.id for one in plan.start] == ["i2", "i3", "i4"]
    assert plan.passed_over == ("i1",)


def test_two_that_are_started_at_once_are_kept_apart_too() -> None:
    chosen, passed = in_starting_order([scoped("i1", "a"), scoped("i2", "a"), scoped("i3", "b")], (), {}, 2)
    assert [one.id for one in chosen] == ["i1", "i3"]
    assert passed == ["i2"]


def test_with_nothing_else_to_do_an_overlapping_issue_is_started() -> None:
    chosen, passed = in_starting_order([scoped("i1", "a"), scoped("i2", "b")], [("a",)], {}, 4)
    assert [one.id for one in chosen] == ["i2", "i1"]
    assert passed == []


@given(st.lists(st.sampled_from(["a", "b", "**"]), min_size=1, max_size=30))
def test_nobody_is_passed_over_for_ever(scopes: list[str]) -> None:
    """Somebody works on `a` all the time, and urgent issues keep coming."""
    patient, counts = scoped("patient", "a"), dict[str, int]()
    for number in range(MOST_PASSED_OVER + 1):
        others = [scoped(f"o{number}-{one}", scope) for one, scope in enumerate(scopes)]
        chosen, passed = in_starting_order([patient, *others, scoped("free", "c")], [("a",)], counts, 1)
        if patient in chosen:
            return
        assert "patient" in passed
        counts["patient"] = counts.get("patient", 0) + 1
    raise AssertionError("it was passed over for ever")
