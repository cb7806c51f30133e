"""`tapeout failures`: how attempts failed, how often, and what landed after the same failure."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, cut, one_more
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.floor.memory.model import Round
    from tapeout.floor.memory.solutions import Solution
    from tapeout.tracker import Tracker
    from tapeout.tracker.reports.failures import Recurrence


def add_arguments(parser: Describes) -> None:
    """Arguments of `failures`."""
    parser.add_argument(
        "signature", nargs="?", help="a failure, by the start of its id: who failed that way, and what landed after it"
    )
    add_limit(parser)
    add_json(parser)
    parser.set_defaults(run=_failures)


def _failures(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        if arguments.signature is None:
            return _listed(tracker, arguments.limit)
        return _shown(tracker, tracker.failure_signature(arguments.signature), arguments.limit)


def _listed(tracker: Tracker, limit: int) -> Result:
    from tapeout.floor.memory.model import from_note
    from tapeout.floor.memory.solutions import describe
    from tapeout.tracker.model import FAILURES

    counts, more = cut(tracker.failure_counts(one_more(limit)), limit)
    data = []
    for one in counts:
        rounds = from_note(tracker.attempt_notes(one.last_attempt).get(FAILURES, {}))
        named = describe(one.signature, rounds)
        data.append({**one._asdict(), "check": named.check, "test": named.test, "failure": named.line})
    if not data:
        return Result(data, "no attempt is known to have failed")
    rows = [(one["signature"][:8], one["issues"], one["attempts"], one["landed"], one["failure"]) for one in data]
    text = table(("id", "issues", "attempts", "landed", "failure"), rows)
    return Result(data, "\n".join([text, *more]))


def _shown(tracker: Tracker, signature: str, limit: int) -> Result:
    from tapeout.floor.memory.solutions import describe, find_solutions, issue_rounds

    found, more = cut(tracker.recurrences([signature], one_more(limit)), limit)
    rounds = {one.issue: issue_rounds(tracker, one.issue) for one in found}
    named = describe(signature, [one for each in rounds.values() for one in each])
    seen = [_attempt(one, rounds[one.issue]) for one in found]
    solutions = [_solution(one) for one in find_solutions(tracker, [signature])]
    data = {"signature": signature, "check": named.check, "test": named.test, "failure": named.line}
    lines = [named.line, ""]
    lines += [table(("issue", "attempt", "agent", "rounds", "tried", "title"), [_row(one) for one in seen]), *more]
    for one in solutions:
        lines += ["", f"landed on {one['issue']} as {one['commit'][:12]}: {', '.join(one['files'])}", *one["gist"]]
    if not solutions:
        lines += ["", "nothing has landed after this failure yet"]
    return Result({**data, "attempts": seen, "solutions": solutions}, "\n".join(lines))


def _attempt(one: Recurrence, rounds: tuple[Round, ...]) -> dict[str, Any]:
    own = [each for each in rounds if each.attempt == one.number and one.signature in each.failures]
    files = dict.fromkeys(path for each in own if each.patch is not None for path in each.patch.files)
    fields = {name: getattr(one, name) for name in ("issue", "title", "attempt", "number", "agent", "landed_commit")}
    return {**fields, "rounds": len(own), "tried": list(files)}


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return one["issue"], one["attempt"], one["agent"], one["rounds"], ", ".join(one["tried"][:3]) or "-", one["title"]


def _solution(one: Solution) -> dict[str, Any]:
    return {
        "issue": one.issue,
        "title": one.title,
        "commit": one.commit,
        "files": list(one.files),
        "gist": list(one.gist),
    }
