"""`tapeout issue ...`: the commands of the group. Each is in a module of its own, imported only when it is called."""

from __future__ import annotations

from functools import partial

from tapeout.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


class _Command(NamedTuple):
    """A command of the group, and the function that adds its arguments: in a module of `tapeout.cli`."""

    name: str
    where: str
    help: str


COMMANDS = (
    _Command("new", "issue_new.add_new", "file an issue, or all issues of a Markdown file"),
    _Command("list", "listing.add_list", "list issues that fit a query"),
    _Command("epics", "listing.add_epics", "epics with their progress"),
    _Command("show", "issue_show.add_show", "show an issue with its attempts and comments"),
    _Command("edit", "issue_edit.add_edit", "change fields and labels of one or many issues"),
    _Command("close", "issue_edit.add_close", "close issues by your own decision"),
    _Command(
        "reopen", "issue_edit.add_reopen", "open closed issues again, or let agents retry those that need a person"
    ),
    _Command("allow", "issue_allow.add_allow", "allow the changes of an issue what the gate refuses otherwise"),
    _Command("comment", "issue_edit.add_comment", "comment on one or many issues"),
    _Command("dep", "issue_dep.add_dep", "dependencies and parents: add, remove, list"),
    _Command("history", "issue_past.add_history", "everything that happened to an issue: who changed what when"),
    _Command("blame", "issue_past.add_blame", "who set a field to what it is, and what it was before"),
    _Command("undo", "issue_past.add_undo", "take back the last thing that you did to issues"),
    _Command("attach", "issue_files.add_attach", "attach a file to an issue"),
    _Command("attachments", "issue_files.add_attachments", "list the files attached to an issue"),
    _Command("attachment", "issue_files.add_attachment", "write an attached file to a file or to standard output"),
    _Command("detach", "issue_files.add_detach", "take an attached file from an issue"),
)


def add_arguments(parser: Describes) -> None:
    """The commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        commands.add_parser(
            command.name, help=command.help, description=command.help, fill=partial(_fill, command.where)
        )


def _fill(where: str, parser: Describes) -> None:
    module, _, function = where.partition(".")
    getattr(__import__(f"tapeout.cli.{module}", fromlist=[function]), function)(parser)
