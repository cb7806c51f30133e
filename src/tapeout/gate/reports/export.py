"""Writing what a gate run found as SARIF 2.1.0 and as JUnit XML, for other tools. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from tapeout import __version__
from tapeout.gate.reports.model import Diagnostic, Report, TestCase

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "tapeout/v1"

_NOT_XML = re.compile("[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML allows some control characters, and a terminal obeys them."""


@dataclass(frozen=True)
class ReportedCheck:
    """One check of a run, as it is exported."""

    FACTS: ClassVar = ("name", "kind", "passed", "reason", "exit_code", "seconds", "version", "skipped", "blocking")

    name: str
    kind: str
    passed: bool
    reason: str
    exit_code: int | None
    seconds: float
    version: str
    skipped: str
    blocking: bool
    report: Report


@dataclass(frozen=True)
class Exported:
    """One run of the gate, as it is exported."""

    run: str
    commit: str
    checks: tuple[ReportedCheck, ...]
    gate: tuple[tuple[str, str], ...]
    """What the gate itself objects to: its name for it, and the reason."""


def to_sarif(run: Exported) -> dict[str, Any]:
    """A SARIF log with one run a check, and one for what the gate itself found."""
    runs = [_sarif_run(check, run.commit) for check in run.checks]
    own = [_result(Diagnostic(rule, "error", "", 0, 0, reason)) for rule, reason in run.gate]
    driver = {"name": "tapeout", "version": __version__, "rules": [{"id": rule} for rule in dict(run.gate)]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [*runs, {"tool": {"driver": driver}, "results": own}]}


def _sarif_run(check: ReportedCheck, commit: str) -> dict[str, Any]:
    found = list(check.report.diagnostics)
    if not check.passed and not found:
        found = [Diagnostic(check.name, "error" if check.blocking else "warning", "", 0, 0, check.reason)]
    driver: dict[str, Any] = {
        "name": check.name,
        "rules": [{"id": rule} for rule in dict.fromkeys(one.rule for one in found if one.rule)],
    }
    if check.version:
        driver["version"] = check.version
    invocation: dict[str, Any] = {"executionSuccessful": check.exit_code is not None or bool(check.skipped)}
    if check.exit_code is not None and check.exit_code >= 0:
        invocation["exitCode"] = check.exit_code
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"tapeout/{check.name}/{commit}"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(one) for one in found],
    }


def _result(found: Diagnostic) -> dict[str, Any]:
    result: dict[str, Any] = {"level": found.level, "message": {"text": found.message or found.rule or "no message"}}
    if found.rule:
        result["ruleId"] = found.rule
    if found.fingerprint:
        result["partialFingerprints"] = {FINGERPRINT: found.fingerprint}
    if found.path:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(found.path)}}
        if found.line:
            place["region"] = {"startLine": found.line, **({"startColumn": found.column} if found.column else {})}
        result["locations"] = [{"physicalLocation": place}]
    return result


def to_junit(run: Exported) -> str:
    """A JUnit report with one suite a check; a check without tests of its own is one test."""
    suites = [_suite(check) for check in run.checks]
    if run.gate:
        own = Report(cases=tuple(TestCase("tapeout", name, "failed", 0.0, "", reason) for name, reason in run.gate))
        suites.append(_suite(ReportedCheck("tapeout", "custom", False, "", None, 0.0, "", "", True, own)))
    name = _attribute(f"tapeout gate run {run.run}")
    body = "\n".join(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name={name}>\n{body}\n</testsuites>\n'


def _suite(check: ReportedCheck) -> str:
    cases = list(_cases(check))
    numbers = {
        "tests": len(cases),
        "failures": sum(case.outcome == "failed" for case in cases),
        "errors": 0,
        "skipped": sum(case.outcome == "skipped" for case in cases),
    }
    head = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    lines = [f'  <testsuite name={_attribute(check.name)} {head} time="{check.seconds:.3f}">', *map(_case, cases)]
    return "\n".join([*lines, "  </testsuite>"])


def _cases(check: ReportedCheck) -> Iterator[TestCase]:
    """The tests of a check; one for the check itself if they do not tell why it failed."""
    yield from check.report.cases
    if not check.report.cases or (not check.passed and not check.report.failed_tests):
        outcome = "skipped" if check.skipped else "passed" if check.passed else "failed"
        said = "\n".join([check.reason, *(_line(one) for one in check.report.diagnostics)])
        yield TestCase(check.kind, check.name, outcome, check.seconds, "", said)  # type: ignore[arg-type]


def _line(found: Diagnostic) -> str:
    return f"{found.path}:{found.line}:{found.column}: {found.level}: {found.message} [{found.rule}]"


def _case(case: TestCase) -> str:
    file = f" file={_attribute(case.path)}" if case.path else ""
    head = f'<testcase classname={_attribute(case.suite)} name={_attribute(case.name)}{file} time="{case.seconds:.3f}"'
    if case.outcome == "passed":
        return f"    {head}/>"
    first = case.message.partition("\n")[0]
    if case.outcome == "skipped":
        return f"    {head}><skipped message={_attribute(first)}/></testcase>"
    return f"    {head}><failure message={_attribute(first)}>{escape(_xml(case.message))}</failure></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(_xml(text), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def _xml(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return _NOT_XML.sub("\ufffd", text)
