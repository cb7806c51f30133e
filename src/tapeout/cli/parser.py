"""The command line: which commands there are, and a parser for the one that is called."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from tapeout import __version__
from tapeout.base.errors import UsageError


class Command(NamedTuple):
    """A command or group of commands, and the module of `tapeout.cli` that adds its arguments."""

    name: str
    module: str
    help: str


COMMANDS = (
    Command("demo", "demo", "see it work: 8 workers, a sample project, no key and no model needed"),
    Command("init", "init", "make a repository ready: finds its checks and writes tapeout.toml"),
    Command("up", "up", "run the floor: workers on all ready issues, landing what passes the gate"),
    Command("status", "status", "what runs, waits and needs a person"),
    Command("stop", "stop", "stop the floor; work in progress is saved"),
    Command("logs", "logs", "what happened, to one issue or attempt or all"),
    Command("attach", "terminals", "watch a worker's terminal live"),
    Command("replay", "terminals", "replay a worker's terminal recording"),
    Command("issue", "issue", "new, list, show, edit, close, reopen, comment, dep"),
    Command("ready", "ready", "issues that could be started now"),
    Command("prime", "prime", "the plan for a fresh session: goal, work in progress, failures, rules; within a budget"),
    Command("mcp", "mcp", "serve the tracker to an MCP client on standard input and output"),
    Command("claim", "claims", "take an issue for yourself"),
    Command("renew", "claims", "hold a claimed issue for longer"),
    Command("release", "claims", "give a claimed issue back"),
    Command("sync", "sync", "exchange issues with other clones through a git remote or a file"),
    Command("agents", "agents", "which agents are known, and which are installed here"),
    Command("gate", "gate", "run the checks on a commit; show the evidence of a landed one"),
    Command("publish", "publish", "bring landed commits from the hub to your branch"),
    Command("doctor", "doctor", "check the state directory; rebuild the index from git"),
    Command("gc", "gc", "pack the state directory's repositories and tidy the index; nothing is dropped"),
    Command("completion", "completion", "print a completion script for your shell"),
)


class Parser(argparse.ArgumentParser):
    """Raises our error, which has one line and an exit code, instead of printing the usage and exiting.

    Its arguments are added when it is used: of the dozens of commands only one is called.
    """

    def __init__(self, *, fill: Callable[["Parser"], None] | None = None, **options: Any) -> None:
        options.setdefault("formatter_class", _Formatter)
        # An abbreviation that is accepted today is ambiguous or another option tomorrow.
        super().__init__(**options, allow_abbrev=False)
        self._fill = fill

    def filled(self) -> "Parser":
        """This parser with its arguments."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the arguments, then parse."""
        self.filled()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise the error.

        Raises:
            UsageError: always.
        """
        raise UsageError(message, hint=f"`{self.prog} --help` shows how to use it")


class _Formatter(argparse.HelpFormatter):
    """The standard formatter asks `shutil` for the width at every argument that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_help_width())


def _help_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdecimal() and int(columns) > 0:
        return max(int(columns), 40) - 2
    try:
        return max(os.get_terminal_size(1).columns, 40) - 2
    except OSError:
        return 78


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; the result has the function to call as `run`."""
    name = next((word for word in words if not word.startswith("-")), None)
    chosen = [command for command in COMMANDS if command.name == name]
    return build(chosen or COMMANDS).parse_args(list(words))


def build(commands: Sequence[Command], *, load: bool = False) -> Parser:
    """A parser for some commands; without `load` each gets its arguments only when it is called."""
    parser = Parser(
        prog="tapeout",
        description="Run a floor of coding agents in parallel, and land only what passes the gate.",
        epilog="Exit codes and --json are described in docs/reference. Start with: tapeout demo",
    )
    parser.add_argument("--version", action="version", version=f"tapeout {__version__}")
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        fill = partial(_load, command.module)
        groups.add_parser(command.name, help=command.help, description=_sentence(command.help), fill=fill)
    if load:
        _fill_below(parser)
    return parser


def _load(module: str, parser: Parser) -> None:
    importlib.import_module(f"tapeout.cli.{module}").add_arguments(parser)


def _fill_below(parser: Parser) -> None:
    parser.filled()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _fill_below(below)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that all commands have."""
    parser.add_argument("--json", action="store_true", help="print one JSON envelope, errors included")


def limit(text: str) -> int:
    """An argument that says how many to show; 0 means all."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 (all) or more")
    return int(text)


def read_text(value: str) -> str:
    """An argument that is text, or `-` for standard input, or `@FILE` for a file's content.

    Raises:
        UsageError: the file or standard input cannot be read, or is no UTF-8.
    """
    if value != "-" and not value.startswith("@"):
        return value
    where = "standard input" if value == "-" else value[1:]
    try:
        return _read(value).decode().replace("\r\n", "\n")
    except OSError as error:
        hint = None if value == "-" else "@ names a file; text that begins with @ can be given on standard input with -"
        raise UsageError(f"cannot read {where}: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not valid UTF-8") from error


def _read(value: str) -> bytes:
    if value == "-":
        return sys.stdin.buffer.read() if sys.stdin is not None else b""
    with open(value[1:], "rb") as file:
        return file.read()


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
