"""Who is merged first: priority with aging, so that nothing starves.

A change counts as queued `priority * aging` seconds after it was, and whoever counts as queued first goes first. So of
two changes with the priorities p and q, the one that was queued d seconds earlier goes first unless it is less urgent
and d < (p - q) * aging. Whoever is queued more than 4 * aging (the distance from the least to the most urgent) after a
change never goes before it.

The key does not depend on the present time, so the order of two changes never turns round while they wait, and no
stacked run is lost to a change of mind.
"""

from collections.abc import Iterable

from tapeout.gate.queue.model import Waiting


def rank(change: Waiting, aging: float) -> float:
    """The moment at which a change counts as queued, Unix seconds.

    Args:
        aging: seconds of waiting that weigh as much as one step of priority.
    """
    return change.queued_at + change.priority * aging


def in_order(waiting: Iterable[Waiting], aging: float) -> list[Waiting]:
    """The changes as they are to be merged; of equals, the one that was given first."""
    return sorted(waiting, key=lambda change: rank(change, aging))
