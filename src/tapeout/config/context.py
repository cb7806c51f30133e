"""How full the context of an agent may get, as `tapeout.toml` says it."""

from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(gt=0, le=1)]
"""Part of a context window, above 0 and up to 1."""


def problem_of_limits(ceiling: float, limits: dict[str, float | None]) -> str:
    """What is wrong with limits; empty if nothing is.

    Args:
        ceiling: `floor.context_ceiling`.
        limits: name of the field to the limit that it sets.
    """
    for name, limit in limits.items():
        if limit is not None and limit > ceiling:
            return (
                f"{name} is {limit:g}, above floor.context_ceiling ({ceiling:g}): a session would be killed before it"
                " is asked to hand over"
            )
    return ""
