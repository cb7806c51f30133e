"""What the gate says about one exact tree, and the bounded form of it that goes to the tracker."""

import json
from dataclasses import dataclass
from typing import Any

SUMMARY_BYTES = 8_000
"""Longest JSON of a summary: it goes into the tracker's log and into an agent's prompt."""

_REASON_CHARS = 300
_FINDINGS = 40


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
            return f"all {len(self.results)} checks passed" if len(self.results) != 1 else "1 check passed"
        return "; ".join(f"{finding.check}: {finding.reason}" for finding in self.findings)


def warning_of(sandbox: str) -> str:
    """What a record's word on the sandbox means for whoever reads it; empty if nothing is amiss."""
    return f"checks run without a sandbox: {sandbox[6:]}" if sandbox.startswith("none: ") else ""


def findings_of(results: tuple[CheckResult, ...]) -> tuple[Finding, ...]:
    """The findings that failed checks make."""
    return tuple(Finding(result.name, result.reason, result.excerpt) for result in results if not result.passed)


def summary(verdict: Verdict) -> dict[str, Any]:
    """The verdict in at most `SUMMARY_BYTES` of JSON: `passed`, `reason`, `findings`, `run`, `tree`, `seconds`,
    `sandbox`.

    When there is too much, every finding keeps its reason and excerpts are shortened evenly.
    """
    shown = verdict.findings[:_FINDINGS]
    left_out = len(verdict.findings) - len(shown)
    reason = verdict.reason + (f"; and {left_out} more" if left_out else "")
    found: dict[str, Any] = {
        "passed": verdict.passed,
        "reason": _one_line(reason, 2 * _REASON_CHARS),
        "findings": [],
        "run": verdict.run,
        "tree": verdict.tree,
        "seconds": round(verdict.seconds, 3),
        "sandbox": _one_line(verdict.sandbox, _REASON_CHARS),
    }
    excerpt_chars, reason_chars = 4_000, _REASON_CHARS
    while True:
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
