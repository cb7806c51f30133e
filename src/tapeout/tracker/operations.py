"""Operations: the only truth of the tracker. Everything else is folded from them.

An operation says what one actor did to one issue at one moment of a hybrid logical clock. It never changes once
written. Operations of all replicas are ordered by `(clock, id)`; that order is the same everywhere.
"""

from __future__ import annotations

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
        operation = Operation(*json.loads(line))
        act = operation.act or operation.number
        if "\\ud" in line or "\\uD" in line:
            encode(operation).encode()  # half of a surrogate pair can be stored nowhere
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an operation: {line[:80]!r}") from error
    texts = (operation.id, operation.actor, operation.issue, operation.kind)
    sound = (
        all(isinstance(text, str) for text in texts)
        and type(operation.clock) is int
        and 0 <= operation.clock < _CLOCK_LIMIT
        and isinstance(operation.data, dict)
        and type(act) is int
    )
    if not sound:
        raise ValueError(f"not an operation: {line[:80]!r}")
    return operation._replace(act=act)
