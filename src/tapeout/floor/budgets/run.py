"""A run of the floor, and which budgets are used up in it: settings of the index, which is this machine's.

A run lasts from `tapeout up` to the floor's end; a floor that was killed goes on in it, so that being started again by
some program does not renew its budget.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from tapeout.base.ids import new_id
from tapeout.floor.budgets.limits import Budget, Reached, budget_of
from tapeout.tracker import Tracker
from tapeout.tracker.model import BUDGETS_REACHED

if TYPE_CHECKING:
    from tapeout.config import Config

RUN = "floor-run"
"""Setting of the index that holds the run which has not ended."""

WHOLE_RUN = "run"
"""What stands for the run itself among the budgets that are used up; lanes stand with their name after `lane `."""

GIVEN = ("time", "tokens", "cost")
"""Limits that the command line may set."""


@dataclass(frozen=True)
class Run:
    """A run of the floor."""

    id: str
    since: float
    """Time at which it began, by the tracker's clock."""
    given: Mapping[str, float] = field(default_factory=dict)
    """Limits from the command line, in place of those of `tapeout.toml`."""

    def budget(self, config: "Config") -> Budget:
        """What it may use."""
        return replace(budget_of("run", config.budget, config.budget.attempts), **self.given)  # type: ignore[arg-type]


def begin_run(tracker: Tracker, given: Mapping[str, float]) -> Run:
    """The run that a killed floor left, or a new one; with the limits that are given now."""
    left = current_run(tracker)
    if left is None:
        identity = new_id()
        tracker.record("run-started", {"run": identity})
        left = Run(identity, tracker.events(limit=1)[-1].at)
    run = replace(left, given=given)
    tracker.change_setting(BUDGETS_REACHED, "")
    tracker.change_setting(RUN, json.dumps({"id": run.id, "since": run.since, "given": dict(given)}))
    return run


def current_run(tracker: Tracker) -> Run | None:
    """The run that has not ended."""
    try:
        data = json.loads(tracker.setting(RUN) or "{}")
        given = {str(name): value for name, value in data["given"].items() if name in GIVEN}
        return Run(str(data["id"]), float(data["since"]), given)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def end_run(tracker: Tracker) -> None:
    """The floor ends: the next one begins a new run."""
    tracker.change_setting(RUN, "")


def key(lane: str | None) -> str:
    """What a lane, or for None the run, stands under among the budgets that are used up."""
    return WHOLE_RUN if lane is None else f"lane {lane}"


def reached_now(tracker: Tracker) -> dict[str, Reached]:
    """The budgets of the run and of lanes that are used up, by `key`; those of the last run until the next begins."""
    try:
        found = json.loads(tracker.setting(BUDGETS_REACHED) or "{}")
        return {str(name): Reached(**fields) for name, fields in found.items()}
    except (AttributeError, TypeError, ValueError):  # written by another version
        return {}


def remember_reached(tracker: Tracker, found: Mapping[str, Reached]) -> None:
    """Let everybody know which budgets are used up."""
    data = {name: asdict(one) for name, one in found.items()}
    tracker.change_setting(BUDGETS_REACHED, json.dumps(data, sort_keys=True) if data else "")
