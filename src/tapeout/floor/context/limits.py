"""How full the context of a session may get. Pure."""

from dataclasses import dataclass

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


def limits_for(agent: str, lane: LaneConfig, config: Config) -> ContextLimits:
    """The limits of a session: the lower of its agent's and its lane's limit, or the floor's if neither has one.

    Args:
        agent: name of the agent.
    """
    own = config.agents[agent].context_limit if agent in config.agents else None
    set_ones = [limit for limit in (own, lane.context_limit) if limit is not None]
    floor = config.floor
    return ContextLimits(min(set_ones, default=floor.context_limit), floor.context_ceiling, floor.context_grace)
