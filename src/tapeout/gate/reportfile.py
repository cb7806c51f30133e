"""The whole of what a run's checks reported, in a file beside their logs: the verdict itself holds only so much."""

import json
import os
from typing import Any, cast

from tapeout.gate.reports import Diagnostic, Report, TestCase
from tapeout.gate.reports.export import Exported, ReportedCheck
from tapeout.gate.verdict import CheckResult, Verdict

FILE = "reports.json"

_DIAGNOSTIC = ("rule", "level", "path", "line", "column", "message", "fingerprint")
_CASE = ("suite", "name", "outcome", "seconds", "path", "message")


def save_reports(folder: str, verdict: Verdict) -> None:
    """Write the file of a run."""
    checks = [_saved(result) for result in verdict.results]
    gate = [[found.check, found.reason] for found in verdict.findings if found.check not in {c["name"] for c in checks}]
    saved = {"version": 1, "run": verdict.run, "candidate": verdict.candidate, "checks": checks, "gate": gate}
    path = os.path.join(folder, FILE)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(saved, file)
    os.replace(path + ".new", path)


def _saved(result: CheckResult) -> dict[str, Any]:
    facts = ("name", "kind", "passed", "reason", "exit_code", "seconds", "version", "cached", "skipped", "blocking")
    return {
        **{name: getattr(result, name) for name in facts},
        "diagnostics": [[getattr(one, name) for name in _DIAGNOSTIC] for one in result.report.diagnostics],
        "cases": [[getattr(one, name) for name in _CASE] for one in result.report.cases],
    }


def load_reports(evidence: str, run: str) -> Exported | None:
    """The file of a run; None if there is none that can be read.

    A check whose pass was reused has its tests in the run that it was taken from, if that is still there.
    """
    saved = _read(evidence, run)
    if saved is None:
        return None
    try:
        checks = tuple(_loaded(_with_cases(evidence, check)) for check in saved["checks"])
        gate = tuple((str(check), str(reason)) for check, reason in saved["gate"])
        return Exported(str(saved["run"]), str(saved["candidate"]), checks, gate)
    except (KeyError, TypeError, ValueError):
        return None


def _read(evidence: str, run: str) -> dict[str, Any] | None:
    if not run.isalnum():
        return None
    try:
        with open(os.path.join(evidence, run, FILE), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _with_cases(evidence: str, check: dict[str, Any]) -> dict[str, Any]:
    origin = _read(evidence, check["cached"]) if check["cached"] else None
    same = [one for one in (origin or {}).get("checks", []) if one["name"] == check["name"]]
    return {**check, "cases": same[0]["cases"]} if same else check


def _loaded(check: dict[str, Any]) -> ReportedCheck:
    report = Report(
        tuple(Diagnostic(*values) for values in check["diagnostics"]),
        tuple(TestCase(*values) for values in check["cases"]),
    )
    facts = {name: cast("Any", check[name]) for name in ReportedCheck.FACTS}
    return ReportedCheck(**facts, report=report)
