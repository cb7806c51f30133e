"""SARIF and JUnit that other tools can read, whatever was found."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tapeout.gate import run_gate_here
from tapeout.gate.reportfile import load_reports
from tapeout.gate.reports import Diagnostic, Report, TestCase
from tapeout.gate.reports.export import Exported, ReportedCheck, to_junit, to_sarif
from tapeout.gate.reports.junit import read_junit
from tapeout.gate.reports.sarif import read_sarif
from tests.gate.conftest import MakeSite

TEXT = {"type": "string", "minLength": 1}
URI = {"type": "string", "pattern": r"^[^\s\\]+$"}
COUNT = {"type": "integer", "minimum": 1}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": TEXT,
                                    "version": TEXT,
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {"type": "object", "required": ["id"], "properties": {"id": TEXT}},
                                    },
                                },
                            }
                        },
                    },
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {"executionSuccessful": {"type": "boolean"}, "exitCode": {"type": "integer"}},
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "properties": {
                                "message": {"type": "object", "required": ["text"], "properties": {"text": TEXT}},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleId": TEXT,
                                "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "type": "object",
                                                        "properties": {
                                                            "uri": {"type": "string", "pattern": r"^[^\s\\]+$"}
                                                        },
                                                    },
                                                    "region": {
                                                        "type": "object",
                                                        "required": ["startLine"],
                                                        "properties": {"startLine": COUNT, "startColumn": COUNT},
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""The part of the SARIF 2.1.0 schema that says what is required of the properties that we write."""


def assert_valid(log: dict[str, Any]) -> None:
    problems = [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(log)]
    assert problems == []


ANY = st.text(max_size=20)
LINE = ANY.map(lambda text: " ".join(text.split())).filter(str.isprintable)
PATHS = st.from_regex(r"[a-z ß%]{0,9}", fullmatch=True)
CHECKS = st.builds(
    ReportedCheck,
    name=st.from_regex(r"[a-z]{1,8}", fullmatch=True), kind=st.just("lint"), passed=st.booleans(), reason=ANY,
    exit_code=st.none() | st.integers(-9, 255), seconds=st.floats(0, 99), version=ANY, skipped=ANY,
    blocking=st.booleans(),
    report=st.builds(
        Report,
        st.lists(st.builds(
            Diagnostic, LINE, st.sampled_from(["error", "warning", "note"]), PATHS,
            st.integers(0, 99), st.integers(0, 99), LINE, LINE), max_size=3).map(tuple),
        st.lists(st.builds(
            TestCase, ANY, ANY, st.sampled_from(["passed", "failed", "skipped"]), st.floats(0, 9), ANY, ANY,
        ), max_size=3).map(tuple),
    ),
)  # fmt: skip
RUNS = st.builds(
    Exported,
    run=st.just("r"),
    commit=st.just("c" * 40),
    checks=st.lists(CHECKS, max_size=3).map(tuple),
    gate=st.lists(st.tuples(st.sampled_from(["tests-kept", "gate-config"]), ANY), max_size=2).map(tuple),
)


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_whatever_was_found_is_valid_sarif(run: Exported) -> None:
    log = to_sarif(run)
    assert_valid(json.loads(json.dumps(log)))
    for check, exported in zip(run.checks, log["runs"], strict=False):
        if check.exit_code is None and not check.skipped:
            continue  # it did not come to its end, and says so
        read = read_sarif(json.dumps({**log, "runs": [exported]}), "").diagnostics
        if check.report.diagnostics:
            assert [(one.rule, one.level, one.line) for one in read] == [
                (one.rule, one.level, one.line if one.path else 0) for one in check.report.diagnostics
            ]
        else:
            assert len(read) == (not check.passed)


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_whatever_was_found_is_junit(run: Exported) -> None:
    text = to_junit(run)
    read = read_junit(text, "")
    suites = ElementTree.fromstring(text).findall("testsuite")
    assert [suite.get("name") for suite in suites][: len(run.checks)] == [check.name for check in run.checks]
    for check, suite in zip(run.checks, suites, strict=False):
        failures = suite.findall("testcase/failure")
        assert len(failures) == int(suite.get("failures", ""))
        assert len(suite.findall("testcase")) == int(suite.get("tests", ""))
        if not check.passed and not check.skipped:
            assert failures
    assert len(read.cases) == sum(int(suite.get("tests", "")) for suite in suites)


CONFIG = f"""
[[check]]
name = "lint"
kind = "lint"
run = "{sys.executable} -m ruff check --no-cache --isolated --select F --output-format sarif ."
report = "sarif"
version = "{sys.executable} -m ruff --version"

[[check]]
name = "unit"
kind = "test"
run = "{sys.executable} -m pytest -p no:cacheprovider -p no:xdist -p no:timeout -c /dev/null --junitxml=r.xml"
report = "junit"
report_file = "r.xml"
"""


def test_a_run_is_exported_with_the_tests_of_the_run_that_it_reused(make_site: MakeSite) -> None:
    site = make_site(CONFIG, **{"a.py": "import os\n", "test_a.py": "def test_a():\n    pass\n"})
    run_gate_here(site.paths, site.repository)
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.results[1].cached
    found = load_reports(site.paths.evidence, verdict.run)
    assert found is not None
    log = to_sarif(found)
    assert_valid(log)
    driver = log["runs"][0]["tool"]["driver"]
    assert driver["version"].startswith("ruff ")
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == "F401"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 8}
    assert len(result["partialFingerprints"]["tapeout/v1"]) == 16
    assert [case.id for case in read_junit(to_junit(found), "").cases] == ["lint::lint", "test_a::test_a"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": 1, "checks": [{}], "gate": [], "candidate": ""}'])
def test_a_damaged_file_is_no_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reports.json").write_text(content)
    assert load_reports(str(tmp_path), "run") is None
    assert load_reports(str(tmp_path), "../run") is None
    assert load_reports(str(tmp_path), "other") is None
