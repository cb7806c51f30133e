"""`tapeout context`: does it matter how full an agent's context is? What this repository's verdicts say."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, counted, table

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.floor.context.curve import Bin, Curve, Interval, Recommendation

MOST_ATTEMPTS = 50_000
"""Attempts that are read, the newest: as many fit into a second."""

_BAR = 20
"""Characters of a pass rate of 1."""

_WARNING = "Full contexts need not be the cause of what is seen here: long sessions are those with the harder issues."


def add_arguments(parser: Describes) -> None:
    """Arguments of `context`."""
    add_json(parser)
    parser.set_defaults(run=_context)


def _context(arguments: argparse.Namespace) -> Result:
    from tapeout.floor.context.curve import LEAST_VERDICTS, curves
    from tapeout.floor.context.judged import judged_contexts
    from tapeout.floor.context.topics import UTILISATION

    with open_tracker() as tracker:
        found = curves(judged_contexts(tracker.noted(UTILISATION, limit=MOST_ATTEMPTS)))
    data = {"verdicts": sum(curve.verdicts for curve in found), "curves": [_as_data(curve) for curve in found]}
    if not found:
        return Result(data, "no verdicts yet on work of agents that report how full their context is")
    return Result(data, "\n\n".join([*(_text(curve, LEAST_VERDICTS) for curve in found), _WARNING]))


def _as_data(curve: Curve) -> dict[str, Any]:
    advice = curve.recommendation
    return {
        **curve._asdict(),
        "bins": [{**one._asdict(), "interval": _bounds(one.interval)} for one in curve.bins],
        "recommendation": {**advice._asdict(), "drop": _bounds(advice.drop)},
    }


def _bounds(interval: Interval | None) -> dict[str, float] | None:
    return interval._asdict() if interval is not None else None


def _text(curve: Curve, least: int) -> str:
    named = f"{curve.agent}, {curve.model}" if curve.model else curve.agent
    estimated = f", {curve.estimated} with an estimated utilisation" if curve.estimated else ""
    rows = [_row(one) for one in curve.bins if one.start <= curve.highest]
    headers = ("context", "verdicts", "passed", "95 % interval", "")
    head = f"{named}: {counted(curve.verdicts, 'verdict')}{estimated}"
    return "\n".join([head, table(headers, rows), _advice(curve.recommendation, least)])


def _row(one: Bin) -> tuple[str, ...]:
    name = f"{one.start:.0%} - {one.end:.0%}"
    if one.rate is None or one.interval is None:
        return (name, "0", "-", "-", "")
    low, high = one.interval
    bar = ("#" * round(one.rate * _BAR)).ljust(_BAR, ".")
    return (name, str(one.verdicts), f"{one.rate:.0%}", f"{low:.0%} - {high:.0%}", bar)


def _advice(advice: Recommendation, least: int) -> str:
    if advice.sureness == "too few verdicts":
        return (
            f"Too few verdicts to say anything about a limit: it takes {least} on either side of one. What is"
            " configured is a convention."
        )
    if advice.drop is None or advice.limit is None:
        return (
            f"No difference is seen at any of {counted(advice.compared, 'limit')} compared: these data speak neither"
            " for a limit nor against one."
        )
    low, high = advice.drop
    return (
        f"Recommended: a limit of {advice.limit:g}. Above it the pass rate is lower by {low:.0%} to {high:.0%} (95 %,"
        f" for {counted(advice.compared, 'limit')} compared). Set it with agents.NAME.context_limit."
    )
