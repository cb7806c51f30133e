"""The fields that a query can name: how their values are read, and what is wrong with one. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from tapeout.base.lean import Literal, NamedTuple
from tapeout.base.moments import seconds_of
from tapeout.tracker.model import ISSUE_TYPES, PRIORITIES, RESOLUTIONS

STATES = (
    "open", "closed", "ready", "blocked", "leased", "deferred", "needs-person", "not-needed", "overdue", "queued",
    "epic", *RESOLUTIONS,
)  # fmt: skip
HAVING = (
    "label", "parent", "child", "assignee", "agent", "ref", "body", "acceptance", "design", "scope", "estimate", "due",
    "defer", "comment", "attachment", "dependency", "blocker", "attempt", "change", "lease",
)  # fmt: skip
SORTS = ("priority", "created", "updated", "closed", "due", "defer", "estimate", "title", "id")


class Value(NamedTuple):
    """What a field is compared with."""

    operator: Literal["=", "*", "<", "<=", ">", ">=", ".."]
    """`*`: begins with; `..`: between `text` and `high`, both included, either of which may be empty."""
    text: str
    high: str = ""


class Kind(NamedTuple):
    """How the values of a field are read, and what is wrong with one, if anything."""

    read: Callable[[str], Value]
    check: Callable[[Value], str]
    is_choice: bool = False
    """Whether it is one of a few words, in upper or lower case."""


def _read_exact(text: str) -> Value:
    return Value("=", text)


def read_prefix(text: str) -> Value:
    """Text that may end with `*`."""
    return Value("*", text[:-1]) if len(text) > 1 and text.endswith("*") else Value("=", text)


def _read_comparison(text: str) -> Value:
    for operator in ("<=", ">=", "<", ">"):
        if text.startswith(operator):
            return Value(operator, text.removeprefix(operator))
    low, dots, high = text.partition("..")
    return Value("..", low, high) if dots else Value("=", text)


def _choice(*choices: str) -> Kind:
    def check(value: Value) -> str:
        return "" if value.text.lower() in choices else f"{value.text!r} is not one of {', '.join(choices)}"

    return Kind(_read_exact, check, is_choice=True)


def _check_sort(value: Value) -> str:
    key = value.text.lower().removesuffix("-desc").removesuffix("-asc")
    return "" if key in SORTS else f"{value.text!r} is not one of {', '.join(SORTS)}, with -desc for the reverse"


def _check_text_value(value: Value) -> str:
    return "" if value.text else "needs a value"


def _check_words(value: Value) -> str:
    return "" if any(c.isalnum() for c in value.text) else f"{value.text!r} has no letter or digit to search for"


def _bounds(value: Value) -> list[str]:
    return [text for text in (value.text, value.high) if text] if value.operator == ".." else [value.text]


def _check_priority(value: Value) -> str:
    bounds = _bounds(value)
    if bounds and all(len(text) == 1 and text in "01234" for text in bounds):
        return ""
    return f"{shown(value)!r} is not a priority: {PRIORITIES[0]} to {PRIORITIES[-1]}, <=1, or 0..2"


def _check_estimate(value: Value) -> str:
    bounds = _bounds(value)
    if bounds and all(re.fullmatch("[0-9]{1,7}[mhdw]?", text) for text in bounds):
        return ""
    return f"{shown(value)!r} is not an estimate: 90 (minutes), <2h, or 1h..3h"


def _check_moment(value: Value) -> str:
    bounds = _bounds(value)
    lengths = [seconds_of(text) is not None for text in bounds]
    if all(lengths) and bounds and value.operator != "=":
        return ""
    if bounds and not any(lengths) and all(day_or_time(text) for text in bounds):
        return ""
    return f"{shown(value)!r} is not a time: <7d, >2w, 2027-01-31, >=2027-01-31T12:00, or 2027-01-01..2027-01-31"


def shown(value: Value) -> str:
    """A value as it is written, but for quotes."""
    if value.operator == "..":
        return f"{value.text}..{value.high}"
    return ("" if value.operator == "=" else value.operator) + value.text


def day_or_time(text: str) -> tuple[float, float] | None:
    """Unix times between which a day lies, or at which a moment is, in local time; None if it is neither."""
    from datetime import datetime, timedelta

    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if "T" in text:
            return moment.timestamp(), moment.timestamp()
        return moment.timestamp(), (moment + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


_TEXT = Kind(read_prefix, _check_text_value)
_WORDS = Kind(read_prefix, _check_words)
_MOMENT = Kind(_read_comparison, _check_moment)

KINDS: dict[str, Kind] = {
    "": _WORDS,  # no field: words to search for anywhere
    "status": _choice("open", "closed"),
    "is": _choice(*STATES),
    "type": _choice(*ISSUE_TYPES),
    "resolution": _choice(*RESOLUTIONS),
    "priority": Kind(_read_comparison, _check_priority),
    "label": _TEXT,
    "assignee": _TEXT,
    "agent": _TEXT,
    "created-by": _TEXT,
    "id": _TEXT,
    "parent": _TEXT,
    "under": _TEXT,
    "ref": _TEXT,
    "estimate": Kind(_read_comparison, _check_estimate),
    "created": _MOMENT,
    "updated": _MOMENT,
    "closed": _MOMENT,
    "due": _MOMENT,
    "defer": _MOMENT,
    "title": _WORDS,
    "body": _WORDS,
    "acceptance": _WORDS,
    "design": _WORDS,
    "comment": _WORDS,
    "has": _choice(*HAVING),
    "no": _choice(*HAVING),
}
SORT = Kind(_read_exact, _check_sort)
ALIASES = {"state": "is"}

FIELDS = (*(name for name in KINDS if name), "sort")
"""The fields that a query can name."""
