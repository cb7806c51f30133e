"""Budgets as data, and whether one is reached. Pure."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tapeout.floor.budgets.spend import Spend

Scope = Literal["attempt", "issue", "lane", "run"]


class Limits(Protocol):
    """The fields that all budgets of `tapeout.toml` have."""

    @property
    def time(self) -> float | None: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def cost(self) -> float | None: ...


@dataclass(frozen=True)
class Budget:
    """What may be used; None where there is no limit."""

    scope: Scope
    lane: str = ""
    """Name of the lane, for `scope` `lane`."""
    time: float | None = None
    """Seconds in turns."""
    tokens: int | None = None
    cost: float | None = None
    """US dollars."""
    attempts: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"the budget of lane {self.lane}" if self.scope == "lane" else f"the {self.scope}'s budget"


@dataclass(frozen=True)
class Reached:
    """A budget that is used up."""

    scope: Scope
    measure: str
    """What of it: tokens, cost, time, attempts, or resources of the machine."""
    text: str
    """Which one, of what, and how much was used: one line."""

    @property
    def ends_attempts(self) -> bool:
        """Whether those that run have to end: not for the number of attempts, of which only no more begin."""
        return self.measure != "attempts"


def budget_of(scope: Scope, limits: Limits, attempts: int | None = None, lane: str = "") -> Budget:
    """A budget from its table in `tapeout.toml`."""
    return Budget(scope, lane, limits.time, limits.tokens, limits.cost, attempts)


def reached(budget: Budget, spend: Spend) -> Reached | None:
    """The first limit of a budget that is used up, if one is."""
    checks = (
        ("tokens", budget.tokens, spend.tokens),
        ("cost", budget.cost, spend.cost),
        ("time", budget.time, spend.seconds),
        ("attempts", budget.attempts, spend.attempts),
    )
    for measure, limit, used in checks:
        if limit is not None and used >= limit:
            estimate = " (estimated)" if measure == "tokens" and spend.estimated else ""
            of, so_far = amount(measure, limit), amount(measure, used)
            return Reached(budget.scope, measure, f"{budget.name} of {of} is used up: {so_far}{estimate}")
    return None


def amount(measure: str, value: float) -> str:
    """So much time, tokens, cost or attempts, for people."""
    if measure == "cost":
        return f"${value:,.2f}" if value >= 0.01 or value == 0 else f"${value:.4f}"
    if measure == "time":
        return _span(value)
    count = int(value)
    return f"{count:,} {measure.removesuffix('s')}{'' if count == 1 else 's'}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
