"""The merge queue's decisions, without I/O: order, batch sizes, what to run, land and refuse; and a simulation of them.

`planner.plan` is the door: from a `Situation` to a `Plan`. `batching` says how many changes one run judges and why,
`order` why nothing starves, `forecast` how long it will take. `gate/lander.py` does what the plan says.
"""

from tapeout.gate.queue.batching import pass_rate
from tapeout.gate.queue.model import Clash, Combination, Plan, Situation, Waiting
from tapeout.gate.queue.order import in_order
from tapeout.gate.queue.planner import after_landing, plan

__all__ = [
    "Clash",
    "Combination",
    "Plan",
    "Situation",
    "Waiting",
    "after_landing",
    "in_order",
    "pass_rate",
    "plan",
]
