"""Which guards a session has. Pure."""

from dataclasses import dataclass

from tapeout.agents import AgentSpec
from tapeout.config import Config, LaneConfig
from tapeout.floor.context.meter import ContextMeter
from tapeout.floor.guards import Guard
from tapeout.floor.memory.model import Round
from tapeout.floor.spirals.guard import SpiralGuard
from tapeout.tracker.model import Attempt, Issue


@dataclass(frozen=True)
class Watched:
    """The session that is to be watched."""

    issue: Issue
    attempt: Attempt
    earlier: tuple[Attempt, ...]
    """The issue's attempts before this one that count against its budget."""
    agent: AgentSpec
    lane: LaneConfig
    config: Config
    remembered: tuple[Round, ...] = ()
    """Rounds of the issue's sessions before this one."""


def guards_for(watched: Watched, meter: ContextMeter) -> list[Guard]:
    """The guards of a session."""
    return [meter, SpiralGuard(watched.remembered)]
