"""Whether a change and main fail in the same way. Pure.

What a check reports is compared by rule and file; without a report, by exit code and the words of its last line.
Numbers differ from run to run: counts, seconds, lines that the change has shifted.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
"""A check of a record, as `verdict.facts` gives it."""

_VARYING = re.compile(r"\S*(?:\d|/)\S*")
"""Words with numbers in them, and paths of a run's own folder."""
_NUMBERS = re.compile(r"\d+")


def failed(checks: Iterable[Facts]) -> tuple[Facts, ...]:
    """Those that refuse a change."""
    return tuple(check for check in checks if check["blocking"] and not check["passed"])


def same_failure(ours: Facts, mains: Facts) -> bool:
    """Whether main fails this check, too, and the change adds nothing to it.

    Args:
        ours: how the check ended on the change.
        mains: how it ended on main.
    """
    if mains["passed"] or ours.get("flaky") or mains.get("flaky"):  # flaky tests have rules of their own
        return False
    if ours["diagnostics"] and mains["diagnostics"]:
        return _shapes(ours["diagnostics"]) <= _shapes(mains["diagnostics"])
    return bool(ours["exit_code"] == mains["exit_code"] and shape(ours["reason"]) == shape(mains["reason"]))


def red_checks(changes: Sequence[Facts], mains: Sequence[Facts]) -> tuple[str, ...]:
    """Names of the checks that fail in the same way on a change and on main."""
    known = {check["name"]: check for check in mains}
    return tuple(one["name"] for one in changes if one["name"] in known and same_failure(one, known[one["name"]]))


def shape(reason: str) -> str:
    """The words of a reason that are the same in every run."""
    return " ".join(_VARYING.sub("#", reason).split())


def _shapes(lines: Iterable[str]) -> set[str]:
    return {_NUMBERS.sub("#", line) for line in lines}


def without(summary: Mapping[str, Any], red: Collection[str]) -> dict[str, Any]:
    """The summary of a verdict less what main fails by itself, which is only noted."""
    rest = [finding for finding in summary["findings"] if finding["check"] not in red]
    notes = [f"{name}: the target branch fails it, too" for name in red]
    reason = "; ".join(f"{finding['check']}: {finding['reason']}" for finding in rest)
    return {**summary, "findings": rest, "notes": [*summary.get("notes", ()), *notes], "reason": reason}
