"""What a check found, in the shape of SARIF 2.1.0. Pure data."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]

MOST_FINDINGS = 20_000
"""A report with more is not read: nobody could act on it, and a ratchet must compare all or none."""

TEXT_CHARS = 2_000
"""Longest message that is kept."""


@dataclass(frozen=True)
class Diagnostic:
    """One result of a tool: SARIF's `result`, with its first location."""

    rule: str
    """Id of the rule, or of the test that failed; empty if the tool names none."""
    level: Level
    path: str
    """Relative to the top of the repository; empty if it is about no file."""
    line: int
    """From 1; 0 if it is about the whole file."""
    column: int
    """From 1; 0 if it is about the whole line."""
    message: str
    fingerprint: str = ""
    """The same as long as the rule, the file, the message and the text of the line are; empty until it is computed."""


@dataclass(frozen=True)
class TestCase:
    """One test of a run."""

    __test__ = False  # for pytest, which would collect it where it is imported

    suite: str
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    path: str = ""
    """File that defines it; empty if the report does not say."""
    message: str = ""
    """Why it failed."""

    @property
    def id(self) -> str:
        """What names the test in every run."""
        return f"{self.suite}::{self.name}" if self.suite else self.name


@dataclass(frozen=True)
class Report:
    """All that a check reported."""

    diagnostics: tuple[Diagnostic, ...] = ()
    cases: tuple[TestCase, ...] = ()
    ran: int | None = None
    """How many tests ran, skipped ones left out; None if nobody knows."""

    @property
    def failed_tests(self) -> tuple[TestCase, ...]:
        """The tests that failed."""
        return tuple(case for case in self.cases if case.outcome == "failed")

    def at(self, *levels: Level) -> tuple[Diagnostic, ...]:
        """The diagnostics of these levels."""
        return tuple(found for found in self.diagnostics if found.level in levels)


NO_REPORT = Report()


class Unreadable(Exception):
    """A report that cannot be believed; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def bounded(found: "list[Diagnostic]") -> tuple[Diagnostic, ...]:
    """As a tuple.

    Raises:
        Unreadable: there are too many.
    """
    if len(found) > MOST_FINDINGS:
        raise Unreadable(f"it has more than {MOST_FINDINGS} findings")
    return tuple(found)


def text_of(value: object) -> str:
    """One bounded line of what a tool says, without control characters."""
    if value is None:
        return ""
    line = " ".join(str(value)[: 4 * TEXT_CHARS].split())[:TEXT_CHARS]
    return line if line.isprintable() else "".join(char for char in line if char.isprintable())


def number_of(value: object) -> int:
    """A line or column, 0 where there is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value < 2**31 else 0  # type: ignore[operator,return-value]
