"""What keeps attempts from being started, read from the tracker: the shell around `admission`.

It reads what attempts note of themselves, and what is known of providers. Nothing it remembers is lost with it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tapeout.config import Config
from tapeout.floor.admission import (
    Admission,
    Room,
    Start,
    agent_chain,
    narrowest,
    next_agents,
    provider_room,
    rate_room,
)
from tapeout.floor.budgets.ledger import HOUR, Ledger
from tapeout.floor.budgets.limits import Budget, Reached, budget_of, reached
from tapeout.floor.budgets.run import Run, key, remember_reached
from tapeout.floor.budgets.spend import Spend
from tapeout.floor.lanes import lane_of
from tapeout.floor.providers import provider_of, provider_settings
from tapeout.floor.providers.circuit import CLOSED
from tapeout.floor.providers.pauses import read_circuits
from tapeout.tracker import Tracker
from tapeout.tracker.model import Attempt, Issue


class Admitting:
    """The budgets of a run and the limits of providers, as they are used."""

    def __init__(
        self, tracker: Tracker, run: Run, config: Config, usual: Sequence[str], missing: frozenset[str] = frozenset()
    ) -> None:
        """
        Args:
            usual: agents for issues that name none and whose lane names none.
            missing: agents that are not installed.
        """
        self._tracker = tracker
        self._config = config
        self._usual = tuple(usual)
        self._missing = missing
        self._budget = run.budget(config)
        self._ledger = Ledger(tracker, run)
        self._since = time.monotonic()
        self.reached: dict[str, Reached] = {}
        """The budgets that are used up, of the run and of lanes; see `budgets.run.key`."""

    def admission(self, ready: Sequence[Issue], running: Sequence[Attempt], starting: Mapping[str, Start]) -> Admission:
        """What keeps these issues from being started now."""
        self._ledger.refresh()
        now, choices = time.monotonic(), {issue.id: self._choices(issue) for issue in ready}
        self._look(now)
        agents = {agent for chain in choices.values() for agent in chain}
        providers = {agent: provider_of(agent, self._config) for agent in agents}
        return Admission(
            usual=self._usual,
            choices=choices,
            lanes={issue.id: lane_of(issue, self._config)[0] for issue in ready},
            providers=providers,
            rooms=self._provider_rooms(set(providers.values()), running, starting, now),
            lane_rooms={name: self._lane_room(name) for name in self._config.lane},
            whole=self._whole_room(now),
        )

    def started(self, attempt: str, start: Start) -> None:
        """An attempt is being started."""
        self._ledger.started(attempt, start.lane, start.agent)

    def not_started(self, attempt: str) -> None:
        """It ended before it began."""
        self._ledger.not_started(attempt)

    def over_budget(self, running: Sequence[Attempt]) -> tuple[str, ...]:
        """The attempts that have to end, for what they share with others is used up."""
        if not self.reached:
            return ()
        whole = self._ends(key(None))
        return tuple(one.id for one in running if whole or self._ends(key(self._ledger.lane(one.id))))

    def seconds_left(self) -> float | None:
        """Until the run's time is over."""
        if self._budget.time is None or key(None) in self.reached:
            return None
        return max(0.0, self._since + self._budget.time - time.monotonic())

    def _ends(self, name: str) -> bool:
        found = self.reached.get(name)
        return found is not None and found.ends_attempts

    def _look(self, now: float) -> None:
        """Which budgets are used up."""
        used = replace(self._ledger.spend(), seconds=now - self._since)
        budgets: list[tuple[str, Budget, Spend]] = [(key(None), self._budget, used)]
        for name, lane in self._config.lane.items():
            budget = budget_of("lane", lane.budget, lane.budget.attempts, name)
            budgets.append((key(name), budget, self._ledger.spend(name)))
        for name, budget, spend in budgets:
            over = reached(budget, spend)
            if over is not None and name not in self.reached:
                self.reached[name] = over
                remember_reached(self._tracker, self.reached)
                self._tracker.record("over-budget", {"budget": name, "reason": over.text})

    def _choices(self, issue: Issue) -> tuple[str, ...]:
        wanted = agent_chain(issue, self._config, self._usual)
        # Who wants only agents that are not installed is told so by an attempt, not left waiting.
        chain = tuple(agent for agent in wanted if agent not in self._missing) or wanted
        if len(chain) < 2:
            return chain
        return next_agents(chain, self._tracker.budget_attempts(issue.id), self._config.floor)

    def _provider_rooms(
        self, providers: set[str], running: Sequence[Attempt], starting: Mapping[str, Start], now: float
    ) -> dict[str, Room]:
        wall, circuits = time.time(), read_circuits(self._tracker)
        used: dict[str, list[float]] = {}
        for attempt in running:
            used.setdefault(provider_of(attempt.agent, self._config), []).append(attempt.started_at)
        for start in starting.values():
            used.setdefault(provider_of(start.agent, self._config), []).append(wall)
        began: dict[str, list[float]] = {}
        for at, agent in self._ledger.began(now):
            began.setdefault(provider_of(agent, self._config), []).append(at)
        return {
            name: provider_room(
                circuits.get(name, CLOSED),
                provider_settings(name, self._config),
                used.get(name, ()),
                began.get(name, ()),
                wall,
                now,
            )
            for name in providers
        }

    def _lane_room(self, name: str) -> Room:
        if key(name) in self.reached:
            return Room(0)
        limit = self._config.lane[name].budget.attempts
        return Room() if limit is None else Room(max(0, limit - self._ledger.spend(name).attempts))

    def _whole_room(self, now: float) -> Room:
        if key(None) in self.reached:
            return Room(0)
        rooms = [rate_room(self._config.budget.attempts_per_hour, HOUR, (at for at, _ in self._ledger.began(now)), now)]
        if self._budget.attempts is not None:
            rooms.append(Room(max(0, self._budget.attempts - self._ledger.spend().attempts)))
        return narrowest(rooms)
