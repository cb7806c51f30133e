"""The planner at work against a simulated clock: for its tests, and for the figures of many random queues.

Nothing is merged and nothing is run: a function says whether a list of changes on main is good.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tapeout.gate.queue.batching import pass_rate
from tapeout.gate.queue.model import Combination, Plan, Situation, Waiting
from tapeout.gate.queue.planner import after_landing, plan

Judge = Callable[[Combination], bool]
"""Whether the gate passes these changes, all that landed included, in the order in which they are merged."""


@dataclass
class Outcome:
    """What became of a queue."""

    landed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    runs: int = 0
    cancelled: int = 0
    seconds: float = 0.0
    passed_trees: set[Combination] = field(default_factory=set)
    mains: list[Combination] = field(default_factory=list)


class Simulation:
    """A queue with runs that take `gate_seconds` each, of simulated time."""

    def __init__(self, waiting: Sequence[Waiting], judge: Judge, *, slots: int, gate_seconds: float = 1.0) -> None:
        self.waiting = {change.id: change for change in waiting}
        self.outcome = Outcome()
        self._judge = judge
        self._slots = slots
        self._gate_seconds = gate_seconds
        self._ends: list[tuple[float, int, Combination]] = []
        self._serial = 0
        self.running: dict[Combination, int] = {}
        self.passed: set[Combination] = set()
        self.failed: set[Combination] = set()
        self.clashes: set[frozenset[str]] = set()

    def situation(self) -> Situation:
        """As the planner sees it now."""
        out = self.outcome
        return Situation(
            waiting=tuple(self.waiting.values()), slots=self._slots,
            pass_rate=pass_rate(len(out.landed), len(out.refused)), aging=600.0,
            running=tuple(self.running), passed=tuple(self.passed), failed=tuple(self.failed),
            clashes=tuple(self.clashes),
        )  # fmt: skip

    def run(self) -> Outcome:
        """Until nothing waits."""
        while self.waiting:
            self.step()
        return self.outcome

    def step(self) -> Plan:
        """Perform one plan; if it neither lands nor refuses, go on to the next end of a run."""
        now = plan(self.situation())
        if now.land is not None:
            self._land(now.land)
        elif now.refuse is not None:
            self.drop(now.refuse)
            self.outcome.refused.append(now.refuse)
        else:
            self.perform(now)
            self.finish_next()
        return now

    def perform(self, now: Plan) -> None:
        """End and begin runs."""
        for run in now.cancel:
            del self.running[run]
            self.outcome.cancelled += 1
        for run in now.start:
            assert run not in self.running, "started twice"
            self._serial += 1
            self.running[run] = self._serial
            self.outcome.runs += 1
            heapq.heappush(self._ends, (self.outcome.seconds + self._gate_seconds, self._serial, run))
        assert len(self.running) <= self._slots, "more runs than slots"

    def finish_next(self) -> None:
        """Go to the end of the run that ends first."""
        while True:
            assert self._ends, "nothing runs, and the planner starts nothing"
            at, serial, _ = heapq.heappop(self._ends)
            run = next((one for one, number in self.running.items() if number == serial), None)
            if run is not None:
                break
        self.outcome.seconds = at
        del self.running[run]
        tree = (*self.outcome.landed, *run)
        if self._judge(tree):
            self.passed.add(run)
            self.outcome.passed_trees.add(tree)
        else:
            self.failed.add(run)

    def _land(self, combination: Combination) -> None:
        self.outcome.landed += combination
        self.outcome.mains.append(tuple(self.outcome.landed))
        for change in combination:
            del self.waiting[change]
        self.passed = {new for new in after_landing(self.passed, combination).values() if new}
        self.failed = {new for new in after_landing(self.failed, combination).values() if new}
        renamed = after_landing(self.running, combination)
        self.running = {new: self.running[old] for old, new in renamed.items() if new}

    def drop(self, change: str) -> None:
        """The change leaves the queue."""
        self.waiting.pop(change, None)
        for known in (self.passed, self.failed):
            known -= {one for one in known if change in one}

    def restart(self) -> None:
        """All runs and all that is known about combinations are lost, as after a kill, or when others move main."""
        self.running, self.passed, self.failed = {}, set(), set()

    def resize(self, slots: int) -> None:
        """From now on so many runs at once."""
        self._slots = slots


def numbered(count: int, **fields: int) -> list[Waiting]:
    """Changes `c0`, `c1`, ... that were queued a second after each other."""
    return [replace(Waiting(f"c{number}", 2, float(number)), **fields) for number in range(count)]  # type: ignore[arg-type]
