"""From what a check's process did to whether it passed. Pure, and closed by default: only what is known to be a
success passes."""

import hashlib
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapeout.base.processes import Captured
from tapeout.config import CheckConfig
from tapeout.gate.excerpt import MAX_CHARS, excerpt, plain
from tapeout.gate.reports import NO_REPORT, Diagnostic, Report
from tapeout.gate.reports.show import counted, listing
from tapeout.gate.verdict import CheckResult

LAST_LINE_CHARS = 120

SMALL_SUITE = 20
"""Tests. A smaller suite may shrink as it likes: a few tests more or less prove nothing."""

LEAST_SHARE = 0.5
"""Of the base's tests that must still run."""

_NAMED = 3

NOT_EXECUTABLE = 126
NOT_FOUND = 127

_COUNTS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"\b(\d+) x?passed\b",  # pytest, jest, vitest, cargo, playwright
        r"\b(\d+) xfailed\b",
        r"\b(\d+) passing\b",  # mocha
        r"^(?:#|\u2139) pass (\d+)$",  # node --test
        r"\bTests run: (\d+)",  # maven
        r"\b(\d+) examples?,",  # rspec
    )
)
_UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n(?:\s*\n)?(?:.*?\bskipped=(\d+))?", re.MULTILINE)
_PASSED_WITHOUT_COUNT = re.compile(r"^ok\s+\S+(?!.*\[no tests to run\]).*$|^\s*--- PASS: ", re.MULTILINE)  # go, TAP
_NONE_RAN = re.compile(
    r"\bno tests? (?:ran|found|were found|were run|to run|files? found|collected)\b|\bcollected 0 items\b"
    r"|\[no test files\]|\[no tests to run\]|\b0 tests\b|\bNO TESTS RAN\b|\b\d+ (?:skipped|deselected|ignored)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Outcome:
    """What a check's process did, and what it reported."""

    captured: Captured
    report: Report = NO_REPORT
    problem: str = ""
    """Why the report cannot be believed; empty if it can."""
    out_of_memory: bool = False
    """Whether the kernel killed a process for memory meanwhile."""


def judge(check: CheckConfig, outcome: Outcome, reason: str | None = None) -> CheckResult:
    """The result of a check that ended like this; `reason` is why it failed, where somebody knows better than
    `failure`."""
    reason = failure(check, outcome) if reason is None else reason
    captured = outcome.captured
    return CheckResult(
        name=check.name,
        kind=check.kind,
        passed=not reason,
        reason=reason,
        exit_code=captured.exit_code,
        seconds=captured.seconds,
        log_digest=log_digest(captured.output),
        excerpt=_excerpt(check, outcome) if reason else "",
        inconclusive=bool(broken_off(check, outcome)),
        blocking=check.blocking,
        report=outcome.report,
    )


def _excerpt(check: CheckConfig, outcome: Outcome) -> str:
    """The findings; and what was printed, where that says more than they do."""
    found = outcome.report.diagnostics
    if not found:
        return excerpt(outcome.captured.output)
    listed = listing(found)[: MAX_CHARS // 2]
    if outcome.report.cases or outcome.problem:
        return f"{listed}\n\n{excerpt(outcome.captured.output)}"[:MAX_CHARS]
    return listing(found)[:MAX_CHARS]


def log_digest(output: str) -> str:
    """SHA-256 of a check's output as it is stored."""
    return hashlib.sha256(output.encode()).hexdigest()


def failure(check: CheckConfig, outcome: Outcome) -> str:
    """Why the check failed, in one line; empty if it passed."""
    if reason := broken_off(check, outcome):
        return reason
    code, report = outcome.captured.exit_code, outcome.report
    if code != 0:
        return _said_no(check, outcome)
    if errors := report.at("error"):
        return f"ended with exit code 0, but reports {_findings(report, errors)}"
    if report.ran is not None:
        return "" if report.ran > 0 else "ran no test"
    return empty_test_run(outcome.captured.output) if check.kind == "test" else ""


def broken_off(check: CheckConfig, outcome: Outcome) -> str:
    """Why nothing can be learnt from the check: it did not come to its end, or its report cannot be believed."""
    captured = outcome.captured
    if captured.timed_out:
        return f"timed out after {check.timeout:g} s"
    if captured.stopped:
        return captured.stopped
    code = captured.exit_code
    if code is None:
        return "did not end"
    if code in {NOT_FOUND, NOT_EXECUTABLE}:
        return missing_reason(code)
    killer = _killer(code)
    if killer:
        memory = killer == "SIGKILL" and outcome.out_of_memory
        return f"was killed by {killer}" + (": this machine ran out of memory" if memory else "")
    if outcome.problem:
        ended = f"exit code {code}, and its" if code else "its"
        return f"{ended} {check.report} report cannot be used: {outcome.problem}"
    return ""


def _said_no(check: CheckConfig, outcome: Outcome) -> str:
    code, last = outcome.captured.exit_code, last_line(outcome.captured.output)
    found = outcome.report.at("error", "warning")
    if found:
        return f"exit code {code}: {_findings(outcome.report, found)}"
    said = f"exit code {code}: {last}" if last else f"exit code {code}"
    return said if check.report == "exit" else f"failed without saying what: its report is empty; {said}"


def _findings(report: Report, found: Sequence[Diagnostic]) -> str:
    """Failed tests by their names, other findings by the first of them."""
    failed = report.failed_tests
    if not failed:
        return counted(found)
    names = ", ".join(case.id for case in failed[:_NAMED]) + (", …" if len(failed) > _NAMED else "")
    return f"{len(failed)} of {report.ran} tests failed: {names}"[:250]


@dataclass(frozen=True)
class Base:
    """What a check finds on the base."""

    exit_code: int | None
    counts: Mapping[str, int]
    """How often it has each fingerprint."""
    problem: str = ""
    """Why it says nothing there; empty if it does."""


def can_be_old(check: CheckConfig, outcome: Outcome) -> bool:
    """Whether the check failed by findings alone, so that the base tells whether they count."""
    return not broken_off(check, outcome) and bool(_against(outcome))


def ratcheted(check: CheckConfig, outcome: Outcome, base: Base) -> str:
    """Why a check with a ratchet failed; empty if it passed. The outcome has only what the base does not have."""
    code = outcome.captured.exit_code
    if base.problem:
        return f"{failure(check, outcome)}; the base cannot be compared with: it {base.problem}"
    if new := _against(outcome):
        return f"exit code {code}: {counted(new, 'new')}"
    if code not in {0, base.exit_code}:
        return f"exit code {code} without a new finding, where the base ends with {base.exit_code}"
    return ""


def _against(outcome: Outcome) -> tuple[Diagnostic, ...]:
    """The findings that count against a change: of a check that succeeded only errors."""
    return outcome.report.at("error") if outcome.captured.exit_code == 0 else outcome.report.at("error", "warning")


def fewer_tests(ran: int | None, before: int | None) -> str:
    """Why a test run that passed is suspiciously small against the base's; empty if it is not, or nobody knows.

    A suite of `SMALL_SUITE` tests or more must not lose more than half of them in one change.
    """
    if ran is None or before is None or before < SMALL_SUITE or ran >= before * LEAST_SHARE:
        return ""
    return (
        f"ran {ran} tests, where the target branch ran {before}: less than {LEAST_SHARE:.0%} of them. If that is meant,"
        " a person commits it to the target branch"
    )


def tests_in(output: str) -> int | None:
    """How many tests a test command says it ran; None if it does not say."""
    counts = _counts(plain(output))
    return sum(counts) if counts else None


def last_line(output: str) -> str:
    """Where most tools say in a few words what is wrong: `2 failed, 40 passed`, `Found 3 errors`."""
    lines = [line.strip(" =-_") for line in plain(output).splitlines()]
    line = next((line for line in reversed(lines) if line), "")
    return line if len(line) <= LAST_LINE_CHARS else f"{line[:LAST_LINE_CHARS]}…"


def missing_reason(code: int) -> str:
    """What an exit code of a shell that could not run its command means."""
    return (
        f"a command was not found (exit code {code})"
        if code == NOT_FOUND
        else (f"a command could not be executed (exit code {code})")
    )


def empty_test_run(text: str) -> str:
    """Why the output of a successful test command shows that nothing was tested; empty if it does not.

    Several runs in one output count together: a suite may be empty as long as another is not.
    """
    text = plain(text)
    if not text.strip():
        return "printed nothing, so no test is known to have run"
    counts = _counts(text)
    if any(count > 0 for count in counts) or _PASSED_WITHOUT_COUNT.search(text):
        return ""
    return "ran no test" if counts or _NONE_RAN.search(text) else ""


def _counts(text: str) -> list[int]:
    counts = [int(number) for pattern in _COUNTS for number in pattern.findall(text)]
    return counts + [int(ran) - int(skipped or 0) for ran, skipped in _UNITTEST.findall(text)]


def _killer(code: int) -> str:
    """The signal that ended a process, or the command of a shell, which reports 128 + signal."""
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name if number > 0 else ""
    except ValueError:
        return ""
