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

    @property
    def at(self) -> float:
        """Unix time in seconds."""
        return (self.clock >> _COUNTER_BITS) / 1000

    @property
    def replica(self) -> str:
        """The replica that wrote it."""
        return self.id.rpartition(".")[0]


def tick(last: int, wall_seconds: float) -> int:
    """The next value of a hybrid logical clock: never behind the wall clock, always past `last`.

    Source: Kulkarni et al., "Logical Physical Clocks" (2014), with one integer for both parts.
    """
    return max(last + 1, int(wall_seconds * 1000) << _COUNTER_BITS)


def encode_data(data: dict[str, Any]) -> str:
    """Compact JSON of an operation's data."""
    return json.dumps(data, separators=(",", ":"))


def encode(operation: Operation) -> str:
    """One line of the git log."""
    return json.dumps(list(operation), separators=(",", ":"))


def decode(line: str) -> Operation:
    """Parse one line of the git log.

    Raises:
        ValueError: the line is not an operation.
    """
    try:
        operation = Operation(*json.loads(line))
    except (TypeError, ValueError) as error:
        raise ValueError(f"not an operation: {line[:80]!r}") from error
    texts = (operation.id, operation.actor, operation.issue, operation.kind)
    if not (all(isinstance(text, str) for text in texts) and isinstance(operation.clock, int)):
        raise ValueError(f"not an operation: {line[:80]!r}")
    if not isinstance(operation.data, dict):
        raise ValueError(f"not an operation: {line[:80]!r}")  # noqa: TRY004 - one kind of error for bad lines
    return operation
