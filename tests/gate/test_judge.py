"""Pure decisions about a check's output: did it test anything, and which part of it does an agent need."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.gate.excerpt import LINE_CHARS, MAX_CHARS, MAX_LINES, excerpt
from tapeout.gate.judge import empty_test_run, last_line
from tapeout.gate.verdict import SUMMARY_BYTES, CheckResult, Finding, Verdict, summary

EMPTY = {
    "pytest": "============= test session starts =====\ncollected 0 items\n\n==== no tests ran in 0.01s ====\n",
    "pytest, all skipped": "sss\n================ 3 skipped in 0.02s ================\n",
    "pytest, all deselected": "collected 3 items / 3 deselected / 0 selected\n=== 3 deselected in 0.01s ===\n",
    "unittest": "\n--------\nRan 0 tests in 0.000s\n\nOK\n",
    "unittest 3.12": "Ran 0 tests in 0.000s\n\nNO TESTS RAN\n",
    "unittest, all skipped": "ss\n------\nRan 2 tests in 0.000s\n\nOK (skipped=2)\n",
    "jest": "No tests found, exiting with code 0\n",
    "jest, all skipped": "Test Suites: 1 skipped, 0 of 1 total\nTests:       2 skipped, 2 total\n",
    "vitest": "No test files found, exiting with code 0\n",
    "mocha": "\n\n  0 passing (2ms)\n\n",
    "mocha, all pending": "\n  0 passing (3ms)\n  2 pending\n",
    "node": "# tests 0\n# suites 0\n# pass 0\n# fail 0\n",
    "node, colours": "\x1b[34m\u2139 tests 0\x1b[39m\n\x1b[34m\u2139 pass 0\x1b[39m\n",
    "go, no files": "?   \texample.com/m\t[no test files]\n",
    "go, none selected": "testing: warning: no tests to run\nPASS\nok  \texample.com/m\t0.001s [no tests to run]\n",
    "cargo": "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; finished in 0.00s\n",
    "cargo, all ignored": "running 2 tests\ntest a ... ignored\n\ntest result: ok. 0 passed; 0 failed; 2 ignored;\n",
    "maven": "Tests run: 0, Failures: 0, Errors: 0, Skipped: 0\n",
    "silence": "  \n\x1b[0m\n",
}

RAN = {
    "pytest": "..s\n==== 2 passed, 1 skipped in 0.02s ====\n",
    "pytest, quiet": "2 passed in 0.02s\n",
    "pytest, expected failures": "x\n==== 1 xfailed in 0.02s ====\n",
    "unittest": "..\n------\nRan 2 tests in 0.000s\n\nOK (skipped=1)\n",
    "unittest, plain": "..\n------\nRan 2 tests in 0.000s\n\nOK\n",
    "jest": "Tests:       1 skipped, 2 passed, 3 total\n",
    "mocha": "  2 passing (4ms)\n  1 pending\n",
    "node": "# tests 2\n# pass 2\n# fail 0\n# skipped 0\n",
    "go": "?   \texample.com/m/cmd\t[no test files]\nok  \texample.com/m\t0.001s\n",
    "go, cached": "ok  \texample.com/m\t(cached)\nok  \texample.com/n\t(cached) [no tests to run]\n",
    "go, verbose": "=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n",
    "cargo": "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed;\n\nrunning 0 tests\n\n"
    "test result: ok. 0 passed; 0 failed;\n",
    "tap": "TAP version 13\nok 1 - it works\n1..1\n",
    "rspec": "3 examples, 0 failures\n",
    "something unknown": "everything is fine\n",
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_test_run_is_recognised(name: str) -> None:
    assert empty_test_run(EMPTY[name])


@pytest.mark.parametrize("name", RAN)
def test_a_test_run_is_not_taken_for_an_empty_one(name: str) -> None:
    assert empty_test_run(RAN[name]) == ""


@pytest.mark.parametrize(
    ("output", "last"),
    [
        ("....F\n=== 1 failed, 4 passed in 0.1s ===\n", "1 failed, 4 passed in 0.1s"),
        ("Ran 3 tests in 0.1s\n\nFAILED (failures=1)\n\n", "FAILED (failures=1)"),
        ("", ""),
        ("x" * 500, "x" * 120 + "…"),
    ],
)
def test_the_last_line_says_what_is_wrong(output: str, last: str) -> None:
    assert last_line(output) == last


def test_short_output_is_kept_whole() -> None:
    assert excerpt("\x1b[31mone\x1b[0m\r\ntwo\n\n") == "one\ntwo"


def test_a_progress_bar_is_reduced_to_what_it_ended_with() -> None:
    assert excerpt("10 %\r50 %\r100 %\ndone\n") == "100 %\ndone"


def test_an_error_in_the_middle_and_the_summary_at_the_end_are_found() -> None:
    lines = [f"passing line {number}" for number in range(3000)]
    lines[1500] = "src/parse.py:12: error: Name 'x' is not defined"
    lines[2999] = "Found 1 error in 1 file"
    shown = excerpt("\n".join(lines))
    assert lines[1500] in shown
    assert lines[1498] in shown
    assert lines[2999] in shown
    assert "… 1490 lines left out …" in shown or "lines left out" in shown.splitlines()[0]


def test_without_errors_it_is_the_tail() -> None:
    shown = excerpt("\n".join(f"line {number}" for number in range(500)))
    assert shown.splitlines()[0].endswith("lines left out …")
    assert shown.splitlines()[-1] == "line 499"
    assert len(shown.splitlines()) == MAX_LINES


def test_a_cut_line_says_so() -> None:
    shown = excerpt("error: " + "x" * 10_000)
    assert shown.endswith(f"… [{10_007 - LINE_CHARS} more characters]")


LINES = st.one_of(
    st.text(max_size=200),
    st.sampled_from(["E   assert 1 == 2", "a.py:3: error", "FAILED tests/a.py::b", "", "x" * 5000, "Traceback"]),
)


@given(st.lists(LINES, max_size=300))
@settings(max_examples=80, deadline=None)
def test_an_excerpt_is_bounded_whole_lines_in_their_order(lines: list[str]) -> None:
    shown = excerpt("\n".join(lines))
    assert len(shown) <= MAX_CHARS
    assert shown.count("\n") < MAX_LINES
    if any(line.strip() for line in lines) and len("\n".join(lines)) > 10 and not shown:
        assert not "".join(lines).strip() or all(not excerpt(line) for line in lines)


@given(st.lists(st.sampled_from([f"line {number}" for number in range(50)] + ["error: x"]), max_size=300))
@settings(max_examples=80, deadline=None)
def test_what_an_excerpt_shows_is_a_subsequence_with_marked_gaps(lines: list[str]) -> None:
    original = "\n".join(lines).strip("\n").split("\n")
    position = 0
    for line in excerpt("\n".join(lines)).split("\n"):
        if line.startswith("…"):
            position += int(line.split()[1])
        else:
            assert line == original[position]
            position += 1
    assert position == len(original)


def verdict_of(findings: list[Finding]) -> Verdict:
    return Verdict("run", "c" * 40, "b" * 40, "t" * 40, False, (), tuple(findings), 1.23456)


def test_a_summary_has_what_the_tracker_shows() -> None:
    found = summary(verdict_of([Finding("unit", "exit code 1", "a.py:1: error"), Finding("lint", "exit code 2")]))
    assert found == {
        "passed": False,
        "reason": "unit: exit code 1; lint: exit code 2",
        "findings": [
            {"check": "unit", "reason": "exit code 1", "excerpt": "a.py:1: error"},
            {"check": "lint", "reason": "exit code 2", "excerpt": ""},
        ],
        "notes": [],
        "run": "run",
        "tree": "t" * 40,
        "seconds": 1.235,
        "sandbox": "",
    }


@given(st.lists(st.builds(Finding, st.text(max_size=64), st.text(max_size=2000), st.text(max_size=4000)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_summary_is_bounded_whatever_the_findings_hold(findings: list[Finding]) -> None:
    found = summary(verdict_of(findings))
    assert len(json.dumps(found)) <= SUMMARY_BYTES
    assert "\n" not in found["reason"]
    assert len(found["findings"]) == min(len(findings), 40)


def test_a_summary_of_many_long_findings_shortens_excerpts_and_keeps_reasons() -> None:
    excerpts = "\n".join(f"file.py:{number}: error: something" for number in range(120))
    found = summary(verdict_of([Finding(f"check{number}", "exit code 1", excerpts) for number in range(5)]))
    for finding in found["findings"]:
        assert finding["reason"] == "exit code 1"
        assert finding["excerpt"].startswith("file.py:0: error")
        assert finding["excerpt"].splitlines()[-1].endswith("more lines")


def test_a_verdict_says_that_all_passed() -> None:
    result = CheckResult("unit", "test", True, "", 0, 0.1, "", "")
    assert Verdict("r", "c", "b", "t", True, (result,), (), 1.0).reason == "1 check passed"
