"""What the gate says about one exact tree, and the bounded form of it that goes to the tracker."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tapeout.gate.reports import NO_REPORT, Report
from tapeout.gate.reports.show import one_line

SUMMARY_BYTES = 8_000
"""Longest JSON of a summary: it goes into the tracker's log and into an agent's prompt."""

_REASON_CHARS = 300
_FINDINGS = 40
_NOTES = 20
_NOTE_CHARS = 160

RECORDED = 50
"""Findings of one check that its record holds; the whole list is in the file beside the logs."""


@dataclass(frozen=True)
class CheckResult:
    """How one check ended."""

    name: str
    kind: str
    passed: bool
    reason: str
    """Why it failed, one line; empty if it passed."""
    exit_code: int | None
    """None when it was never started."""
    seconds: float
    log_digest: str
    """SHA-256 of its log."""
    excerpt: str
    """The part of its output that says what is wrong; empty if it passed."""
    inconclusive: bool = False
    """Whether it says nothing about the code: it was cut off, or its report cannot be believed."""
    blocking: bool = True
    """False: it advises, and refuses nothing."""
    version: str = ""
    """What its tool says of itself; empty if nobody asked."""
    cached: str = ""
    """The run whose pass this is, for the same files, command, tools and environment; empty if it ran."""
    skipped: str = ""
    """Why it was not needed; empty if it was."""
    flaky: tuple[str, ...] = ()
    """Tests that failed, and passed when they were run again on the same files."""
    own_flaky: bool = False
    """Whether they are in files that the change touches: then only the change has them like that."""
    report: Report = NO_REPORT
    """What it reported. With a ratchet, what the base does not have."""
    old: int = 0
    """How many findings the base has too, which a ratchet left out."""


@dataclass(frozen=True)
class Finding:
    """Something that must be put right before the change can land."""

    check: str
    """Name of the check, or `tests-kept`, `gate-config`, `change` for what the gate itself looks at."""
    reason: str
    excerpt: str = ""


@dataclass(frozen=True)
class Verdict:
    """Pass or fail of one exact tree."""

    run: str
    candidate: str
    base: str
    """Commit whose `tapeout.toml` was the judge."""
    tree: str
    passed: bool
    results: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    seconds: float
    sandbox: str = ""
    """What confined the checks, with what it lacks; `none: ` and why if nothing did."""

    @property
    def warning(self) -> str:
        """What whoever reads the verdict has to know; empty if there is nothing."""
        return warning_of(self.sandbox)

    @property
    def reason(self) -> str:
        """One line that says why it failed, or that it passed."""
        if self.passed:
            passed = sum(result.passed for result in self.results)
            said = f"all {passed} checks passed" if passed != 1 else "1 check passed"
            exceptions = [note for result in self.results if not result.cached for note in notes(result)]
            return f"{said} ({'; '.join(exceptions)})" if exceptions else said
        return "; ".join(f"{finding.check}: {finding.reason}" for finding in self.findings)


def warning_of(sandbox: str) -> str:
    """What a record's word on the sandbox means for whoever reads it; empty if nothing is amiss."""
    return f"checks run without a sandbox: {sandbox[6:]}" if sandbox.startswith("none: ") else ""


def findings_of(results: tuple[CheckResult, ...]) -> tuple[Finding, ...]:
    """The findings that failed checks make; those that only advise make none."""
    return tuple(
        Finding(result.name, result.reason, result.excerpt)
        for result in results
        if not result.passed and result.blocking
    )


def notes(result: CheckResult) -> Iterator[str]:
    """What a pass must not hide about a check, one line each."""
    name = result.name
    if result.skipped:
        yield f"{name}: not needed: {result.skipped}"
    if result.cached:
        yield f"{name}: cached from run {result.cached}"
    if result.flaky:
        yield f"{name}: flaky: {', '.join(result.flaky)}"
    if result.old:
        yield f"{name}: {result.old} finding{'s' if result.old != 1 else ''} that the base has too"
    if not result.passed and not result.blocking:
        yield f"{name} (advisory): {result.reason}"


def facts(result: CheckResult) -> dict[str, Any]:
    """What a record tells about a check besides its command."""
    found = result.report.diagnostics
    return {
        "name": result.name,
        "kind": result.kind,
        "passed": result.passed,
        "reason": result.reason,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 3),
        "log_digest": result.log_digest,
        "blocking": result.blocking,
        "version": result.version,
        "cached": result.cached,
        "skipped": result.skipped,
        "flaky": list(result.flaky),
        "tests": result.report.ran,
        "old_findings": result.old,
        "findings": len(found),
        "diagnostics": [one_line(one) for one in found[:RECORDED]],
    }


def summary(verdict: Verdict) -> dict[str, Any]:
    """The verdict in at most `SUMMARY_BYTES` of JSON: `passed`, `reason`, `findings`, `notes`, `run`, `tree`,
    `seconds`, `sandbox`.

    When there is too much, every finding keeps its reason and excerpts are shortened evenly.
    """
    shown = verdict.findings[:_FINDINGS]
    left_out = len(verdict.findings) - len(shown)
    reason = verdict.reason + (f"; and {left_out} more" if left_out else "")
    found: dict[str, Any] = {
        "passed": verdict.passed,
        "reason": _one_line(reason, 2 * _REASON_CHARS),
        "findings": [],
        "notes": [],
        "run": verdict.run,
        "tree": verdict.tree,
        "seconds": round(verdict.seconds, 3),
        "sandbox": _one_line(verdict.sandbox, _REASON_CHARS),
    }
    excerpt_chars, reason_chars = 4_000, _REASON_CHARS
    while True:
        found["notes"] = _bounded_notes(verdict, min(_NOTE_CHARS, reason_chars))
        found["findings"] = [
            {
                "check": finding.check,
                "reason": _one_line(finding.reason, reason_chars),
                "excerpt": _shorten(finding.excerpt, excerpt_chars),
            }
            for finding in shown
        ]
        if len(json.dumps(found)) <= SUMMARY_BYTES:
            return found
        excerpt_chars = excerpt_chars * 3 // 4
        if not excerpt_chars:
            reason_chars = reason_chars * 3 // 4


def _bounded_notes(verdict: Verdict, limit: int) -> list[str]:
    found = [_one_line(note, limit) for result in verdict.results for note in notes(result)]
    more = len(found) - _NOTES
    return found if more <= 0 else [*found[:_NOTES], f"and {more} more"]


def _one_line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)] + "…"


def _shorten(text: str, limit: int) -> str:
    """The whole lines that fit into `limit` characters, with a mark for the rest."""
    if len(text) <= limit:
        return text
    kept: list[str] = []
    used = 0
    lines = text.splitlines()
    for line in lines:
        used += len(line) + 1
        if used > limit - 30:
            break
        kept.append(line)
    return "\n".join([*kept, f"… {len(lines) - len(kept)} more lines"]) if kept else ""
