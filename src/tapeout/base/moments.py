"""Moments and lengths of time as text, and back. Total: another clone may have sent any number."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Seconds of a unit of time."""


def clock(at: float) -> str:
    """A moment (Unix seconds) by the local clock, for people; one beyond the calendar as a number."""
    return _formatted("%Y-%m-%d %H:%M:%S", time.localtime, at)


def utc(at: float) -> str:
    """A moment (Unix seconds) in UTC, for whoever may be elsewhere; one beyond the calendar as a number."""
    return _formatted("%Y-%m-%dT%H:%M:%SZ", time.gmtime, at)


def utc_minute(at: float) -> str:
    """As `utc`, without seconds."""
    return _formatted("%Y-%m-%dT%H:%MZ", time.gmtime, at)


def seconds_of(text: str) -> int | None:
    """A length of time such as `7d` or `90m`, in seconds; None if it is none."""
    number, unit = text[:-1], text[-1:]
    plain = number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS
    return int(number) * UNITS[unit] if plain and unit in UNITS else None


MAX_DIGITS = 9
"""Of a length of time."""


def _formatted(pattern: str, calendar: Callable[[float], time.struct_time], at: float) -> str:
    try:
        return time.strftime(pattern, calendar(at))
    except (OverflowError, ValueError, OSError):
        return f"{at:g}"
