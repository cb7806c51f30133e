"""`tapeout stats`: how many issues of which sort, how old, how fast."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, duration, table

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker.reports.figures import Spread, Statistics

_DAY_SECONDS = 86_400


def add_arguments(parser: Describes) -> None:
    """Arguments of `stats`."""
    add_json(parser)
    parser.set_defaults(run=_stats)


def _stats(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        found = tracker.statistics()
    return Result(_as_data(found), _text(found))


def _as_data(found: Statistics) -> dict[str, Any]:
    rows = ("types", "priorities", "labels", "assignees", "agents", "weeks")
    return {
        "states": found.states,
        **{name: [one._asdict() for one in getattr(found, name)] for name in rows},
        "age": found.age._asdict(),
        "lead": found.lead._asdict(),
    }


def _text(found: Statistics) -> str:
    if not found.states:
        return "no issues"
    parts = [", ".join(f"{count} {state}" for state, count in found.states.items())]
    parts.append(f"open for: {_spread(found.age)}\ntook, from filing to closing: {_spread(found.lead)}")
    for name, tallies in (
        ("type", found.types), ("priority", found.priorities), ("label", found.labels), ("assignee", found.assignees),
    ):  # fmt: skip
        parts += _table((name, "open", "closed"), tallies)
    parts += _table(("agent", "attempts", "landed"), found.agents)
    weeks = [(time.strftime("%Y-%m-%d", time.localtime(w.ends)), w.opened, w.closed) for w in found.weeks]
    parts += _table(("week until", "opened", "closed"), weeks)
    return "\n\n".join(parts)


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [table(headers, rows)] if rows else []


def _spread(spread: Spread) -> str:
    if spread.median is None or spread.p90 is None:
        return "-"
    return f"half at most {_length(spread.median)}, nine of ten at most {_length(spread.p90)}"


def _length(seconds: float) -> str:
    return f"{seconds / _DAY_SECONDS:.1f} days" if seconds >= _DAY_SECONDS else duration(seconds)
