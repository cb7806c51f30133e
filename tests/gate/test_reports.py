"""What tools report, read: real formats, and everything that must not be believed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.gate.reports import Diagnostic, Report, Unreadable
from tapeout.gate.reports.fingerprint import counts, fingerprinted, new_findings
from tapeout.gate.reports.junit import read_junit
from tapeout.gate.reports.lines import read_lines
from tapeout.gate.reports.paths import repository_path
from tapeout.gate.reports.sarif import read_sarif
from tapeout.gate.reports.shims import read_cargo, read_eslint, read_go_test
from tapeout.gate.reports.show import listing, one_line

ROOT = "/run/code"


def sarif(*results: dict[str, Any], **run: Any) -> str:
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": results, **run}]})


def result(**more: Any) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": "src/a.py"}, "region": {"startLine": 3, "startColumn": 7}}
    return {
        "ruleId": "R1",
        "level": "error",
        "message": {"text": "bad"},
        "locations": [{"physicalLocation": place}],
    } | more


FOUND = Diagnostic("R1", "error", "src/a.py", 3, 7, "bad")


def test_a_result_of_sarif_is_a_diagnostic() -> None:
    assert read_sarif(sarif(result()), ROOT) == Report((FOUND,))
    assert read_sarif(sarif(), ROOT) == Report()


RULES = [{"id": "R1", "defaultConfiguration": {"level": "note"}}, {"id": "R2"}]


@pytest.mark.parametrize(
    ("more", "levels"),
    [
        ({"level": "warning"}, ["warning"]),
        ({"level": "none"}, []),
        ({"level": "blocker"}, ["warning"]),
        ({"kind": "pass"}, []),
        ({"suppressions": [{"kind": "inSource"}]}, []),
        ({"suppressions": [{"kind": "inSource", "status": "rejected"}]}, ["error"]),
        ({"level": None}, ["note"]),
        ({"level": None, "ruleId": None, "ruleIndex": 1}, ["warning"]),
        ({"baselineState": "unchanged"}, ["error"]),
    ],
)
def test_the_level_of_a_result(more: dict[str, Any], levels: list[str]) -> None:
    run = {"tool": {"driver": {"name": "t", "rules": RULES}}}
    assert [one.level for one in read_sarif(sarif(result(**more), **run), ROOT).diagnostics] == levels


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("src/a.py", "src/a.py"),
        ("./src/a.py", "src/a.py"),
        ("/run/code/src/a.py", "src/a.py"),
        ("file:///run/code/src/a%20b.py", "src/a b.py"),
        ("/elsewhere/a.py", "/elsewhere/a.py"),
        ("", ""),
    ],
)
def test_files_are_named_as_the_repository_does(name: str, path: str) -> None:
    assert repository_path(name, ROOT) == path


def test_a_report_between_other_output_is_found() -> None:
    assert read_sarif(f"warning: slow\n[info] begin\n{sarif(result())}\n[info] done\n", ROOT).diagnostics == (FOUND,)


NO_SARIF = {
    "": "empty",
    "{}": "no SARIF",
    "[]": "no SARIF",
    "nothing to see": "no JSON",
    sarif()[:-3]: "cut off",
    '{"version": "2.1.0"}': "no run",
    '{"version": "2.1.0", "runs": []}': "no run",
    '{"version": "2.1.0", "runs": [3]}': "a run of it is no object",
    '{"version": "2.1.0", "runs": [{"results": []}]}': "without a tool",
    '{"version": "2.1.0", "runs": [{"tool": {"driver": {}}}]}': "without results",
    '{"version": "2.1.0", "runs": [{"tool": {"driver": {}}, "results": null}]}': "without results",
    sarif(invocations=[{"executionSuccessful": False}]): "did not finish",
    f"{sarif()}\n{sarif(result())}": "more than one",
    f"{sarif(result())}\n[]\n": "more than one",
    "[" * 100_000: "cut off",
    "{" * 100_000: "cut off",
}


@pytest.mark.parametrize("text", NO_SARIF, ids=range(len(NO_SARIF)))
def test_what_is_no_sarif_is_not_believed(text: str) -> None:
    with pytest.raises(Unreadable, match=NO_SARIF[text]):
        read_sarif(text, ROOT)


JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="4">
<testcase classname="tests.test_a.TestX" name="test_ok" time="0.5" />
<testcase classname="tests.test_a" name="test_bad" time="1,000.25"><failure message="assert 1 == 2">def test_bad():
&gt;       helper()

tests/test_a.py:7:
_ _ _
src/app.py:12: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_skipped"><skipped message="no"/></testcase>
<testcase classname="x" name="by_file" file="tests/test_b.py" line="9"><error>boom</error></testcase>
</testsuite></testsuites>
"""


def test_tests_of_junit() -> None:
    found = read_junit(JUNIT, ROOT)
    assert [(case.id, case.outcome, case.path) for case in found.cases] == [
        ("tests.test_a.TestX::test_ok", "passed", ""),
        ("tests.test_a::test_bad", "failed", "tests/test_a.py"),
        ("tests.test_a::test_skipped", "skipped", ""),
        ("x::by_file", "failed", "tests/test_b.py"),
    ]
    assert found.cases[1].seconds == 1000.25
    assert found.ran == 3
    assert [one_line(one) for one in found.diagnostics] == [
        "tests/test_a.py:7: error: assert 1 == 2 [tests.test_a::test_bad]",
        "tests/test_b.py:9: error: boom [x::by_file]",
    ]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
NO_JUNIT = {
    "": "empty",
    "Ran 3 tests": "no XML",
    JUNIT[:-20]: "cut off",
    "<html/>": "no JUnit",
    BOMB: "document type",
    '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>': "document type",
    "<testsuite>" * 200: "nested too deep",
    '<testsuite tests="12"/>': "speaks of 12 tests and has none",
    "<testsuite><testcase name='\x1b'/></testsuite>": "no XML",
}


@pytest.mark.parametrize("text", NO_JUNIT, ids=range(len(NO_JUNIT)))
def test_what_is_no_junit_is_not_believed(text: str) -> None:
    with pytest.raises(Unreadable, match=NO_JUNIT[text]):
        read_junit(text, ROOT)


LINES = {
    'src/a.py:3: error: Name "x" is not defined  [name-defined]':
        ("src/a.py", 3, 0, "error", "name-defined", 'Name "x" is not defined'),
    "src/a.py:3:7: note: See the docs": ("src/a.py", 3, 7, "note", "", "See the docs"),
    "src/a.py:1:8: F401 [*] `os` imported but unused": ("src/a.py", 1, 8, "error", "F401", "`os` imported but unused"),
    "a.py:1:80: E501 line too long": ("a.py", 1, 80, "error", "E501", "line too long"),
    "src/app.ts(12,5): error TS2322: Type 'string' is wrong.":
        ("src/app.ts", 12, 5, "error", "TS2322", "Type 'string' is wrong."),
    "main.c:4:9: warning: unused variable 'x' [-Wunused-variable]":
        ("main.c", 4, 9, "warning", "-Wunused-variable", "unused variable 'x'"),
    "main.c:4:9: fatal error: no.h: No such file or directory":
        ("main.c", 4, 9, "error", "", "no.h: No such file or directory"),
    "./main.go:7:2: undefined: y": ("main.go", 7, 2, "error", "", "undefined: y"),
    "/run/code/lib/x.rb:2: warning: late": ("lib/x.rb", 2, 0, "warning", "", "late"),
    "\x1b[1msrc/a.py\x1b[0m:5: error: red": ("src/a.py", 5, 0, "error", "", "red"),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_of_well_known_tools(line: str) -> None:
    (found,) = read_lines(f"begin\n{line}\nFound 1 error in 1 file (checked 3 source files)\n", ROOT).diagnostics
    assert (found.path, found.line, found.column, found.level, found.rule, found.message) == LINES[line]


@pytest.mark.parametrize(
    "line", ["All good: 3", "12:30:01 started", "# example.com/m", "see a.py:3", "x" * 10_000, "(:1: x"]
)
def test_other_lines_are_no_findings(line: str) -> None:
    assert read_lines(line, ROOT).diagnostics == ()


ESLINT = [
    {"filePath": "/run/code/src/a.js", "messages": [
        {"ruleId": "no-undef", "severity": 2, "message": "'x' is not defined.", "line": 2, "column": 3},
        {"ruleId": "semi", "severity": 1, "message": "Missing semicolon.", "line": 4, "column": 9},
        {"ruleId": None, "severity": 1, "fatal": True, "message": "Parsing error"}]},
    {"filePath": "/run/code/src/b.js", "messages": []},
]  # fmt: skip


def test_eslint() -> None:
    found = read_eslint(json.dumps(ESLINT), ROOT).diagnostics
    assert [(one.path, one.line, one.level, one.rule) for one in found] == [
        ("src/a.js", 2, "error", "no-undef"),
        ("src/a.js", 4, "warning", "semi"),
        ("src/a.js", 0, "error", ""),
    ]
    with pytest.raises(Unreadable, match="eslint -f json"):
        read_eslint('{"a": 1}', ROOT)


CARGO = [
    {"reason": "compiler-artifact"},
    {"reason": "compiler-message", "message": {
        "level": "warning", "message": "unused variable: `x`", "code": {"code": "unused_variables"},
        "spans": [{"file_name": "src/main.rs", "line_start": 2, "column_start": 9, "is_primary": True}]}},
    {"reason": "compiler-message", "message": {"level": "error", "message": "aborting", "code": None, "spans": []}},
    {"reason": "build-finished", "success": False},
]  # fmt: skip


def test_cargo() -> None:
    text = "   Compiling x v0.1.0\n" + "\n".join(map(json.dumps, CARGO))
    (found,) = read_cargo(text, ROOT).diagnostics
    assert one_line(found) == "src/main.rs:2:9: warning: unused variable: `x` [unused_variables]"
    with pytest.raises(Unreadable, match="build finished"):
        read_cargo("\n".join(map(json.dumps, CARGO[:-1])), ROOT)


GO = [
    {"Action": "start", "Package": "m"},
    {"Action": "run", "Package": "m", "Test": "TestOk"},
    {"Action": "pass", "Package": "m", "Test": "TestOk", "Elapsed": 0.1},
    {"Action": "run", "Package": "m", "Test": "TestBad"},
    {"Action": "output", "Package": "m", "Test": "TestBad", "Output": "    m_test.go:9: got 1\n"},
    {"Action": "fail", "Package": "m", "Test": "TestBad", "Elapsed": 0},
    {"Action": "fail", "Package": "m", "Elapsed": 0.2},
]


def test_go_test() -> None:
    found = read_go_test("\n".join(map(json.dumps, GO)), ROOT)
    assert [case.outcome for case in found.cases] == ["passed", "failed"]
    assert [one_line(one) for one in found.diagnostics] == ["m_test.go:9: error: m_test.go:9: got 1 [m::TestBad]"]
    with pytest.raises(Unreadable, match="m began and did not end"):
        read_go_test("\n".join(map(json.dumps, GO[:-1])), ROOT)
    with pytest.raises(Unreadable, match="cut off"):
        read_go_test('{"Action": "st', ROOT)


READERS = (read_sarif, read_junit, read_lines, read_eslint, read_cargo, read_go_test)
KEYS = re.findall(
    r"\w+",
    "version runs tool driver rules results level kind message text locations physicalLocation region uri reason spans"
    " code messages filePath Action Test Package Output suppressions ruleIndex artifactLocation rule invocations",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


def sarif_of(value: Any) -> str:
    return sarif(value, value)


@given(st.text(max_size=300) | JSON.map(json.dumps) | JSON.map(sarif_of))
@settings(max_examples=300, deadline=None)
def test_whatever_a_check_prints_is_a_report_or_unreadable(text: str) -> None:
    for read in READERS:
        try:
            found = read(text, ROOT)
        except Unreadable as error:
            assert error.reason  # noqa: PT017
        else:
            for one in found.diagnostics:
                assert one.level in {"error", "warning", "note"}
                assert one_line(one).isprintable()


def test_what_is_shown_has_no_control_characters_and_is_bounded() -> None:
    hostile = Diagnostic("r" * 500, "error", "a\x1b[31m.py", 1, 1, "x" * 5_000)
    assert one_line(hostile).isprintable()
    assert len(one_line(hostile)) < 700
    shown = listing([FOUND] * 100)
    assert shown.count("\n") == 40
    assert shown.endswith("and 60 more")


# Fingerprints

SOURCE = ["import os", "x = 1", "y = 2", "z = 3", "x = 1"]
FINDINGS = st.lists(
    st.builds(
        Diagnostic, st.sampled_from(["R1", "R2"]), st.just("error"), st.sampled_from(["a.py", "b.py"]),
        st.integers(1, len(SOURCE)), st.just(0), st.sampled_from(["bad", "worse, see line 3"]),
    ),
    max_size=12,
)  # fmt: skip


def lines_of(sides: dict[str, list[str]]) -> Any:
    return lambda path: sides.get(path, [])


@given(FINDINGS, FINDINGS, st.lists(st.sampled_from(["# moved", "", "    "]), max_size=4))
def test_moved_lines_are_old_and_exactly_what_is_more_is_new(
    old: list[Diagnostic], more: list[Diagnostic], above: list[str]
) -> None:
    before = {"a.py": SOURCE, "b.py": SOURCE}
    after = dict.fromkeys(before, above + SOURCE)
    shift = [Diagnostic(one.rule, one.level, one.path, one.line + len(above), 0, one.message) for one in old + more]
    base = counts(fingerprinted(old, lines_of(before)))
    candidate = fingerprinted(shift, lines_of(after))
    new = new_findings(candidate, base, lines_of(after), {})
    assert sorted(one.fingerprint for one in new) == sorted(
        one.fingerprint for one in fingerprinted(more, lines_of(before))
    )


def test_findings_of_a_file_that_moved_are_old() -> None:
    old = fingerprinted([FOUND], lines_of({"src/a.py": SOURCE}))
    moved = fingerprinted([Diagnostic("R1", "error", "src/b.py", 3, 7, "bad")], lines_of({"src/b.py": SOURCE}))
    lines = lines_of({"src/b.py": SOURCE})
    assert new_findings(moved, counts(old), lines, {"src/b.py": "src/a.py"}) == ()
    assert new_findings(moved, counts(old), lines, {}) == moved


def test_a_report_with_as_many_rules_as_results_is_read_in_one_go() -> None:
    """Looked up one by one, a report that still fits would keep the gate busy for hours."""
    count = 20_000
    rules = [{"id": f"r{number}", "defaultConfiguration": {"level": "note"}} for number in range(count)]
    results = [{"ruleId": f"r{count - 1 - number}", "message": {"text": "m"}} for number in range(count)]
    run = {"tool": {"driver": {"name": "x", "rules": rules}}, "results": results}
    report = read_sarif(json.dumps({"version": "2.1.0", "runs": [run]}), "/r")
    assert {one.level for one in report.diagnostics} == {"note"}


def test_nothing_but_openings_is_given_up_soon() -> None:
    with pytest.raises(Unreadable):
        read_sarif("[\n" * 1_000_000, "/r")
