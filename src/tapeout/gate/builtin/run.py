"""Which built-in check is meant, and what it says."""

import time
from collections.abc import Callable, Iterable

import pygit2

from tapeout.base.processes import Captured
from tapeout.config import CheckConfig, GateConfig
from tapeout.gate.builtin import shape
from tapeout.gate.builtin.change import Change, read_change
from tapeout.gate.builtin.copies import copies
from tapeout.gate.builtin.packages import unlocked
from tapeout.gate.builtin.secrets import secrets
from tapeout.gate.judge import Outcome, judge
from tapeout.gate.reports.model import MOST_FINDINGS, Diagnostic, Report
from tapeout.gate.reports.show import counted, one_line
from tapeout.gate.subject import Subject
from tapeout.gate.verdict import CheckResult

_CHECKS: dict[str, Callable[[Change, GateConfig], Iterable[Diagnostic]]] = {
    "size": lambda change, gate: shape.sizes(change, gate.largest_file, gate.most_lines),
    "scope": lambda change, gate: shape.out_of_scope(change, (*gate.tests, *gate.always_in_scope)),
    "secrets": lambda change, gate: secrets(change, gate.not_secret),
    "commits": lambda change, gate: shape.messages(change),
    "duplication": lambda change, gate: copies(change, gate.tests),
    "dependencies": lambda change, gate: unlocked(change),
}


def builtin_report(check: CheckConfig, gate: GateConfig, change: Change) -> Report:
    """What a check without a command of its own finds in a change."""
    found = tuple(_CHECKS[check.kind](change, gate))
    return Report(found[:MOST_FINDINGS])


def look(check: CheckConfig, gate: GateConfig, subject: Subject) -> tuple[CheckResult, str]:
    """The result of a check without a command of its own, and its log.

    Raises:
        pygit2.GitError: the change cannot be read.
    """
    begun = time.monotonic()
    repository = pygit2.Repository(subject.source)
    # Each change apart: what one may do is no excuse for another, and what one does the next must not hide.
    changes = (read_change(repository, one.base, one.commit, one.scope) for one in subject.changes)
    found = tuple(one for change in changes for one in builtin_report(check, gate, change).diagnostics)[:MOST_FINDINGS]
    report = Report(found)
    log = "".join(f"{one_line(one)}\n" for one in found)
    captured = Captured(1 if found else 0, log, 0, time.monotonic() - begun, False, 0)
    return judge(check, Outcome(captured, report), counted(found) if found else ""), log
