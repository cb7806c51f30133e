"""The options by which `issue new` and `issue edit` take an issue's fields."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import read_text
from tapeout.cli.context import parse_moment
from tapeout.tracker.fields import parse_minutes
from tapeout.tracker.model import ISSUE_TYPES

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes

OPTIONS = (
    "body", "acceptance", "design", "type", "priority", "scope", "parent", "agent", "assignee", "defer", "due",
    "estimate", "external_ref",
)  # fmt: skip
"""Names of the options."""

FIELD_OF_OPTION = {"defer": "deferred_until", "due": "due_at", "estimate": "estimate_minutes"}
"""The field that an option sets, where it is called otherwise."""

_PROSE = ("body", "acceptance", "design")
_PLAIN = ("type", "priority", "parent", "agent", "assignee", "external_ref")


def add_fields(parser: Describes) -> None:
    """Describe the options."""
    parser.add_argument("--body", help="Markdown; - reads standard input, @FILE reads a file")
    parser.add_argument("--acceptance", help="acceptance criteria, Markdown; - and @FILE as above")
    parser.add_argument("--design", help="design notes, Markdown; - and @FILE as above")
    parser.add_argument("--type", choices=ISSUE_TYPES)
    parser.add_argument("--priority", type=int, choices=range(5), help="0 (most urgent) to 4; default 2")
    parser.add_argument("--scope", action="append", metavar="GLOB", help="paths the work should touch; repeatable")
    parser.add_argument("--parent", metavar="ID")
    parser.add_argument("--agent", help="the agent that should work on it")
    parser.add_argument("--assignee")
    parser.add_argument("--defer", metavar="WHEN", help="not ready before: 2027-01-31, 2d, 3h, or none")
    parser.add_argument("--due", metavar="WHEN", help="should be done by: 2027-01-31, 2d, 3h, or none")
    parser.add_argument("--estimate", metavar="LENGTH", help="expected work: 90m, 4h, 2d, or none")
    parser.add_argument("--external-ref", metavar="REF", help="what it is called elsewhere, such as gh-12 or a URL")


def given_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given on the command line."""
    fields = {name: getattr(arguments, name) for name in _PLAIN if getattr(arguments, name) is not None}
    fields |= {name: read_text(getattr(arguments, name)) for name in _PROSE if getattr(arguments, name) is not None}
    if arguments.scope is not None:
        fields["scope"] = [glob for glob in arguments.scope if glob]
    for option in ("defer", "due"):
        if getattr(arguments, option) is not None:
            fields[FIELD_OF_OPTION[option]] = parse_moment(getattr(arguments, option))
    if arguments.estimate is not None:
        fields["estimate_minutes"] = None if arguments.estimate == "none" else parse_minutes(arguments.estimate)
    return fields
