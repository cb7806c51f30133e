"""What a detector finds. Pure data."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["variations", "reappears", "swing", "stuck", "no change", "repeats", "fails", "no news"]


@dataclass(frozen=True)
class Spiral:
    """Going in circles, as far as it was seen."""

    kind: Kind
    evidence: str
    """What was seen, one line."""
    is_cut: bool
    """Whether it is enough to end the session; else the agent is told."""
