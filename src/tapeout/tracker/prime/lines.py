"""Facts as lines, each in a short and a full form. Pure."""

from __future__ import annotations

from collections.abc import Callable

from tapeout.base.moments import utc_minute
from tapeout.tracker.prime.clipping import name, quoted
from tapeout.tracker.prime.model import Brief, Closed, Failure
from tapeout.tracker.prime.sections import Item

TITLE, SHORT_TITLE = 40, 12
TEXT, SHORT_TEXT = 90, 16


def both(make: Callable[[int, int], str]) -> Item:
    """An item in its short and its full form: `make` is given the most tokens of a title and of a text."""
    return Item(make(SHORT_TITLE, SHORT_TEXT), make(TITLE, TEXT))


def brief_line(brief: Brief, tokens: int) -> str:
    """Id, priority, type and title of an issue; the title within so many tokens."""
    kind = f" {name(brief.type)}" if brief.type != "task" else ""
    return f"{name(brief.id)} P{brief.priority}{kind} {quoted(brief.title, tokens)}"


def ready_line(brief: Brief) -> Item:
    """An issue that could be started."""
    return both(lambda title, _: f"- {brief_line(brief, title)}")


def failure_line(one: Failure) -> Item:
    """What did not work and why."""
    return both(lambda title, text: f"- {brief_line(one.issue, title)} {one.what}: {quoted(one.why, text)}")


def closed_line(one: Closed) -> Item:
    """An issue that is done with."""
    commit = f" as {name(one.commit[:12])}" if one.commit else ""
    return both(
        lambda title, _: f"- {brief_line(one.issue, title)} {name(one.resolution)}{commit}, {utc_minute(one.at)}"
    )
