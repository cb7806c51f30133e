"""Which commit made main red, and whether two failures are the same."""

from math import ceil, log2
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tapeout.gate.redmain.bisection import first_red
from tapeout.gate.redmain.signature import failed, red_checks, same_failure, without


@given(st.data())
def test_the_culprit_is_found_with_a_logarithm_of_questions(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 1_000))
    culprit = data.draw(st.integers(1, count - 1))
    asked: list[int] = []

    def is_red(number: int) -> bool:
        asked.append(number)
        return number >= culprit

    assert first_red(count, is_red) == culprit
    assert len(asked) <= ceil(log2(count))
    assert len(asked) == len(set(asked))
    assert all(0 < number < count - 1 for number in asked), "the ends are known"


@given(st.lists(st.booleans(), max_size=200))
def test_among_several_changes_of_colour_it_finds_one_from_green_to_red(middle: list[bool]) -> None:
    commits = [False, *middle, True]
    found = first_red(len(commits), lambda number: commits[number])
    assert commits[found]
    assert not commits[found - 1]


def check(reason: str = "exit code 1: 2 failed", *diagnostics: str, **fields: Any) -> dict[str, Any]:
    base = {"name": "unit", "passed": not reason, "blocking": True, "exit_code": 1, "reason": reason}
    return {**base, "diagnostics": list(diagnostics), **fields}


def test_failures_are_the_same_though_counts_times_and_folders_differ() -> None:
    assert same_failure(check("exit code 1: 2 failed in 0.31s /a/b1/x"), check("exit code 1: 7 failed in 2s /c/x"))
    assert not same_failure(check("exit code 1: no such table"), check("exit code 1: no such column"))
    assert not same_failure(check("exit code 2: x", exit_code=2), check("exit code 1: x"))
    assert not same_failure(check(), check("")), "main passes it"


def test_a_finding_that_main_does_not_have_is_the_changes_own() -> None:
    main = check("1 of 9 tests failed: test_a", "a.py:3: error: test_a", "b.py:1: error: test_b")
    assert same_failure(check("1 of 10 tests failed: test_a", "a.py:7: error: test_a"), main), "lines have moved"
    both = check("2 of 9 tests failed", "a.py:3: error: test_a", "c.py:9: error: test_c")
    assert not same_failure(both, main)


def test_only_blocking_failures_count() -> None:
    advice, bad = check(name="advice", blocking=False), check()
    assert failed([advice, bad, check("", name="good")]) == (bad,)
    assert red_checks([bad], [advice, check("exit code 1: 3 failed")]) == ("unit",)
    assert red_checks([bad], []) == ()


def test_what_main_fails_is_left_out_of_a_verdict_and_noted() -> None:
    findings = [{"check": "unit", "reason": "x", "excerpt": ""}, {"check": "lint", "reason": "y", "excerpt": "z"}]
    left = without({"passed": False, "reason": "unit: x; lint: y", "findings": findings, "notes": ["n"]}, ["unit"])
    assert left["findings"] == findings[1:]
    assert left["reason"] == "lint: y"
    assert left["notes"] == ["n", "unit: the target branch fails it, too"]
