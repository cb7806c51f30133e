"""A passed check as the cache keeps it. Pure."""

from typing import Any, cast

from tapeout.config import CheckConfig
from tapeout.gate.reports import Diagnostic, Report
from tapeout.gate.reports.model import Level
from tapeout.gate.verdict import CheckResult

_KEPT = 1_000
"""Findings (warnings, notes) of a pass."""


def to_json(result: CheckResult, run: str) -> dict[str, Any]:
    """What is worth keeping of a pass, and of which run it is."""
    found = result.report.diagnostics[:_KEPT]
    return {
        "run": run,
        "exit_code": result.exit_code,
        "log_digest": result.log_digest,
        "ran": result.report.ran,
        "old": result.old,
        "findings": [
            [one.rule, one.level, one.path, one.line, one.column, one.message, one.fingerprint] for one in found
        ],
    }


def from_json(check: CheckConfig, stored: Any) -> CheckResult | None:
    """The pass that was kept; None if there is none, or it cannot be read."""
    try:
        findings = tuple(
            Diagnostic(str(rule), cast("Level", str(level)), str(path), int(line), int(column), str(said), str(print_))
            for rule, level, path, line, column, said, print_ in stored["findings"]
        )
        return CheckResult(
            name=check.name,
            kind=check.kind,
            passed=True,
            reason="",
            exit_code=stored["exit_code"],
            seconds=0.0,
            log_digest=str(stored["log_digest"]),
            excerpt="",
            blocking=check.blocking,
            cached=str(stored["run"]),
            report=Report(findings, (), stored["ran"]),
            old=int(stored["old"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
