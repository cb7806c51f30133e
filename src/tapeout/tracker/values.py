"""Values in the data of operations, as the columns of the index hold them. Pure.

A log of another clone may hold anything: what does not fit raises, and its operation changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker.model import LAST_MOMENT, MAX_ESTIMATE, is_name

if TYPE_CHECKING:
    from typing import Any

Check = Callable[["Any"], "Any"]
"""Gives a value of an operation's data as a column holds it, or raises `TypeError` or `ValueError`."""


def text(value: Any) -> str:
    """A text."""
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value


def name(value: Any) -> str:
    """The id of an issue, an attempt or a change."""
    if not is_name(text(value)):
        raise ValueError(f"{value!r} is no id")
    return str(value)


def number(value: Any) -> int:
    """A whole number of a size that can be counted on from."""
    if type(value) is not int or not -MOST <= value <= MOST:
        raise TypeError(f"{value!r} is no whole number that an index can count on from")
    return value


def estimate(value: Any) -> int:
    """A number of minutes."""
    if not 0 <= number(value) <= MAX_ESTIMATE:
        raise ValueError(f"{value!r} is no estimate")
    return int(value)


def moment(value: Any) -> float:
    """Unix time, seconds."""
    if type(value) not in (int, float) or not 0 <= value <= LAST_MOMENT:
        raise ValueError(f"{value!r} is no moment")
    return float(value)


def real(value: Any) -> float:
    """The start of a process, which is counted from any moment that a system likes."""
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise ValueError(f"{value!r} is no number")
    return float(value)


def scope(value: Any) -> str:
    """A list of globs, as JSON."""
    if type(value) is not list:
        raise TypeError(f"{value!r} is no scope")
    return json.dumps([text(glob) for glob in value])


def optional(check: Check) -> Check:
    """A check that lets None pass."""
    return lambda value: None if value is None else check(value)


MOST = 1 << 53
"""Largest number of a log that is believed: what an index adds to it fits in any column."""

FIELDS: dict[str, Check] = {
    "title": text,
    "body": text,
    "acceptance": text,
    "design": text,
    "type": text,
    "priority": number,
    "scope": scope,
    "parent": optional(text),
    "agent": optional(text),
    "assignee": optional(text),
    "needs_person": optional(text),
    "deferred_until": optional(moment),
    "due_at": optional(moment),
    "estimate_minutes": optional(estimate),
    "external_ref": optional(text),
}
"""Fields of an issue that an operation can set directly, and what makes its value one that their columns hold."""
