"""How full the context of a session may get. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tapeout.config import Config, LaneConfig


@dataclass(frozen=True)
class ContextLimits:
    """Parts of the context window, and what happens at each."""

    limit: float
    """From here on the session has to hand over."""
    ceiling: float
    """From here on its agent is killed."""
    grace: float
    """Seconds that a turn which reached the limit may take to end by itself."""


@dataclass(frozen=True)
class LimitRules:
    """What decides how full the context of a session may get."""

    agent: str
    """Name of the agent."""
    lane: LaneConfig
    config: Config

    def limits(self, model: str) -> ContextLimits:
        """The lowest of the limits of the agent, its model and its lane, or the floor's if none has one.

        Args:
            model: empty if nobody says.
        """
        floor, agents = self.config.floor, self.config.agents
        own = agents[self.agent].context_limit if self.agent in agents else None
        by_model = (one for name, one in floor.model_context_limits.items() if model and fnmatchcase(model, name))
        found = [limit for limit in (own, next(by_model, None), self.lane.context_limit) if limit is not None]
        return ContextLimits(min(found, default=floor.context_limit), floor.context_ceiling, floor.context_grace)
