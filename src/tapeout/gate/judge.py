"""From what a check's process did to whether it passed. Pure, and closed by default: only what is known to be a
success passes."""

import hashlib
import re
import signal

from tapeout.base.processes import Captured
from tapeout.config import CheckConfig
from tapeout.gate.excerpt import excerpt, plain
from tapeout.gate.verdict import CheckResult

LAST_LINE_CHARS = 120

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


def judge(check: CheckConfig, captured: Captured) -> CheckResult:
    """The result of a check whose process ended like this."""
    reason = failure(check, captured)
    return CheckResult(
        name=check.name,
        kind=check.kind,
        passed=not reason,
        reason=reason,
        exit_code=captured.exit_code,
        seconds=captured.seconds,
        log_digest=log_digest(captured.output),
        excerpt=excerpt(captured.output) if reason else "",
    )


def log_digest(output: str) -> str:
    """SHA-256 of a check's output as it is stored."""
    return hashlib.sha256(output.encode()).hexdigest()


def failure(check: CheckConfig, captured: Captured) -> str:
    """Why the check failed, in one line; empty if it passed."""
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
        return f"was killed by {killer}"
    if code != 0:
        last = last_line(captured.output)
        return f"exit code {code}: {last}" if last else f"exit code {code}"
    return empty_test_run(captured.output) if check.kind == "test" else ""


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
    counts = [int(number) for pattern in _COUNTS for number in pattern.findall(text)]
    counts += [int(ran) - int(skipped or 0) for ran, skipped in _UNITTEST.findall(text)]
    if any(count > 0 for count in counts) or _PASSED_WITHOUT_COUNT.search(text):
        return ""
    return "ran no test" if counts or _NONE_RAN.search(text) else ""


def _killer(code: int) -> str:
    """The signal that ended a process, or the command of a shell, which reports 128 + signal."""
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name if number > 0 else ""
    except ValueError:
        return ""
