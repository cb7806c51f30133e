"""Changes made of texts, and what the rules say about them."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from pygit2.enums import FileMode

from tapeout.config import GateConfig
from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import Change, FileChange, Side
from tapeout.gate.integrity.privileged import Surroundings
from tapeout.gate.integrity.rules import alarms_of

COMMANDS = ("make check", "sh tools/check.sh src", "pytest tests/test_named.py")


class Paths:
    """A tree of which only the texts are known: path to text."""

    def __init__(self, texts: Mapping[str, str], modes: Mapping[str, int] | None = None) -> None:
        self.texts = texts
        self._modes = modes or {}

    @cached_property
    def _folders(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {"": {}}
        for path in self.texts:
            mode, at = self._modes.get(path, int(FileMode.BLOB)), path
            while at:
                folder, _, name = at.rpartition("/")
                found.setdefault(folder, {})[name] = mode
                mode, at = int(FileMode.TREE), folder
        return found

    def entries(self, folder: str) -> Mapping[str, int]:
        """As `Tree` has it."""
        return self._folders.get(folder, {})

    def text(self, path: str) -> str | None:
        """As `Tree` has it."""
        return self.texts.get(path)

    def side(self, path: str) -> Side | None:
        """A path as one side of a change."""
        return Side(self._modes.get(path, int(FileMode.BLOB)), self.texts[path]) if path in self.texts else None


def change_of(base: Paths, candidate: Paths) -> Change:
    """The change between two trees of texts."""
    paths = sorted(base.texts.keys() | candidate.texts.keys())
    files = [FileChange(path, base.side(path), candidate.side(path)) for path in paths]
    return Change(tuple(file for file in files if file.before != file.after), base, candidate)


def change(base: Mapping[str, str], candidate: Mapping[str, str | None]) -> Change:
    """A change of some files; None removes one, and those that are not named stay."""
    after = {path: text for path, text in {**base, **candidate}.items() if text is not None}
    return change_of(Paths(base), Paths(after))


def alarms(
    base: Mapping[str, str], candidate: Mapping[str, str | None], commands: Sequence[str] = COMMANDS
) -> list[Alarm]:
    """What the rules say about it."""
    return alarms_of(change(base, candidate), Surroundings(GateConfig().tests, commands, ("db/**",)))


def said(base: Mapping[str, str], candidate: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """The checks that say something, with the permission that they ask for."""
    return sorted({(alarm.check, alarm.permission) for alarm in alarms(base, candidate)})
