"""The guard that cuts a session which reaches a budget. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tapeout.agents import Spent, Update
from tapeout.floor.budgets.limits import Budget, Reached, reached
from tapeout.floor.budgets.spend import NOTHING, Meter, Spend
from tapeout.floor.guards import Answer, Cut, Quiet

SHORTEST_WAIT = 0.001
"""Seconds: a tick that comes a rounding error too early is followed by another one."""


@dataclass(frozen=True)
class Allowance:
    """A budget that a session uses, and what others have used of it."""

    budget: Budget
    before: Spend = NOTHING


class BudgetGuard(Quiet):
    """Cuts the session with the first report by which it reaches a budget, and when a time runs out."""

    def __init__(self, allowances: Sequence[Allowance]) -> None:
        self._allowances = allowances
        self._meter = Meter()
        self._wake: float | None = None
        self._waiting = 0
        self._stands_still = False
        self.reached: Reached | None = None
        """The budget that was reached, if one was."""

    @property
    def wake(self) -> float | None:
        """When a budget of time runs out; only while a turn runs."""
        return self._wake

    def update(self, update: Update, now: float) -> Answer:
        """Count what the session reports."""
        if not isinstance(update, Spent):
            return None
        tokens = update.input_tokens + update.output_tokens
        self._meter.report(tokens, update.cost, estimated=update.estimated)
        return self._look(now)

    def turn_started(self, prompt: str, now: float) -> Answer:
        """No turn is begun on a budget that is used up."""
        self._meter.start(now)
        answer = self._look(now)
        if answer is not None:
            self.turn_stopped(now)
        else:
            self._wake = self._runs_out(now)
        return answer

    def turn_stopped(self, now: float) -> None:
        """The agent does not work any more, whatever else is waited for."""
        self._meter.stop(now)
        self._wake = None
        self._stands_still = False

    def waits(self, *, begins: bool, now: float) -> None:
        """The session begins or stops to wait for a person's answer: that time is not the agent's."""
        self._waiting += 1 if begins else -1
        if begins and self._meter.runs:
            self._meter.stop(now)
            self._wake = None
            self._stands_still = True
        elif not self._waiting and self._stands_still:
            self._meter.start(now)
            self._wake = self._runs_out(now)
            self._stands_still = False

    def tick(self, now: float) -> Answer:
        """Time has passed."""
        self._wake = None
        answer = self._look(now)
        if answer is None and self._meter.runs:
            self._wake = self._runs_out(now)
        return answer

    def exhausted(self, evidence: str) -> None:
        """The session is ended for what it uses of the machine (`isolation.watch`): that counts like a budget of the
        attempt, so that not every attempt of an issue does it again."""
        if self.reached is None:
            self.reached = Reached("attempt", "resources", evidence)

    def spend(self, now: float) -> Spend:
        """What the session has used so far."""
        return self._meter.spend(now)

    def _look(self, now: float) -> Answer:
        if self.reached is not None:
            return None
        spend = self._meter.spend(now)
        found = (reached(allowance.budget, _without_this(allowance, spend)) for allowance in self._allowances)
        self.reached = next((one for one in found if one is not None), None)
        return Cut("budget", self.reached.text) if self.reached is not None else None

    def _runs_out(self, now: float) -> float | None:
        """When the first budget of time will be used up."""
        used = self._meter.seconds(now)
        left = [
            allowance.budget.time - allowance.before.seconds - used
            for allowance in self._allowances
            if allowance.budget.time is not None
        ]
        return now + max(SHORTEST_WAIT, min(left)) if left else None


def _without_this(allowance: Allowance, spend: Spend) -> Spend:
    """What is used of an allowance. The attempt itself was counted when it was started: the last attempt of a budget of
    attempts may do its work."""
    both = allowance.before + spend
    return Spend(both.seconds, both.tokens, both.cost, allowance.before.attempts, both.estimated)
