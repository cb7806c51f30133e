"""The table of `tapeout.toml` about the merge queue: `[queue]`."""

from typing import Annotated

from pydantic import Field

from tapeout.config.values import Model, Seconds


class QueueConfig(Model):
    """`[queue]`"""

    slots: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many gate runs go on at once; by default one for each processor core."""

    aging: Seconds = 900.0
    """How much waiting weighs as much as one step of priority: with 15 minutes, a change of priority 3 goes before one
    of priority 2 that was queued 15 minutes after it. So nothing starves."""

    revert_red: bool = False
    """What happens when the target branch itself fails the gate. `false`: the queue stops, and an issue names the
    commit that did it. `true`: a revert of that commit goes through the gate before all other changes."""
