"""Operations: the only truth of the tracker. Everything else is folded from them.

An operation says what one actor did to one issue at one moment of a hybrid logical clock. It never changes once
written. Operations of all replicas are ordered by `(clock, id)`; that order is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from tapeout.base import jsontext as json
from tapeout.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

_COUNTER_BITS = 16
_CLOCK_LIMIT = 1 << 63
"""What an SQLite integer can hold."""


class Operation(NamedTuple):
    """One entry of the log."""

    id: str
    """`<replica>.<number>`, the number counting up from 1 on each replica."""
    clock: int
    """Hybrid logical clock: milliseconds since 1970 shifted left by 16 bits, plus a counter."""
    actor: str
    issue: str
    """Empty for what concerns the floor as a whole."""
    kind: str
    data: dict[str, Any]
    act: int = 0
    """Number of the first operation that was written in the same transaction: together they are one act of the actor,
    shown and undone as one. 0 where that was not recorded."""

    @property
    def at(self) -> float:
        """Unix time in seconds."""
        return (self.clock >> _COUNTER_BITS) / 1000

    @property
    def happened_at(self) -> float:
        """Unix time in seconds at which it happened: what was imported happened before it was written here."""
        at = self.data.get("at")
        if isinstance(at, int | float) and not isinstance(at, bool) and abs(at) < _CLOCK_LIMIT:
            return float(at)
        return self.at

    @property
    def author(self) -> str:
        """Who did it: for what was imported whom the file names, if it names anybody."""
        by = self.data.get("by")
        return by if isinstance(by, str) else self.actor

    @property
    def replica(self) -> str:
        """The replica that wrote it."""
        return self.id.rpartition(".")[0]

    @property
    def number(self) -> int:
        """Its number on its replica."""
        return int(self.id.rpartition(".")[2])

    @property
    def act_id(self) -> str:
        """Id of the first operation of its act."""
        return f"{self.replica}.{self.act or self.number}"

    @property
    def order(self) -> tuple[int, str]:
        """Its place in the fold, the same on every replica."""
        return self.clock, self.id


def tick(last: int, wall_seconds: float) -> int:
    """The next value of a hybrid logical clock: never behind the wall clock, always past `last`.

    Source: Kulkarni et al., "Logical Physical Clocks" (2014), with one integer for both parts.
    """
    return max(last + 1, int(wall_seconds * 1000) << _COUNTER_BITS)


def encode_data(data: dict[str, Any]) -> str:
    """Compact JSON of an operation's data."""
    return json.dumps(data, separators=(",", ":"))


def encode(operation: Operation) -> str:
    """One line of the git log; an act of a single operation goes without saying."""
    fields = operation if operation.act not in (0, operation.number) else operation[:6]
    return json.dumps(fields, separators=(",", ":"))


def decode(line: str) -> Operation:
    """Parse one line of the git log.

    Raises:
        ValueError: the line is not an operation.
    """
    try:
        operation = _checked(json.loads(line))
        if "\\ud" in line or "\\uD" in line:
            encode(operation).encode()  # half of a surrogate pair can be stored nowhere
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an operation: {line[:80]!r}") from error
    return operation


def decode_lines(lines: Sequence[str]) -> list[Operation]:
    """Parse lines of the git log, the same as `decode` does one by one.

    Raises:
        ValueError: one of them is not an operation.
    """
    text = ",\n".join(lines)
    try:
        if "\\ud" not in text and "\\uD" not in text:
            found = [_checked(fields) for fields in json.loads(f"[{text}]")]
            if len(found) == len(lines):
                return found
    except (TypeError, ValueError, AttributeError, RecursionError):
        pass  # one by one, the error names the line
    return [decode(line) for line in lines]


def _checked(fields: list[Any]) -> Operation:
    operation = Operation(*fields)
    sound = (
        type(operation.id) is type(operation.actor) is type(operation.issue) is type(operation.kind) is str
        and type(operation.clock) is int
        and 0 <= operation.clock < _CLOCK_LIMIT
        and isinstance(operation.data, dict)
        and type(operation.act) is int
    )
    if not sound:
        raise ValueError("a field is of the wrong type")
    return operation if operation.act else operation._replace(act=operation.number)
