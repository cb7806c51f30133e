"""`tapeout issue ...`: everything that people and agents do to issues."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, read_text
from tapeout.cli.context import open_tracker, parse_moment
from tapeout.cli.listing import add_epics, add_list, as_data, listing
from tapeout.cli.output import Result, clock, table
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import DEPENDENCY_KINDS, ISSUE_TYPES, PERSON_RESOLUTIONS, Issue

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """The commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, add, text in (
        ("new", _add_new, "file an issue, or all issues of a Markdown file"),
        ("list", add_list, "list issues that fit a query"),
        ("epics", add_epics, "epics with their progress"),
        ("show", _add_show, "show an issue with its attempts and comments"),
        ("edit", _add_edit, "change fields and labels"),
        ("close", _add_close, "close an issue by your own decision"),
        ("reopen", _add_reopen, "open a closed issue again, or let agents retry one that needs a person"),
        ("comment", _add_comment, "comment on an issue"),
        ("dep", _add_dep, "dependencies: add, remove, list"),
    ):
        commands.add_parser(name, help=text, description=text, fill=add)


def _add_fields(parser: Describes) -> None:
    parser.add_argument("--body", help="Markdown; - reads standard input, @FILE reads a file")
    parser.add_argument("--acceptance", help="acceptance criteria, Markdown; - and @FILE as above")
    parser.add_argument("--type", choices=ISSUE_TYPES)
    parser.add_argument("--priority", type=int, choices=range(5), help="0 (most urgent) to 4; default 2")
    parser.add_argument("--scope", action="append", metavar="GLOB", help="paths the work should touch; repeatable")
    parser.add_argument("--parent", metavar="ID")
    parser.add_argument("--agent", help="the agent that should work on it")
    parser.add_argument("--assignee")
    parser.add_argument("--defer", metavar="WHEN", help="not ready before: 2027-01-31, 2d, 3h, or none")


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given on the command line."""
    fields = {name: getattr(arguments, name) for name in ("type", "priority", "parent", "agent", "assignee")}
    for name in ("body", "acceptance"):
        value = getattr(arguments, name)
        fields[name] = None if value is None else read_text(value)
    fields = {name: value for name, value in fields.items() if value is not None}
    if arguments.scope is not None:
        fields["scope"] = [glob for glob in arguments.scope if glob]
    if arguments.defer is not None:
        fields["deferred_until"] = parse_moment(arguments.defer)
    return fields


def _add_new(parser: Describes) -> None:
    parser.add_argument("title", nargs="?")
    parser.add_argument("--file", metavar="FILE", help="Markdown with front matter, one issue or many; - is stdin")
    parser.add_argument("--label", action="append", default=[], metavar="LABEL", help="repeatable")
    parser.add_argument("--depends-on", action="append", default=[], metavar="ID", help="repeatable")
    _add_fields(parser)
    add_json(parser)
    parser.set_defaults(run=_new)


def _new(arguments: argparse.Namespace) -> Result:
    if (arguments.title is None) == (arguments.file is None):
        raise UsageError("give either a title or --file", hint="`tapeout issue new --help` shows how to use it")
    _refuse_fields_with_file(arguments)
    with open_tracker() as tracker:
        if arguments.file is None:
            fields = _fields(arguments)
            fields["scope"] = tuple(fields.get("scope", ()))
            draft = Draft(
                arguments.title, labels=tuple(arguments.label), depends_on=tuple(arguments.depends_on), **fields
            )
            issue = tracker.create(draft)
            return Result(as_data(issue), f"{issue.id}  {issue.title}")
        issues = file_issues(tracker, arguments.file)
    return Result([as_data(issue) for issue in issues], listing(issues))


def _refuse_fields_with_file(arguments: argparse.Namespace) -> None:
    """A file says everything about its issues: what is given beside it would be ignored."""
    names = ("body", "acceptance", "type", "priority", "scope", "parent", "agent", "assignee", "defer", "label")
    given = [name for name in (*names, "depends_on") if getattr(arguments, name) not in (None, [])]
    if arguments.file is not None and given:
        option = given[0].replace("_", "-")
        raise UsageError(f"--{option} cannot be given with --file", hint="write it into the file's front matter")


def file_issues(tracker: Tracker, path: str) -> list[Issue]:
    """File all issues of a Markdown file, in one transaction."""
    from tapeout.tracker.drafts import parse_drafts

    text = read_text("-" if path == "-" else f"@{path}")
    return tracker.create_many(parse_drafts(text, "standard input" if path == "-" else path))


def _add_show(parser: Describes) -> None:
    parser.add_argument("issue", metavar="ID")
    add_json(parser)
    parser.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issue = tracker.issue(arguments.issue)
        data = as_data(issue)
        data["dependencies"] = [one._asdict() for one in tracker.dependencies(issue.id)]
        data["comments"] = [one._asdict() for one in tracker.comments(issue.id)]
        data["attempts"] = [one._asdict() for one in tracker.attempts(issue.id)]
        data["changes"] = [one._asdict() for one in tracker.all_changes(issue.id)]
    return Result(data, lambda: _page(data))


def _page(data: dict[str, Any]) -> str:
    lines = [f"{data['id']}  {data['title']}", _facts(data)]
    if data["needs_person"]:
        lines.append(f"needs a person: {data['needs_person']}")
    if data["landed_commit"]:
        lines.append(f"landed as {data['landed_commit']}")
    for dependency in data["dependencies"]:
        outgoing = dependency["issue"] == data["id"]
        word = {"blocks": "waits for"}.get(dependency["kind"], dependency["kind"])
        lines.append(f"{word} {dependency['target']}" if outgoing else f"{dependency['issue']} {word} this")
    for title, text in (("", data["body"]), ("Acceptance criteria", data["acceptance"])):
        if text:
            lines += ["", *([title, ""] if title else []), text]
    if data["attempts"]:
        lines += ["", "Attempts", ""]
        lines += [f"{a['id']}  {a['agent']}  {a['outcome'] or a['state']}  {a['detail']}" for a in data["attempts"]]
    for comment in data["comments"]:
        lines += ["", f"{comment['actor']}, {clock(comment['at'])}:", comment["text"]]
    return "\n".join(lines)


def _facts(data: dict[str, Any]) -> str:
    facts = [data["state"], data["type"], f"priority {data['priority']}", f"created {clock(data['created_at'])}"]
    facts += [f"{name} {data[name]}" for name in ("parent", "agent", "assignee") if data[name]]
    if data["state"] == "leased":
        facts.append(f"held by {data['lease_owner']} until {clock(data['lease_expires'])}")
    facts += [f"#{label}" for label in data["labels"]]
    facts += [f"scope {', '.join(data['scope'])}"] if data["scope"] else []
    return " · ".join(facts)


def _add_edit(parser: Describes) -> None:
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("--title")
    parser.add_argument("--add-label", action="append", default=[], metavar="LABEL")
    parser.add_argument("--remove-label", action="append", default=[], metavar="LABEL")
    _add_fields(parser)
    add_json(parser)
    parser.set_defaults(run=_edit)


def _edit(arguments: argparse.Namespace) -> Result:
    fields = _fields(arguments)
    if arguments.title is not None:
        fields["title"] = arguments.title
    if not (fields or arguments.add_label or arguments.remove_label):
        raise UsageError("nothing to change", hint="`tapeout issue edit --help` shows what can be changed")
    with open_tracker() as tracker:
        issue = tracker.edit(
            arguments.issue, fields, add_labels=arguments.add_label, remove_labels=arguments.remove_label
        )
    return Result(as_data(issue), f"{issue.id}  {issue.title}")


def _add_close(parser: Describes) -> None:
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("--as", dest="resolution", choices=PERSON_RESOLUTIONS, default="done")
    parser.add_argument("--note", default="", help="why; becomes a comment")
    add_json(parser)
    parser.set_defaults(run=_close, for_people=True)


def _close(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issue = tracker.close_issue(arguments.issue, arguments.resolution, read_text(arguments.note))
    return Result(as_data(issue), f"{issue.id}  closed as {issue.resolution}")


def _add_reopen(parser: Describes) -> None:
    parser.add_argument("issue", metavar="ID")
    add_json(parser)
    parser.set_defaults(run=_reopen, for_people=True)


def _reopen(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        issue = tracker.reopen(arguments.issue)
    return Result(as_data(issue), f"{issue.id}  open")


def _add_comment(parser: Describes) -> None:
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("text", help="- reads standard input, @FILE reads a file")
    add_json(parser)
    parser.set_defaults(run=_comment)


def _comment(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        comment = tracker.comment(arguments.issue, read_text(arguments.text))
    return Result(comment._asdict(), "commented")


def _add_dep(parser: Describes) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, run, text in (
        ("add", _dep_add, "ISSUE cannot start until TARGET is closed"),
        ("remove", _dep_remove, "remove a dependency"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("issue", metavar="ISSUE")
        command.add_argument("target", metavar="TARGET")
        command.add_argument("--kind", choices=DEPENDENCY_KINDS, default="blocks")
        add_json(command)
        command.set_defaults(run=run)
    listing_command = commands.add_parser("list", help="what an issue depends on, and what depends on it")
    listing_command.add_argument("issue", metavar="ISSUE")
    add_json(listing_command)
    listing_command.set_defaults(run=_dep_list)


def _dep_add(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        dependency = tracker.add_dependency(arguments.issue, arguments.target, arguments.kind)
    return Result(dependency._asdict(), f"{dependency.issue} depends on {dependency.target} ({dependency.kind})")


def _dep_remove(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        dependency = tracker.remove_dependency(arguments.issue, arguments.target, arguments.kind)
    return Result(dependency._asdict(), f"{dependency.issue} no longer depends on {dependency.target}")


def _dep_list(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        found = tracker.dependencies(tracker.resolve(arguments.issue))
    rows = [(one.issue, one.kind, one.target) for one in found]
    text = table(("issue", "kind", "target"), rows) if rows else "no dependencies"
    return Result([one._asdict() for one in found], text)
