"""Which built-in check is meant, and what it says."""

from collections.abc import Callable, Iterable

from tapeout.config import CheckConfig, GateConfig
from tapeout.gate.builtin import shape
from tapeout.gate.builtin.change import Change
from tapeout.gate.builtin.copies import copies
from tapeout.gate.builtin.packages import unlocked
from tapeout.gate.builtin.secrets import secrets
from tapeout.gate.reports.model import MOST_FINDINGS, Diagnostic, Report

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
