"""What the headless drivers have in common: how a program's JSON stream becomes updates. Pure data, no I/O.

A dialect is made for one session. It says how to call the program for a turn, and reads what that turn prints. Like
everything from an agent, its messages are untrusted: whatever their shape, reading them never raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tapeout.agents.choices import Permissions
from tapeout.agents.updates import Spent, Update


@dataclass(frozen=True)
class Ending:
    """How a turn ended, by the program's own word."""

    stop_reason: str
    """As in `TurnResult`."""
    error: str = ""
    """What it failed with; empty if it did not."""
    spent: Spent | None = None


class Dialect(Protocol):
    """One program's way."""

    language: str
    """What it prints, for a message."""
    session: str
    """Its name for the session; empty until it has told."""
    opened: bool
    """Whether it has told that it has the conversation."""
    model: str
    """The model by its own word; empty until it has told."""
    ending: Ending | None
    """How the running turn ended; None until it has told."""

    def arguments(self, permissions: Permissions) -> list[str]:
        """Arguments for the next turn, whose prompt is standard input. Forgets the last turn's ending."""
        ...

    def read(self, message: Mapping[str, Any]) -> list[Update]:
        """What a line of its output reports."""
        ...


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; empty if it is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def words(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def tokens(value: object) -> int:
    """A number of tokens; 0 if it is none."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15 else 0
