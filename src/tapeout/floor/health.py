"""How an attempt is, for people: from what its worker said last, its process and its lease. Pure.

An attempt is **dead** only when that is known: its process is gone or, on another machine, its lease ran out.
"""

from dataclasses import dataclass
from typing import Literal

from tapeout.tracker.model import Activity, Attempt

State = Literal[
    "starting", "working", "waiting", "paused", "stalled", "spiralling", "over budget", "stopping", "dead"
]  # fmt: skip

WaitsFor = Literal["", "gate", "permission", "provider", "person"]


@dataclass(frozen=True)
class Health:
    """How an attempt is."""

    state: State
    waits_for: WaitsFor = ""


def health_of(
    attempt: Attempt, shown: Activity | None, *, process_lives: bool | None, lease_expires: float | None, now: float
) -> Health:
    """How a running attempt is.

    Args:
        shown: what its worker said last.
        process_lives: whether its worker's process lives; None if that cannot be seen from here.
        lease_expires: until when its lease holds, Unix time; None if it has none.
        now: Unix time.
    """
    if process_lives is False or (process_lives is None and (lease_expires or 0) <= now):
        return Health("dead")
    if shown is not None and shown.state in _STATES:
        waits_for = shown.waits_for if shown.waits_for in _WAITS_FOR else ""
        return Health(_STATES[shown.state], _WAITS_FOR[waits_for])
    if attempt.state == "submitted":
        return Health("waiting", "gate")
    return Health("starting" if attempt.state == "starting" else "working")


_STATES: dict[str, State] = {
    state: state
    for state in ("starting", "working", "waiting", "paused", "stalled", "spiralling", "over budget", "stopping")
}
_WAITS_FOR: dict[str, WaitsFor] = {what: what for what in ("", "gate", "permission", "provider", "person")}

CUT_STATES: dict[str, State] = {"spiral": "spiralling", "budget": "over budget", "stalled": "stalled"}
"""State of an attempt whose session is being cut, by the kind of the cut; `stopping` for the others."""
