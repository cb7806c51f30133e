"""The command line: which commands there are, and a parser for the one that is called."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

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
    Command("claim", "claims", "take an issue for yourself"),
    Command("release", "claims", "give a claimed issue back"),
    Command("agents", "agents", "which agents are known, and which are installed here"),
    Command("gate", "gate", "run the checks on a commit; show the evidence of a landed one"),
    Command("publish", "publish", "bring landed commits from the hub to your branch"),
    Command("doctor", "doctor", "check the state directory; rebuild the index from git"),
    Command("completion", "completion", "print a completion script for your shell"),
)


class Parser(argparse.ArgumentParser):
    """Raises our error, which has one line and an exit code, instead of printing the usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"`{self.prog} --help` shows how to use it")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; the result has the function to call as `run`."""
    name = next((word for word in words if not word.startswith("-")), None)
    chosen = [command for command in COMMANDS if command.name == name]
    return build(chosen or COMMANDS, load=bool(chosen)).parse_args(list(words))


def build(commands: Sequence[Command], *, load: bool) -> Parser:
    """A parser for some commands; without `load` it knows only their names, which is enough for `--help`."""
    parser = Parser(
        prog="tapeout",
        description="Run a floor of coding agents in parallel, and land only what passes the gate.",
        epilog="Exit codes and --json are described in docs/reference. Start with: tapeout demo",
    )
    parser.add_argument("--version", action="version", version=f"tapeout {__version__}")
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in commands:
        group = groups.add_parser(command.name, help=command.help, description=_sentence(command.help))
        if load:
            importlib.import_module(f"tapeout.cli.{command.module}").add_arguments(group)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that all commands have."""
    parser.add_argument("--json", action="store_true", help="print one JSON envelope, errors included")


def read_text(value: str) -> str:
    """An argument that is text, or `-` for standard input, or `@FILE` for a file's content."""
    try:
        if value == "-":
            return sys.stdin.buffer.read().decode()
        if value.startswith("@"):
            with open(value[1:], encoding="utf-8") as file:
                return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {value.removeprefix('@')}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{'standard input' if value == '-' else value[1:]} is not valid UTF-8") from error
    return value


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
