"""The accounts of one attempt: what it may use, what it has used, and what follows from that when it ends.

What may go wrong: the tracker cannot be written (what was used is noted with the next report); the worker is killed
(what it used since its last note is not known).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tapeout.base.errors import Conflict, TapeoutError
from tapeout.config import AttemptBudget, Config, IssueBudget, LaneConfig
from tapeout.floor.budgets.guard import Allowance, BudgetGuard
from tapeout.floor.budgets.ledger import SPEND, run_spend
from tapeout.floor.budgets.limits import Budget, Reached, budget_of, reached
from tapeout.floor.budgets.run import WHOLE_RUN, Run, current_run, key, reached_now
from tapeout.floor.budgets.spend import Spend, spend_of, total
from tapeout.floor.lanes import lane_of
from tapeout.floor.policy import EndAttempt
from tapeout.tracker import Tracker
from tapeout.tracker.model import Attempt, Lease

STEPS = 20
"""A session reports what it has used each time that this part of a budget is gone: so the sums that several sessions
share are known that well. More would fill the log."""

REPORT_SECONDS = 300.0
"""A session that reports anything is noted at least this often, for the time that it takes."""

UNCOUNTED = ("stopped", "unavailable")
"""Outcomes of attempts that do not count as such: nobody worked them to their end. What they used counts."""


@dataclass(frozen=True)
class Past:
    """What was used before an attempt."""

    issue: Spend
    """By the issue's earlier attempts."""
    lane: Spend
    run: Spend
    over: int
    """How many of the issue's attempts reached the budget of an attempt."""


def read_past(tracker: Tracker, earlier: Sequence[Attempt], run: Run | None, lane: str) -> Past:
    """Read it from the tracker."""
    used, over = Spend(), 0
    for attempt in earlier:
        note = tracker.attempt_notes(attempt.id).get(SPEND, {})
        counts = attempt.outcome not in UNCOUNTED
        used += replace(spend_of(note), attempts=int(counts))
        over += attempt.outcome == "over-budget" and note.get("reached") == "attempt"
    lanes = run_spend(tracker, run) if run is not None else {}
    return Past(used, lanes.get(lane, Spend()), total(lanes.values()), over)


def budgets(config: Config, lane: LaneConfig) -> tuple[AttemptBudget, IssueBudget]:
    """What an attempt and an issue of a lane may use."""
    return lane.budget.attempt or config.budget.attempt, lane.budget.issue or config.budget.issue


def allowances(config: Config, name: str, lane: LaneConfig, past: Past, run: Budget) -> list[Allowance]:
    """What one session may use: whatever it reaches first ends it.

    Args:
        run: the run's budget. How long the floor may run is its own affair.
    """
    attempt, issue = budgets(config, lane)
    return [
        Allowance(budget_of("attempt", attempt)),
        Allowance(budget_of("issue", issue, issue.attempts), past.issue),
        Allowance(budget_of("lane", lane.budget, lane=name), past.lane),
        Allowance(replace(run, time=None, attempts=None), past.run),
    ]


class Accounts:
    """One attempt's."""

    def __init__(
        self,
        tracker: Tracker,
        lease: Lease,
        attempt: Attempt,
        earlier: Sequence[Attempt],
        lane: str,
        rules: LaneConfig,
        config: Config,
        clock: Callable[[], float],
    ) -> None:
        """
        Args:
            earlier: the issue's attempts before this one that count against its budget.
            lane: name of the issue's lane; `rules` are its rules.
            clock: the one that its guards go by, which stands still while the attempt is paused.
        """
        self._tracker = tracker
        self._lease = lease
        self._attempt = attempt
        self._lane = lane
        self._clock = clock
        self._sessions = config.floor.sessions
        self._run = current_run(tracker)
        self._past = read_past(tracker, earlier, self._run, lane)
        self._issue = budgets(config, rules)[1]
        run = self._run.budget(config) if self._run is not None else Budget("run")
        self.guard = BudgetGuard(allowances(config, lane, rules, self._past, run))
        self._shared = (budget_of("lane", rules.budget, lane=lane), run)
        self._noted = Spend()
        self._noted_at = self._clock()
        self._note(Spend(attempts=1))

    def look(self) -> None:
        """The session has reported something: note what it has used, if that has grown by a step."""
        now = self._clock()
        spend = self.guard.spend(now)
        if is_due(self._shared, self._noted, spend, now - self._noted_at):
            self._note(spend)

    def turn_over(self) -> None:
        """The agent does not work any more."""
        if (spend := self.guard.spend(self._clock())) != self._noted:
            self._note(spend)

    def stopped(self) -> EndAttempt:
        """What it means that this process was asked to stop: a budget that others used up too, or a person."""
        found = reached_now(self._tracker)
        for over in (found.get(WHOLE_RUN), found.get(key(self._lane))):
            if over is not None and over.ends_attempts:
                return EndAttempt("over-budget", over.text)
        return EndAttempt("stopped", "stopped by a person")

    def settle(self, decision: EndAttempt) -> EndAttempt:
        """Write down what the attempt used; an issue that has used up its budget needs a person."""
        spend = self.guard.spend(self._clock())
        over = self.guard.reached if decision.outcome == "over-budget" else None
        self._note(spend, over)
        return after_budgets(decision, over, self._past, spend, self._issue, self._sessions)

    def _note(self, spend: Spend, over: Reached | None = None) -> None:
        self._noted, self._noted_at = spend, self._clock()
        note = {
            "run": self._run.id if self._run is not None else "",
            "lane": self._lane,
            "agent": self._attempt.agent,
            "started": self._attempt.started_at,
            "seconds": round(spend.seconds, 3),
            "tokens": spend.tokens,
            "cost": spend.cost,
            "estimated": spend.estimated,
            **({"reached": over.scope} if over is not None else {}),
        }
        try:
            self._tracker.note_attempt(self._attempt.id, SPEND, note, lease=self._lease)
        except Conflict:  # whoever has the issue now writes about it; a lost lease is noticed elsewhere
            return
        except TapeoutError:  # a full disk, say: the next report tells it too
            self._noted = Spend()


def settle_dead(
    tracker: Tracker, attempt: Attempt, earlier: Sequence[Attempt], decision: EndAttempt, config: Config
) -> EndAttempt:
    """As `Accounts.settle`, for an attempt whose worker died: by what it noted last."""
    lane, rules = lane_of(tracker.issue(attempt.issue), config)
    past = read_past(tracker, earlier, None, lane)
    used = spend_of(tracker.attempt_notes(attempt.id).get(SPEND, {}))
    return after_budgets(decision, None, past, used, budgets(config, rules)[1], config.floor.sessions)


def is_due(shared: Sequence[Budget], noted: Spend, spend: Spend, seconds: float) -> bool:
    """Whether what a session has used is to be noted again, so that who shares a budget with it knows.

    Args:
        shared: the budgets that it has in common with others.
        seconds: since it was noted.
    """
    tokens, cost = spend.tokens - noted.tokens, spend.cost - noted.cost
    return seconds >= REPORT_SECONDS or any(
        (budget.tokens is not None and tokens >= budget.tokens / STEPS)
        or (budget.cost is not None and cost >= budget.cost / STEPS)
        for budget in shared
    )


def after_budgets(
    decision: EndAttempt, over: Reached | None, past: Past, spend: Spend, issue: IssueBudget, sessions: int
) -> EndAttempt:
    """What follows the end of an attempt, with its budgets in view. Pure.

    Args:
        over: the budget that the attempt reached, if it ended by that.
        sessions: how many attempts may reach the budget of an attempt before a person is asked.
    """
    if decision.outcome == "landed" or decision.give_up:
        return decision
    counted = replace(spend, attempts=int(decision.outcome not in UNCOUNTED))
    used_up = reached(budget_of("issue", issue, issue.attempts), past.issue + counted)
    if used_up is not None:
        return replace(decision, give_up=used_up.text)
    if over is not None and over.scope == "attempt" and past.over + 1 >= sessions:
        return replace(decision, give_up=f"{past.over + 1} attempts ended at their budget; last: {over.text}")
    return decision
