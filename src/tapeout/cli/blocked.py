"""`tapeout blocked`: what does not go on, and why, down to the cause."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.moments import clock
from tapeout.cli.commands import add_jsonl
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, cut, one_more
from tapeout.cli.output import Result, Stream, one_line

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker.reports.reasons import Chain, Obstacle, Step


def add_arguments(parser: Describes) -> None:
    """Arguments of `blocked`."""
    parser.add_argument("issue", metavar="ID", nargs="?", help="this issue only")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_blocked)


def _blocked(arguments: argparse.Namespace) -> Result | Stream:
    with open_tracker() as tracker:
        found = tracker.obstacles(one_more(arguments.limit), arguments.issue)
    shown, more = cut(found, arguments.limit)
    data = [_as_data(one) for one in shown]
    if arguments.jsonl:
        return Stream("obstacle", data)
    lines = [line for one in shown for line in _lines(one)]
    return Result(data, "\n".join([*lines, *more]) or "nothing is blocked")


def _as_data(one: Obstacle) -> dict[str, Any]:
    chains = [{"steps": [step._asdict() for step in chain.steps], "left_out": chain.left_out} for chain in one.chains]
    return {**one._asdict(), "chains": chains}


def _lines(one: Obstacle) -> list[str]:
    lines = [one_line(f"{one.issue}  {one.title}")]
    if one.reason == "circle":
        return [*lines, one_line(f"    one of its dependencies is ignored: it closes the circle {_circle(one)}")]
    if one.reason == "parent-circle":
        return [*lines, one_line(f"    is its own ancestor: {_circle(one)}")]
    for chain in one.chains:
        lines += _chain(chain, "waits for" if one.reason == "blocked" else "not needed: conditional on the failure of")
    if one.more:
        lines.append("    ... and more causes")
    return lines


def _circle(one: Obstacle) -> str:
    return " -> ".join([*one.circle, one.circle[0]])


def _chain(chain: Chain, word: str) -> list[str]:
    lines = []
    half = len(chain.steps) // 2
    for depth, step in enumerate(chain.steps):
        if chain.left_out and depth == half:
            lines.append("  " * (depth + 2) + f"... {chain.left_out} more in between ...")
        lines.append(one_line("  " * (depth + 2) + f"{word} {step.issue} ({_state(step)})  {step.title}"))
    return lines


def _state(step: Step) -> str:
    until = f" until {clock(step.until)}" if step.until is not None else ""
    texts = {
        "leased": f"leased by {step.owner}{until}",
        "deferred": f"deferred{until}",
        "needs-person": f"needs a person: {step.why}",
        "epic": f"epic: {step.why}",
        "queued": "waits for the gate",
        "ready": "ready, nobody has taken it",
    }
    return texts.get(step.state, step.state)
