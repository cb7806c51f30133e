"""`tapeout stale`: open issues that nothing has happened to for long."""

from __future__ import annotations

import time

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_jsonl
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import add_limit, as_data, cut, one_more, streamed
from tapeout.cli.output import Result, Stream, table
from tapeout.tracker.model import Issue

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes

DAYS = 14
MAX_DAYS = 36_500
_DAY_SECONDS = 86_400


def add_arguments(parser: Describes) -> None:
    """Arguments of `stale`."""
    parser.add_argument("--days", type=int, default=DAYS, help=f"without any change; default {DAYS}")
    add_limit(parser)
    add_jsonl(parser)
    parser.set_defaults(run=_stale)


def _stale(arguments: argparse.Namespace) -> Result | Stream:
    if not 0 <= arguments.days <= MAX_DAYS:
        raise UsageError(f"--days {arguments.days} should be between 0 and {MAX_DAYS}")
    # What is deferred waits on purpose.
    query = f"status:open updated:>{arguments.days}d -is:deferred sort:updated"
    if arguments.jsonl:
        return Stream("issue", streamed(query, arguments.limit))
    with open_tracker() as tracker:
        issues = tracker.find(query, one_more(arguments.limit))
    shown, more = cut(issues, arguments.limit)
    data: list[dict[str, Any]] = [as_data(issue) for issue in shown]
    if not shown:
        return Result(data, f"nothing has been left alone for {arguments.days} days")
    text = table(("id", "state", "days", "assignee", "title"), [_row(issue) for issue in shown])
    return Result(data, "\n".join([text, *more]))


def _row(issue: Issue) -> tuple[object, ...]:
    now = time.time()
    days = int((now - issue.updated_at) // _DAY_SECONDS)
    return issue.id, issue.state(now), days, issue.assignee or "-", issue.title
