"""Failure signatures: from what a verdict says to what stays the same when it fails in the same way again. Pure.

Reports (JUnit, SARIF) name tests and rules, and are used where there are any; else the lines are read in which the
usual tools name what failed.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tapeout.floor.memory.model import Signature
from tapeout.floor.memory.normal import normal
from tapeout.gate.reports.model import Diagnostic, Report

MOST_SIGNATURES = 20
"""Of one verdict. With more failures than that the first ones by name stand for all, and their number counts."""

NAME_CHARS = 160

READ_LINES = 400
"""Lines of an excerpt that are looked at."""

Finding = tuple[str, str, str]
"""Check, reason and excerpt."""


class Failures(NamedTuple):
    """How a tree failed."""

    signatures: tuple[Signature, ...]
    failing: int | None
    """Tests and findings that failed; None if no check says."""


def failures_of(findings: Iterable[Finding], reports: dict[str, Report]) -> Failures:
    """How a tree failed.

    Args:
        findings: of the verdict.
        reports: name of a check to what it reported, as far as that is known.
    """
    found: dict[str, Signature] = {}
    counts: list[int | None] = []
    for check, reason, excerpt in findings:
        report = reports.get(check)
        named = list(_reported(report)) if report is not None else []
        counts.append(len(named) if named else count_in(f"{reason}\n{excerpt}"))
        named = named or list(_named(excerpt)) or [("", *_kind(_without_code(reason)))]
        for test, error, message in named:
            one = signature(check, test, error, message)
            found.setdefault(one.id, one)
    known = [count for count in counts if count is not None]
    kept = sorted(found.values(), key=lambda one: (one.check, one.test, one.error, one.message))[:MOST_SIGNATURES]
    return Failures(tuple(kept), sum(known) if known else None)


def signature(check: str, test: str, error: str, message: str) -> Signature:
    """The signature of a failure."""
    parts = (_name(check), _name(test), _name(error), normal(message))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return Signature(digest[:16], *parts)


def _name(text: str) -> str:
    """A name, with its numbers: `test_parse[3]` is another test than `test_parse[4]`."""
    line = " ".join(text[: 4 * NAME_CHARS].split())[:NAME_CHARS]
    return "".join(char for char in line if char.isprintable())


_Named = tuple[str, str, str]
"""Test, kind of error, message."""

_ERROR = re.compile(r"^(?:E\s+)?(?P<kind>(?:\w+\.)*\w*(?:Error|Exception|Panic|Fault|Failure))\b:?\s*(?P<said>.*)$")


def _kind(message: str) -> tuple[str, str]:
    """The kind of an error and the rest of its message."""
    first = message.strip().split("\n", 1)[0]
    match = _ERROR.match(first)
    return (match["kind"], match["said"]) if match else ("", first)


def _reported(report: Report) -> Iterator[_Named]:
    failed = report.failed_tests
    for case in failed:
        yield (case.id, *_kind(case.message))
    if not failed:
        for one in report.at("error") or report.at("warning"):
            yield _diagnosed(one)


def _diagnosed(one: Diagnostic) -> _Named:
    return one.path, one.rule, one.message


_EXIT_CODE = re.compile(r"^exit code -?\d+:?\s*")


def _without_code(reason: str) -> str:
    return _EXIT_CODE.sub("", reason) or reason


_TESTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(?:FAILED|ERROR) (?P<test>\S+?\.py(?:::\S+)?)(?: - (?P<said>.*))?$",  # pytest
        r"^(?:FAIL|ERROR): (?P<test>\w+ \([\w.]+\))",  # unittest
        r"^\s*--- FAIL: (?P<test>\S+)",  # go
        r"^test (?P<test>\S+) \.\.\. FAILED$",  # cargo
        r"^\s*● (?P<test>.+ \u203a .+)$",  # jest
        r"^not ok \d+ -? ?(?P<test>.+)$",  # TAP
    )
)
_COMPILED = re.compile(
    r"^(?P<test>[\w./\\@+-]+\.\w{1,5})[:(]\d+[\d:,)]*:?\s+(?:fatal )?(?P<said>(?:error|warning)\b.*|[A-Z]+\d{1,5}\b.*)$"
)
"""Compilers and linters: `a.c:3:5: error: no such name`, `a.py:1:1: F401 unused`, `a.ts(3,5): error TS2322: ...`."""


def _named(excerpt: str) -> Iterator[_Named]:
    """What the lines of an output name: tests first; without any, findings of compilers; without any, errors."""
    lines = excerpt.splitlines()[-READ_LINES:]
    return iter(_tests(lines) or _findings(lines) or _errors(lines))


def _tests(lines: Sequence[str]) -> list[_Named]:
    found: list[_Named] = []
    for line in lines:
        for pattern in _TESTS:
            if match := pattern.match(line):
                said = match.groupdict().get("said") or ""
                found.append((match["test"], *_kind(said)))
                break
    if any(error or said for _, error, said in found):
        return found
    errors = _errors(lines)  # a tool that names the test here and the error there: the errors of all stand with each
    error, said = (errors[0][1], errors[0][2]) if errors else ("", "")
    return [(test, error, said) for test, _, _ in found]


def _findings(lines: Sequence[str]) -> list[_Named]:
    found = []
    for line in lines:
        if match := _COMPILED.match(line.strip()):
            kind, _, said = match["said"].partition(" ")
            found.append((match["test"], kind.rstrip(":"), said))
    return found


def _errors(lines: Sequence[str]) -> list[_Named]:
    found = []
    for line in lines:
        match = _ERROR.match(line.strip())
        if match and (match["said"] or len(match["kind"]) > len("Error")):
            found.append(("", match["kind"], match["said"]))
        elif "panicked at" in line:
            found.append(("", "panic", line))
    return found


_COUNTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(\d+) of \d+ tests failed",
        r"\bfailures=(\d+)",
        r"\berrors=(\d+)",
        r"(?<!of )\b(\d+) (?:tests? |specs? )?(?:failed|failing|failures?)\b",
        r"\b(\d+) errors?\b",
        r"\bfound (\d+) (?:errors?|problems?|issues?)\b",
        r"\b(\d+) (?:new )?(?:findings?|problems?|warnings?)\b",
    )
)


def count_in(text: str) -> int | None:
    """How many tests or findings failed, as a tool says it in its summary; None if it does not say.

    The last line with such words counts, where most tools have their summary: `2 failed, 1 error` is three.
    """
    for line in reversed(text.splitlines()[-READ_LINES:]):
        spans: dict[int, int] = {}
        for pattern in _COUNTS:
            for match in pattern.finditer(line[:1000]):
                spans.setdefault(match.start(1), int(match[1][:9]))
        if spans:
            return sum(spans.values())
    named = {test for test, _, _ in _tests(text.splitlines()[-READ_LINES:])}
    return len(named) or None
