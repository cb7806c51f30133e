"""How long it will take until a change is decided: an estimate from what was measured."""

import math

_EFFICIENCY = 0.92
"""How much of the bits that runs could tell our combinations gain (simulated; see docs/explanation/queue.md)."""


def changes_a_round(pass_rate: float, slots: int) -> float:
    """How many changes are decided while one gate run takes its time, on average.

    A change holds the entropy of its pass rate, and a round of s stacked runs tells at most log2(s + 1) bits.
    """
    p = min(max(pass_rate, 0.02), 0.98)
    entropy = -(p * math.log2(p) + (1 - p) * math.log2(1 - p))
    return max(_EFFICIENCY * math.log2(slots + 1) / entropy, 1.0)


def expected_seconds(position: int, gate_seconds: float, pass_rate: float, slots: int) -> float:
    """When the change at this position of the order is decided, in seconds from now.

    Args:
        position: from 1.
        gate_seconds: how long one gate run takes.
    """
    return math.ceil(position / changes_a_round(pass_rate, slots)) * gate_seconds
