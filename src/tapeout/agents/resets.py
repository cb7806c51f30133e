"""When a provider says that it will answer again: the many ways in which agents put it, as a Unix time. Pure.

Samples of the wording come from the agents' own reports (see `tests/agents/test_problems.py`).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

STALE = 3600.0
"""Seconds for which a stated time that has just passed still counts: messages are repeated, clocks differ. A time of
day further back means tomorrow."""

HORIZON = 32 * 86400.0
"""Seconds ahead that are believed. The longest limits of providers are monthly."""

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH = re.compile(r"""(?:\||resets?_?at["']?\s*[:=]\s*["']?)(\d{10}|\d{13})(?!\d)""", re.IGNORECASE)
_SECONDS = re.compile(
    r"""(?:retry[-_ ]?after|resets?[-_ ]in[-_ ]seconds|retry[-_ ]?delay)(?:[-_ ](?P<ms>ms))?["']?\s*[:=]?\s*["']?"""
    r"""(?P<number>\d{1,9}(?:\.\d{1,9})?)(?!\s*(?:ms|m|h|d|hours?|min|days?)\b)""",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"\b(?:in|after|within|wait)\s+(?:about\s+|~\s*)?"
    r"(?P<span>(?:\d{1,9}(?:\.\d{1,9})?\s*(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|milliseconds?|ms)"
    r"(?![a-z])[\s,]{0,3}(?:and\s)?){1,4}|\d{1,9}(?:\.\d{1,9})?[dhms]\d[\dhms.]{0,20})",
    re.IGNORECASE,
)
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(milli|ms|d|h|m|s)", re.IGNORECASE)
_ANCHOR = r"(?:resets?(?:_at)?:?|available|try again|retry|renews?|until)(?![a-z])"
_ISO = re.compile(
    rf"{_ANCHOR}[^\n]{{0,24}}?(\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,9}})?)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    rf"{_ANCHOR}(?:\s+(?:at|on|after|around))*\s+"
    rf"(?:(?P<day>{'|'.join(_DAYS)})[a-z]*\.?,?\s+(?:at\s+)?)?"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<date>\d{{1,2}})(?:st|nd|rd|th)?,?\s+"
    r"(?:(?P<year>\d{4}),?\s+)?(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?\s*(?P<half>[ap]\.?m\b\.?)?"
    r"(?:\s*\(?(?P<zone>[A-Za-z]+/[A-Za-z_+\-0-9/]+|UTC|GMT)\)?)?",
    re.IGNORECASE,
)


def reset_time(text: str, now: float, local: tzinfo | None = None) -> float | None:
    """The Unix time at which a limit ends, by what `text` says; None if it says nothing that can be believed.

    `now` is the Unix time of the message; `local` the zone of a time of day without one, the machine's by default.
    """
    for moment in _stated(text, now, local or datetime.fromtimestamp(now).astimezone().tzinfo or UTC):
        if now - STALE <= moment <= now + HORIZON:
            return moment
    return None


def _stated(text: str, now: float, local: tzinfo) -> Iterator[float]:
    """Every time that the text states, the clearest form first."""
    for match in _EPOCH.finditer(text):
        yield float(match[1]) / (1000 if len(match[1]) == 13 else 1)
    for match in _SECONDS.finditer(text):
        yield now + float(match["number"]) * (0.001 if match["ms"] else 1)
    for match in _SPAN.finditer(text):
        yield now + sum(float(number) * _UNITS[_unit(unit)] for number, unit in _SPAN_PART.findall(match["span"]))
    for match in _ISO.finditer(text):
        moment = _iso(match[1])
        if moment is not None:
            yield moment
    for match in _CLOCK.finditer(text):
        moment = _clock(match, now, local)
        if moment is not None:
            yield moment


def _unit(word: str) -> str:
    return "ms" if word.lower() == "milli" else word.lower()


def _iso(text: str) -> float | None:
    """A date and time; without a zone it is UTC, which is what services write."""
    plain = re.sub(r"\s?(?:Z|UTC)$", "+00:00", text, flags=re.IGNORECASE)
    try:
        moment = datetime.fromisoformat(plain)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _clock(match: "re.Match[str]", now: float, local: tzinfo) -> float | None:
    """A time of day, on the stated day or the next time that it comes round."""
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), (match["half"] or "").lower()
    if not half and match["minute"] is None:
        return None  # a bare number is no time
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    try:
        today = datetime.fromtimestamp(now, _zone(match["zone"], local))
        moment = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if match["month"]:
            return _dated(moment, match, now)
        if match["day"]:
            days = (_DAYS.index(match["day"].lower()) - moment.weekday()) % 7
            return _coming(moment + timedelta(days=days), now, timedelta(days=7))
        return _coming(moment, now, timedelta(days=1))
    except (ValueError, OverflowError):
        return None


def _dated(moment: datetime, match: "re.Match[str]", now: float) -> float:
    month, year = _MONTHS.index(match["month"].lower()) + 1, match["year"]
    on = moment.replace(year=int(year or moment.year), month=month, day=int(match["date"]))
    if not year and on.timestamp() < now - HORIZON:  # "Jan 2", said in December
        on = on.replace(year=on.year + 1)
    return on.timestamp()


def _coming(moment: datetime, now: float, step: timedelta) -> float:
    return (moment if moment.timestamp() >= now - STALE else moment + step).timestamp()


def _zone(name: str | None, local: tzinfo) -> tzinfo:
    if name is None:
        return local
    if name.upper() in ("UTC", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return local
