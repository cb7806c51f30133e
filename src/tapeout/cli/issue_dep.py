"""`tapeout issue dep`: dependencies, and parents with their children."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, table
from tapeout.tracker import Filter
from tapeout.tracker.model import DEPENDENCY_KINDS

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes

PARENT = "parent"
"""Not a kind of dependency, but a field: shown and set here too, because people look for it here."""

KINDS = (*DEPENDENCY_KINDS, PARENT)


def add_dep(parser: Describes) -> None:
    """The commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, run, text in (
        ("add", _add, "ISSUE depends on TARGET; with the kind blocks it cannot start until TARGET is closed"),
        ("remove", _remove, "remove a dependency"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("issue", metavar="ISSUE")
        command.add_argument("target", metavar="TARGET")
        command.add_argument("--kind", choices=KINDS, metavar="KIND", default="blocks", help=", ".join(KINDS))
        add_json(command)
        command.set_defaults(run=run)
    text = "what an issue depends on, what depends on it, its parent and its children"
    listing = commands.add_parser("list", help=text, description=text)
    listing.add_argument("issue", metavar="ISSUE")
    add_json(listing)
    listing.set_defaults(run=_list)


def _row(issue: str, target: str, kind: str, ignored: bool = False) -> dict[str, Any]:
    return {"issue": issue, "target": target, "kind": kind, "ignored": ignored}


def _add(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        if arguments.kind == PARENT:
            issue = tracker.edit(arguments.issue, {PARENT: arguments.target})
            return Result(_row(issue.id, str(issue.parent), PARENT), f"{issue.id} is below {issue.parent}")
        dependency = tracker.add_dependency(arguments.issue, arguments.target, arguments.kind)
    return Result(dependency._asdict(), f"{dependency.issue} depends on {dependency.target} ({dependency.kind})")


def _remove(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        if arguments.kind == PARENT:
            target = tracker.resolve(arguments.target)
            issue = tracker.remove_parent(arguments.issue, target)
            return Result(_row(issue.id, target, PARENT), f"{issue.id} is not below {target}")
        dependency = tracker.remove_dependency(arguments.issue, arguments.target, arguments.kind)
    return Result(dependency._asdict(), f"{dependency.issue} no longer depends on {dependency.target}")


def _list(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issue = tracker.issue(arguments.issue)
        found = [one._asdict() for one in tracker.dependencies(issue.id)]
        found += [_row(issue.id, issue.parent, PARENT)] if issue.parent else []
        found += [_row(child.id, issue.id, PARENT) for child in tracker.issues(Filter(parent=issue.id))]
    rows = [(one["issue"], one["kind"], one["target"], "ignored: a circle" if one["ignored"] else "") for one in found]
    text = table(("issue", "kind", "target", ""), rows) if rows else "no dependencies"
    return Result(found, text)
