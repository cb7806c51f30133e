"""Changes made of texts, and what the rules say about them."""

from collections.abc import Mapping, Sequence

from tapeout.config import GateConfig
from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import Change, Paths, change_of
from tapeout.gate.integrity.privileged import Surroundings
from tapeout.gate.integrity.rules import alarms_of

COMMANDS = ("make check", "sh tools/check.sh src", "pytest tests/test_named.py")


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
