"""What is remembered of failures and changes: signatures, similarity, notes."""

import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.floor.memory.deadends import gist_lines, in_common, round_lines
from tapeout.floor.memory.model import MOST_ROUNDS, Patch, Round, Signature, as_note, from_note
from tapeout.floor.memory.normal import MESSAGE_CHARS, normal
from tapeout.floor.memory.patches import SKETCH, FileChange, patch_of, similarity
from tapeout.floor.memory.signatures import count_in, failures_of, signature
from tapeout.floor.memory.solutions import Solution
from tapeout.floor.memory.splitting import issue_file, split
from tapeout.floor.policy import SPIRAL
from tapeout.floor.report import give_up_report
from tapeout.gate.reports.model import Diagnostic, Report, TestCase
from tapeout.tracker.drafts import parse_drafts
from tests.floor.test_decisions import attempt, issue

NUMBERS = st.integers(0, 10**9).map(str)


@given(NUMBERS, NUMBERS, st.sampled_from(["ms", " s", "s", ""]))
def test_a_failure_is_the_same_with_other_numbers_times_addresses_and_folders(one: str, other: str, unit: str) -> None:
    def said(number: str) -> str:
        return (
            f'/tmp/work-{number}/src/app.py:{number}: got "{number}{unit}" at 0x{int(number):x} after {number}.5{unit},'
            f" see tmp{number}ab"
        )

    assert normal(said(one)) == normal(said(other))
    assert normal(said(one)) == normal(said(one).replace('"', "'"))


@given(st.text(max_size=300))
def test_the_normal_form_is_one_bounded_line_and_its_own_normal_form(text: str) -> None:
    form = normal(text)
    assert normal(form) == form
    assert len(form) <= MESSAGE_CHARS
    assert form.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no module named 'a'", "no module named 'b'"),
        ("expected str, got int", "expected int, got str"),
        ("in src/a.py: bad", "in src/b.py: bad"),
        ("/x/y/a.py is bad", "/x/y/b.py is bad"),
        ("v1 is not supported", "v2 is not supported"),
        ("sha1 differs", "sha256 differs"),
    ],
)
def test_different_failures_differ(one: str, other: str) -> None:
    assert normal(one) != normal(other)
    assert signature("tests", "t", "E", one).id != signature("tests", "t", "E", other).id


PYTEST = """
________________________________ test_{name} ________________________________
tests/test_a.py:{line}: AssertionError
E   AssertionError: assert {value} == 4
FAILED tests/test_a.py::test_{name} - AssertionError: assert {value} == 4
========================= 1 failed, 3 passed in {time}s =========================
"""


@given(st.integers(0, 9999), st.integers(0, 9999), st.floats(0, 100, allow_nan=False).map("{:.2f}".format))
def test_the_same_test_failing_with_other_values_has_the_same_signature(line: int, value: int, time: str) -> None:
    def failed(name: str, line: int, value: int, time: str) -> list[str]:
        text = PYTEST.format(name=name, line=line, value=value, time=time)
        found = failures_of([("tests", f"exit code 1: 1 failed, 3 passed in {time}s", text)], {})
        assert found.failing == 1
        return [one.id for one in found.signatures]

    assert failed("x", line, value, time) == failed("x", 1, 2, "0.10")
    assert failed("x", line, value, time) != failed("y", line, value, time)


@pytest.mark.parametrize(
    ("output", "named"),
    [
        ("FAILED t/a.py::test_x[2] - ValueError: no", "t/a.py::test_x[2]: ValueError: no"),
        ("FAIL: test_x (m.Case)\nKeyError: 'a'", "test_x (m.Case): KeyError: 'a'"),
        ("--- FAIL: TestX (0.00s)", "TestX"),
        ("test parse::x ... FAILED", "parse::x"),
        ("not ok 3 - parses", "parses"),
        ("  \u25cf Suite \u203a works", "Suite \u203a works"),
        ("a.py:1:2: F401 `os` unused", "a.py: F401: 'os' unused"),
        ("src/b.ts(3,5): error TS2322: no", "src/b.ts: error: TS2322: no"),
        ("x.c:3:5: error: undeclared y", "x.c: error: undeclared y"),
        ("Traceback:\n  File\nModuleNotFoundError: No module named 'q'", "ModuleNotFoundError: No module named 'q'"),
        ("thread 'main' panicked at src/a.rs:3:5", "panic: thread 'main' panicked at src/a.rs:<#>"),
        ("nothing that we know", "exit status"),
    ],
)
def test_what_the_usual_tools_name_is_in_the_signature(output: str, named: str) -> None:
    first, *_ = sorted(failures_of([("c", "exit code 1: exit status", output)], {}).signatures, key=lambda s: s.line)
    assert first.line == f"c: {named}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2 failed, 1 error, 4 passed in 0.1s", 3),
        ("FAILED (failures=2, errors=1)", 3),
        ("3 of 12 tests failed: a, b, c", 3),
        ("Found 5 errors.", 5),
        ("test result: FAILED. 1 passed; 2 failed; 0 ignored", 2),
        ("1 new finding", 1),
        ("not ok 1 - a\nnot ok 2 - b", 2),
        ("broken", None),
    ],
)
def test_failures_are_counted_where_a_tool_says_how_many(text: str, count: int | None) -> None:
    assert count_in(text) == count


def test_a_report_counts_for_more_than_the_output() -> None:
    cases = (TestCase("s", "a", "failed", 0.1, message="ValueError: 1"), TestCase("s", "b", "passed", 0.1))
    linted = (Diagnostic("F401", "error", "a.py", 1, 1, "unused"), Diagnostic("E1", "note", "a.py", 1, 1, "hm"))
    found = failures_of(
        [("tests", "exit code 1", "9 failed"), ("lint", "exit code 1", "9 errors")],
        {"tests": Report(cases=cases, ran=2), "lint": Report(diagnostics=linted)},
    )
    assert [one.line for one in found.signatures] == ["lint: a.py: F401: unused", "tests: s::a: ValueError: <#>"]
    assert found.failing == 2


LINES = st.lists(st.text("abcxyz ()=+", max_size=12), max_size=8)


@given(LINES, LINES)
def test_a_change_is_the_same_however_it_is_indented_and_wherever_it_is(removed: list[str], added: list[str]) -> None:
    one = patch_of([FileChange("a.py", removed, added)])
    other = patch_of([FileChange("a.py", [f"    {line}" for line in removed], [f"\t{line}  " for line in added])])
    assert (one is None) == (not removed and not added)
    if one is not None and other is not None:
        assert one.id == other.id
        assert similarity(one, other) == 1.0
        elsewhere = patch_of([FileChange("b.py", removed, added)])
        assert elsewhere is not None
        assert elsewhere.id != one.id


@given(st.sets(st.integers(0, 400), min_size=1), st.sets(st.integers(0, 400), min_size=1))
def test_similarity_is_exact_for_small_changes_and_close_for_large_ones(one: set[int], other: set[int]) -> None:
    def change(names: set[int]) -> Patch:
        found = patch_of([FileChange("a", [], [f"name_{number}" for number in names])])
        assert found is not None
        return found

    exact = len(one & other) / len(one | other)
    found = similarity(change(one), change(other))
    assert found == pytest.approx(similarity(change(other), change(one)))
    assert found == pytest.approx(exact, abs=0.0 if len(one | other) <= SKETCH else 0.3)


def variations(*fixes: str) -> list[Patch]:
    found = [patch_of([FileChange("a.py", ["    return a - b"], [f"    return {fix}"])]) for fix in fixes]
    return [one for one in found if one is not None]


def test_the_gist_is_bounded_printable_and_shows_several_files() -> None:
    files = [FileChange(f"f{n}", ["x" * 500], ["\x1b[31mred", *["y"] * 50]) for n in range(5)]
    found = patch_of(files)
    assert found is not None
    assert len(found.gist) <= 10
    assert all(line.isprintable() and len(line) <= 120 for line in found.gist)
    assert found.added == 5 * 51


def a_round(**fields: object) -> Round:
    values = {"attempt": 1, "agent": "codex", "number": 1, "commit": "c" * 40, "tree": "t" * 40, "patch": None}
    values |= {"passed": False, "reason": "tests: 1 failed", **fields}
    return Round(**values)  # type: ignore[arg-type]


@given(st.integers(0, 40), st.lists(st.text(max_size=20), max_size=3))
def test_a_note_gives_back_the_first_and_the_newest_rounds(count: int, messages: Sequence[str]) -> None:
    patch = variations("a + b")[0]
    failures = tuple(signature("tests", "t", "E", message) for message in messages)
    rounds = [a_round(number=number, patch=patch, signatures=failures) for number in range(1, count + 1)]
    note = json.loads(json.dumps(as_note(rounds)))
    found = from_note(note)
    assert len(found) == min(count, MOST_ROUNDS)
    assert set(found) <= set(rounds)
    assert not rounds or (found[0], found[-1]) == (rounds[0], rounds[-1])
    assert note["count"] == count
    assert len(json.dumps(note)) < 40_000


@pytest.mark.parametrize("note", [{}, {"rounds": 1}, {"rounds": [1, {}, {"patch": 3, "signatures": [4]}]}])
def test_a_note_of_another_version_is_no_error(note: dict[str, object]) -> None:
    assert from_note(note) == ()


def test_a_signature_is_shown_in_one_line() -> None:
    assert Signature("0" * 16, "lint", "", "", "").line == "lint"
    assert re.fullmatch("[0-9a-f]{16}", signature("a", "b", "c", "d").id)


def tried(number: int, fix: str, *failures: Signature, failing: int | None = None, attempt: int = 1) -> Round:
    return a_round(
        number=number, attempt=attempt, patch=variations(fix)[0], signatures=failures, failing=failing, reason="no"
    )


LINT = signature("lint", "a.py", "F401", "unused")
TESTS = signature("tests", "t.py::test_x", "ValueError", "bad")


def test_a_fresh_session_is_told_what_was_tried_how_it_failed_and_how_often() -> None:
    rounds = [tried(1, "a + b", TESTS), tried(2, "b + a", TESTS, LINT), tried(1, "x(y)", TESTS, attempt=2)]
    assert round_lines(1, rounds) == [
        "- Prompt 1 changed «a.py» (+1 -1 lines); failed: «tests: t.py::test_x: ValueError: bad».",
        "- Prompt 2 changed «a.py» (+1 -1 lines), nearly as prompt 1 did; failed: «tests: t.py::test_x: ValueError:"
        " bad»; «lint: a.py: F401: unused».",
    ]
    (again,) = round_lines(2, rounds)
    assert "nearly as prompt 1 of attempt 1 did" in again
    assert in_common(rounds) == ["- 3 times: «tests: t.py::test_x: ValueError: bad»"]
    assert gist_lines(1, rounds) == "prompt 1:\n-    return a - b\n+    return a + b"


@pytest.mark.parametrize("failures", [[TESTS], [TESTS, LINT], [signature("tests", f"{n}.py::t", "", "") for n in "ab"]])
def test_a_proposed_split_can_be_filed_as_it_is(failures: list[Signature]) -> None:
    parent = issue("abc", title='Say "no": #1 & more\n', labels=("x",))
    parts = split(parent, [tried(1, "a + b", *failures), tried(2, "b", *failures, LINT)])
    assert len(parts) == 2
    drafts = parse_drafts(issue_file(parent, parts, ["a.py"]), "report")
    assert [one.title for one in drafts] == [one.title for one in parts]
    assert all(one.parent == "abc" and tuple(one.scope) == ("a.py",) for one in drafts)
    assert bool(drafts[1].depends_on) == (failures == [TESTS])
    assert split(parent, [a_round()]) == []


def test_the_report_shows_the_evidence_and_proposes_what_to_do() -> None:
    rounds = [tried(number, "a + b", TESTS, failing=4) for number in (1, 2, 3)]
    ended = attempt(outcome="failed", detail=f"{SPIRAL}3 variations of one fix", head="d" * 40)
    solution = Solution(LINT, "xyz", "Other", "e" * 40, ("b.py",), ())
    text = give_up_report(issue("abc"), "1 session failed", [ended], {}, rounds, [solution])
    for part in (
        "3 variations of one fix", "3 of 3 rounds: tests: t.py::test_x", "round by round: 4, 4, 4",
        "xyz (Other) landed as `eeeeeeeeeeee`", "another agent than codex", "issue new --file", "parent: abc",
    ):  # fmt: skip
        assert part in text
