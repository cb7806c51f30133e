"""In which order checks run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapeout.config import CheckConfig


@dataclass(frozen=True)
class Measured:
    """What past runs of a check say; recent ones weigh more."""

    runs: float
    failures: float
    seconds: float
    """Mean of a run."""


def run_order(checks: Sequence[CheckConfig], measured: Mapping[str, Measured] | None = None) -> list[CheckConfig]:
    """The checks such that each comes after those that it needs.

    With measurements the next one is always the check with the least time for its chance to fail: the order that finds
    the first failure soonest, if checks fail independently. One that was never measured comes first, to be measured.
    Without, the declared order counts.
    """
    waiting = list(checks)
    ordered: list[CheckConfig] = []
    while waiting:
        names = {check.name for check in waiting}
        free = [check for check in waiting if not names & set(check.needs)]
        chosen = min(free, key=lambda check: _cost(measured, check.name))
        ordered.append(chosen)
        waiting.remove(chosen)
    return ordered


def _cost(measured: Mapping[str, Measured] | None, name: str) -> float:
    """Seconds for each failure that is found; with one failure and one pass more than were seen, so that a check that
    never failed yet is not put off for ever."""
    found = (measured or {}).get(name)
    return 0.0 if found is None else found.seconds * (found.runs + 2) / (found.failures + 1)
