"""Lanes of `tapeout.toml`: classes of work, `[lane.NAME]`, each with rules of its own."""

from typing import Annotated

from pydantic import AfterValidator, Field

from tapeout.config.budget import LaneBudget
from tapeout.config.context import Share
from tapeout.config.values import Model, Name
from tapeout.tracker.model import ISSUE_TYPES


def _issue_type(value: str) -> str:
    if value not in ISSUE_TYPES:
        raise ValueError(f"should be one of {', '.join(ISSUE_TYPES)}")
    return value


class LaneConfig(Model):
    """`[lane.NAME]`: an issue belongs to the first lane of the file that it fits. It has to fit each of `types`,
    `labels` and `paths` that the lane names; a lane that names none of them fits every issue."""

    types: Annotated[tuple[Annotated[str, AfterValidator(_issue_type)], ...], Field(strict=False)] = ()
    """Types of issues, such as `bug`: one of these."""

    labels: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Labels: at least one of these."""

    paths: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs: whatever the issue's scope names has to overlap with one of them. An issue without a scope fits no lane
    that names paths."""

    context_limit: Share | None = None
    """How full the context of an agent may get, in place of `floor.context_limit`. If the agent or its model has one
    too, the lowest holds."""

    agents: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Agents for the lane's issues, as in `[floor]`; by default those of the floor."""

    budget: LaneBudget = LaneBudget()
    """What the lane may use."""
