"""Sections of items within a budget of tokens: for each its share, the most urgent of each before more of any. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from tapeout.base.lean import NamedTuple
from tapeout.base.tokens import estimate
from tapeout.tracker.prime.model import MANY


class Section(NamedTuple):
    """A part of the text as it is shown."""

    title: str
    items: tuple[str, ...]
    left_out: int
    """Items that had no room; a count over `MANY` stands for any number."""
    more: str
    """The command that shows them."""
    at_least: bool = False
    """Whether there may be more that were not looked for."""


class Item(NamedTuple):
    """A line in its two lengths."""

    short: str
    full: str


class Plan(NamedTuple):
    """A section before it is known how much room it has."""

    title: str
    share: float
    rank: int
    """Who is served first."""
    items: Sequence[Item]
    more: str
    total: int = 0
    """How many items there are, where more are known of than were looked for."""
    at_least: bool = False
    """Whether there may be more items than these, nobody knows how many."""


class _Part:
    """A section while it is filled: what it shows and what that costs, the line that says what is left out included."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.items: list[str] = []
        self.cost = 0

    def cost_with(self, position: int, text: str) -> int:
        """What the section would cost with `text` as that item, the next one or one that it shows already."""
        items = [*self.items[:position], text, *self.items[position + 1 :]]
        return sum(map(_line_cost, _lines(_section(self.plan, items))))

    def put(self, position: int, text: str) -> None:
        """Show `text` as that item."""
        self.cost = self.cost_with(position, text)
        self.items[position : position + 1] = [text]


def allot(plans: Sequence[Plan], room: int) -> tuple[Section, ...]:
    """The sections as they are shown, within `room` tokens altogether; those that show nothing are missing."""
    parts = [_Part(plan) for plan in plans if plan.items]
    served = sorted(parts, key=lambda part: part.plan.rank)
    shares = sum(part.plan.share for part in parts)

    def put(part: _Part, position: int, text: str, limit: float) -> bool:
        cost = part.cost_with(position, text)
        if cost > limit or sum(other.cost for other in parts) - part.cost + cost > room:
            return False
        part.put(position, text)
        return True

    for part in served:
        put(part, 0, part.plan.items[0].short, room)
    for part in served:
        _fill(part, partial(put, part, limit=room * part.plan.share / shares))
    for part in served:
        _fill(part, partial(put, part, limit=room))
    return tuple(_section(part.plan, part.items) for part in parts if part.items)


def text_of(sections: Sequence[Section]) -> str:
    """Sections as Markdown."""
    return "".join(f"{line}\n" for section in sections for line in _lines(section))


def _fill(part: _Part, put: Callable[[int, str], bool]) -> None:
    """Show items in their order, each as long as there is room, until one does not fit at all."""
    if not part.items:
        return
    for position, item in enumerate(part.plan.items):
        if position < len(part.items):
            if part.items[position] != item.full:
                put(position, item.full)
        elif not put(position, item.full) and not put(position, item.short):
            return


def _left_out(plan: Plan, shown: int) -> int:
    return plan.total if plan.total > MANY else max(plan.total, len(plan.items)) - shown


def _section(plan: Plan, items: Sequence[str]) -> Section:
    return Section(plan.title, tuple(items), _left_out(plan, len(items)), plan.more, plan.at_least)


def _lines(section: Section) -> list[str]:
    lines = ["", f"## {section.title}", *section.items]
    if section.left_out:
        least = "at least " if section.at_least else ""
        lines.append(f"- {least}{many(section.left_out)} more: {section.more}")
    return lines


@lru_cache(maxsize=1024)
def _line_cost(line: str) -> int:
    return estimate(f"{line}\n")


def many(number: int) -> str:
    """A count that may have stopped at `MANY`."""
    return f"over {MANY}" if number > MANY else str(number)


def length(seconds: float) -> str:
    """A length of time, rounded down to whole minutes, hours or days."""
    minutes = int(min(max(0, seconds), 1e9) // 60)  # in this order also what is not a number becomes 0
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
