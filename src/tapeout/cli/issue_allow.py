"""`tapeout issue allow`: a person lets the changes of one issue do what the gate refuses otherwise."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result
from tapeout.tracker.model import PERMISSIONS

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes


def add_allow(parser: Describes) -> None:
    """Arguments of `issue allow`."""
    parser.gathers_positionals = True
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("permissions", metavar="PERMISSION", nargs="*", help=", ".join(PERMISSIONS))
    parser.add_argument("--forbid", action="store_true", help="take these permissions back")
    parser.add_argument("--note", default="", help="why")
    add_json(parser)
    parser.set_defaults(run=_allow, for_people=True)


def _allow(arguments: argparse.Namespace) -> Result:
    if not arguments.permissions:
        raise UsageError("say what is allowed", hint=f"permissions are {', '.join(PERMISSIONS)}")
    with open_tracker() as tracker:
        issue = tracker.issue(arguments.issue)
        decide = tracker.forbid if arguments.forbid else tracker.allow
        allowed = sorted(decide(issue.id, arguments.permissions, arguments.note))
    text = f"{issue.id}  allowed: {', '.join(allowed) or 'nothing'}"
    if issue.needs_person and not arguments.forbid:
        text += f"\n`tapeout issue reopen {issue.id}` lets agents try again"
    return Result({"issue": issue.id, "permissions": allowed}, text)
