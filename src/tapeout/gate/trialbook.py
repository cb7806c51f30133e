"""What the lander knows about combinations: which are gated, which passed, which failed; under their present names.

A combination is named relative to main. When one lands, those that stand on it lose their beginning.
"""

import json
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tapeout.base.paths import StatePaths
from tapeout.gate.evidence import Record
from tapeout.gate.queue import Clash, Combination
from tapeout.gate.stacking import Link
from tapeout.gate.trials import Run

State = Literal["running", "passed", "failed"]


@dataclass
class Trial:
    """A combination and its gate run."""

    links: tuple[Link, ...]
    run: Run
    landed: int = 0
    """How many of its first changes main contains now."""
    state: State = "running"
    run_id: str = ""
    """The evidence of its verdict; empty if there is none."""
    summary: dict[str, Any] | None = None
    begun_at: float = field(default_factory=time.time)
    """Unix time, seconds."""

    @property
    def open_links(self) -> tuple[Link, ...]:
        """Without what main contains."""
        return self.links[self.landed :]

    @property
    def combination(self) -> Combination:
        """Relative to main."""
        return tuple(link.change for link in self.open_links)

    def record(self, paths: StatePaths) -> Record:
        """The evidence of its verdict, as its run stored it."""
        with open(os.path.join(paths.evidence, self.run_id, "verdict.json"), encoding="utf-8") as file:
            found: Record = json.load(file)
        return found


class Book:
    """All trials on the present main."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []

    def begin(self, trial: Trial) -> None:
        """A run has been started."""
        self._trials.append(trial)

    def running(self) -> list[Trial]:
        """Those whose run goes on."""
        return [trial for trial in self._trials if trial.state == "running"]

    def combinations(self, state: State) -> tuple[Combination, ...]:
        """Those in this state."""
        return tuple(trial.combination for trial in self._trials if trial.state == state)

    def trial(self, combination: Combination, state: State) -> Trial:
        """The one of this name."""
        return next(one for one in self._trials if one.state == state and one.combination == combination)

    def of_run(self, pid: int) -> Trial:
        """The one that this process judges."""
        return next(one for one in self.running() if one.run.pid == pid)

    def forget(self, combination: Combination, state: State) -> Trial:
        """Take it out."""
        found = self.trial(combination, state)
        self._trials.remove(found)
        return found

    def note(self, trial: Trial, answer: dict[str, Any] | None) -> None:
        """Its run has ended; None: without a verdict, which counts as a failure of several changes together."""
        trial.state = "passed" if answer is not None and answer["summary"]["passed"] else "failed"
        if answer is not None:
            trial.run_id, trial.summary = answer["run"], answer["summary"]

    def move_on(self, landed: Sequence[Link]) -> list[Run]:
        """Main contains these now; returns the runs that stand on what main is not."""
        stays: list[Trial] = []
        lost: list[Run] = []
        for trial in self._trials:
            if trial.open_links[: len(landed)] == tuple(landed) and len(trial.open_links) > len(landed):
                trial.landed += len(landed)
                stays.append(trial)
            elif trial.state == "running":
                lost.append(trial.run)
        self._trials = stays
        return lost

    def view(self, main: str, clashes: Collection[Clash], queued: Sequence[str]) -> dict[str, Any]:
        """For `tapeout queue`."""
        return {
            "pid": os.getpid(),
            "main": main,
            "runs": [
                {"changes": list(trial.combination), "begun_at": trial.begun_at, "pid": trial.run.pid}
                for trial in self.running()
            ],
            "failing": [list(one) for one in self.combinations("failed")],
            "passed": [list(one) for one in self.combinations("passed")],
            "clashes": [sorted(pair) for pair in clashes if pair <= set(queued)],
        }
