"""The command line by `argparse`: help, errors, completion, and every way to write a command line."""

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from tapeout import __version__
from tapeout.base.errors import UsageError
from tapeout.cli.commands import COMMANDS, Command, describe


class Parser(argparse.ArgumentParser):
    """Raises our error, which has one line and an exit code, instead of printing the usage and exiting.

    Its arguments are added when it is used: of the dozens of commands only one is called.
    """

    def __init__(self, *, fill: Callable[["Parser"], None] | None = None, **options: Any) -> None:
        options.setdefault("formatter_class", _Formatter)
        self._query = ""
        # An abbreviation that is accepted today is ambiguous or another option tomorrow.
        super().__init__(**options, allow_abbrev=False)
        self._fill = fill
        self.gathers_positionals = False
        """As `Describes` has it: `argparse` alone looks for all positional arguments in the first group of them."""

    def filled(self) -> "Parser":
        """This parser with its arguments."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the arguments, then parse."""
        self.filled()
        if not self._query:
            words = self._gathered(args) if self.gathers_positionals and args is not None else args
            return super().parse_known_args(words, namespace)
        found, rest = super().parse_known_args(self._guarded(args or ()), namespace)
        # Words after an option: argparse takes one run of them only.
        later = [word for word in rest if not word.startswith("--")]
        setattr(found, self._query, [*getattr(found, self._query), *later])
        return found, [word for word in rest if word.startswith("--")]

    def add_query(self, name: str, help: str) -> None:  # noqa: A002 - as argparse calls it
        """Give the command an argument of any number of words, of which some may begin with `-`."""
        self.add_argument(name, nargs="*", metavar=name.upper(), help=help)
        self._query = name

    def _guarded(self, words: Sequence[str]) -> list[str]:
        """Words such as `-type:epic` as argparse leaves them alone: a space before them means nothing to a query."""
        guarded = []
        takes_value = False
        for word in words:
            is_ours = not takes_value and len(word) > 1 and word[0] == "-" != word[1]
            option = self._option_string_actions.get(word)
            guarded.append(f" {word}" if is_ours and option is None else word)
            takes_value = option is not None and option.nargs is None
        return guarded

    def _gathered(self, words: Sequence[str]) -> list[str]:
        """The same words, options with their values first."""
        options: list[str] = []
        plain: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                plain += [word, *rest]
            elif not word.startswith("-") or word == "-":
                plain.append(word)
            else:
                options.append(word)
                action = self._option_string_actions.get(word)
                if action is not None and action.nargs is None:
                    options += [value for value in [next(rest, None)] if value is not None]
        return [*options, *plain]

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
        fill = partial(describe, command)
        groups.add_parser(command.name, help=command.help, description=_sentence(command.help), fill=fill)
    if load:
        _fill_below(parser)
    return parser


def _fill_below(parser: Parser) -> None:
    parser.filled()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _fill_below(below)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
