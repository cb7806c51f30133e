"""Parsing a command line that is right, without `argparse`: importing it and building its parsers takes 6 ms.

It is no second description of the commands: their modules describe their arguments to it as they do to `argparse`.
Whatever is unusual (help, an error, `--`, a value that begins with `-`) is left to `argparse`: one place knows what to
say. What both accept means the same: a test compares them.
"""

from __future__ import annotations

from types import SimpleNamespace

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import COMMANDS, describe

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_KNOWN = frozenset({"action", "nargs", "type", "choices", "default", "dest", "metavar", "help"})
_ACTIONS = (None, "append", "store_true")


class _UnusualError(Exception):
    """Only `argparse` knows what to do."""


def parse(words: Sequence[str]) -> Namespace | None:
    """The parsed command line; None if it is not a plain one."""
    command = next((command for command in COMMANDS if words and command.name == words[0]), None)
    if command is None:
        return None
    reader = _Reader(f"tapeout {command.name}")
    try:
        describe(command, reader)
        return reader.read(words[1:])  # type: ignore[return-value]  # has the attributes, which is all that is used
    except _UnusualError:
        return None


class _Reader:
    """One command or group: is told its arguments, then reads the words."""

    def __init__(self, prog: str) -> None:
        self.prog = prog
        self.gathers_positionals = False
        self._positionals: list[_Argument] = []
        self._options: dict[str, _Argument] = {}
        self._defaults: dict[str, Any] = {}
        self._commands: dict[str, tuple[_Reader, Callable[[Any], None] | None]] | None = None

    def add_argument(self, *names: str, **settings: Any) -> None:
        argument = _Argument(names, settings)
        if names[0].startswith("-"):
            self._options.update((name, argument) for name in names)
        else:
            self._positionals.append(argument)

    def add_query(self, name: str, help: str) -> None:  # noqa: A002 - as argparse calls it
        self.add_argument(name, nargs="*", help=help)

    def set_defaults(self, **values: Any) -> None:
        self._defaults.update(values)

    def add_subparsers(self, **_settings: Any) -> _Reader:
        self._commands = {}
        return self

    def add_parser(self, name: str, *, fill: Callable[[Any], None] | None = None, **_settings: Any) -> _Reader:
        assert self._commands is not None
        reader = _Reader(f"{self.prog} {name}")
        self._commands[name] = reader, fill
        return reader

    def read(self, words: Sequence[str]) -> SimpleNamespace:
        if self._commands is None:
            return SimpleNamespace(**self._values(words))
        if not words or words[0] not in self._commands:
            raise _UnusualError
        reader, fill = self._commands[words[0]]
        if fill is not None:
            fill(reader)
        return reader.read(words[1:])

    def _values(self, words: Sequence[str]) -> dict[str, Any]:
        values = {argument.dest: argument.absent() for argument in (*self._positionals, *self._options.values())}
        values |= self._defaults
        plain: list[str] = []
        rest = iter(words)
        option = ""
        for word in rest:
            if not _is_plain(word):
                option = word
                self._read_option(word, rest, values)
            elif option and not self.gathers_positionals and any(one.optional for one in self._positionals):
                raise _UnusualError  # versions of argparse differ in what belongs to an optional one after an option
            else:
                plain.append(word)
        self._read_positionals(plain, values)
        return values

    def _read_option(self, word: str, rest: Iterator[str], values: dict[str, Any]) -> None:
        name, equals, value = word.partition("=")
        argument = self._options.get(name)
        if argument is None or (equals and (argument.switch or not (value and name.startswith("--")))):
            raise _UnusualError
        if argument.switch:
            values[argument.dest] = True
            return
        value = argument.value(value if equals else next(rest, "--"), given=bool(equals))
        values[argument.dest] = [*(values[argument.dest] or ()), value] if argument.appends else value

    def _read_positionals(self, plain: Sequence[str], values: dict[str, Any]) -> None:
        if self._positionals and self._positionals[0].many:
            self._read_many(plain, values)
            return
        needed = sum(not argument.optional for argument in self._positionals)
        several = any(argument.many for argument in self._positionals)
        if several or not needed <= len(plain) <= len(self._positionals):
            raise _UnusualError
        for argument, word in zip(self._positionals, plain, strict=False):
            values[argument.dest] = argument.value(word)

    def _read_many(self, plain: Sequence[str], values: dict[str, Any]) -> None:
        """An argument of any number of words; those after it, of one word each, take the last ones."""
        (argument, *others) = self._positionals
        number = len(plain) - len(others)
        if any(other.optional for other in others) or number < argument.needs_one:
            raise _UnusualError
        values[argument.dest] = [argument.value(word) for word in plain[:number]]
        for other, word in zip(others, plain[number:], strict=True):
            values[other.dest] = other.value(word)


class _Argument:
    """A positional argument or an option."""

    def __init__(self, names: Sequence[str], settings: dict[str, Any]) -> None:
        action, nargs = settings.get("action"), settings.get("nargs")
        if settings.keys() - _KNOWN or action not in _ACTIONS or nargs not in (None, "?", "*", "+"):
            raise _UnusualError
        name = next((name for name in names if name.startswith("--")), names[0])
        self.dest: str = settings.get("dest") or name.lstrip("-").replace("-", "_")
        self.switch = action == "store_true"
        self.appends = action == "append"
        self.many = nargs in ("*", "+")
        self.needs_one = nargs == "+"
        self.optional = nargs == "?" or self.many
        self._type = settings.get("type")
        self._choices = settings.get("choices")
        self._default = settings.get("default", False if self.switch else None)

    def absent(self) -> Any:
        """Its value when it is not given."""
        if self.many:
            return []
        if isinstance(self._default, str):
            return self._converted(self._default)
        return self._default

    def value(self, word: str, *, given: bool = False) -> Any:
        """Its value when it is given as `word`; `given` when that was joined to its name."""
        if not (given or _is_plain(word)):
            raise _UnusualError
        value = self._converted(word)
        if self._choices is not None and value not in self._choices:
            raise _UnusualError
        return value

    def _converted(self, word: str) -> Any:
        if self._type is None:
            return word
        try:
            return self._type(word)
        except Exception as error:  # whatever is wrong with it, argparse says it
            raise _UnusualError from error


def _is_plain(word: str) -> bool:
    return not word.startswith("-") or word == "-"
