"""Operations: the only truth of the tracker. Everything else is folded from them.

An operation says what one actor did to one issue at one moment of a hybrid logical clock. It never changes once
written. Operations of all replicas are ordered by `(clock, id)`; that order is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from tapeout.base import jsontext as json
from tapeout.base.errors import NotAllowed
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker.model import LAST_MOMENT

if TYPE_CHECKING:
    from typing import Any

_COUNTER_BITS = 16
LIMIT = 1 << 63
"""Clocks and numbers are below it: what an SQLite integer can hold."""


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
        at: Any = self.data.get("at")
        if type(at) in (int, float) and 0 <= at <= LAST_MOMENT:
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


_ORDER = itemgetter(1, 0)
"""Its clock and its id, as `Operation.order` has them."""


def in_order(operations: Iterable[Operation]) -> list[Operation]:
    """Operations in the order of the fold."""
    return sorted(operations, key=_ORDER)


def tick(last: int, wall_seconds: float) -> int:
    """The next value of a hybrid logical clock: never behind the wall clock, always past `last`.

    Source: Kulkarni et al., "Logical Physical Clocks" (2014), with one integer for both parts.
    """
    return max(last + 1, int(wall_seconds * 1000) << _COUNTER_BITS)


def past(newest: int, issue: str) -> int:
    """The clock after the newest of an issue.

    Raises:
        NotAllowed: there is none.
    """
    if newest + 1 >= LIMIT:
        raise NotAllowed(f"{issue} cannot be changed any more: a clone wrote to it with the last moment that there is")
    return newest + 1


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
        operation = _checked(json.loads(line), may_be_deep=_may_be_deep(line))
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
        if "\\ud" not in text and "\\uD" not in text and not any(_may_be_deep(line) for line in lines):
            found = [_checked(fields) for fields in json.loads(f"[{text}]")]
            if len(found) == len(lines):
                return found
    except (TypeError, ValueError, AttributeError, RecursionError):
        pass  # one by one, the error names the line
    return [decode(line) for line in lines]


_DEPTH = 100
"""Most levels of lists and objects in the data of an operation: what only just can be read here would be too deep
where more calls are under way."""


def _may_be_deep(line: str) -> bool:
    return line.count("[") + line.count("{") > _DEPTH


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(_DEPTH):
        below = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for values in below for value in values]
    return bool(level)


def _checked(fields: list[Any], *, may_be_deep: bool = False) -> Operation:
    identity, clock, actor, issue, kind, data, act = Operation(*fields)
    _, dot, digits = identity.rpartition(".")
    number = int(digits)
    sound = (
        type(identity) is type(actor) is type(issue) is type(kind) is str
        and type(clock) is int
        and 0 <= clock < LIMIT
        and isinstance(data, dict)
        and type(act) is int
        and 0 <= act <= number < LIMIT
        and dot + digits == f".{number}"
        and not (may_be_deep and _is_deep(data))
    )
    if not sound:
        raise ValueError("a field is of the wrong type, or too large or deep")
    return Operation(identity, clock, actor, issue, kind, data, act or number)
