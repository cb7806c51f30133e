"""The stand-ins behave like what they stand for."""

from __future__ import annotations

import pickle
import typing

import pytest

from tapeout.base.lean import NamedTuple, cast


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2
    """Up."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.x + self.y


class Original(typing.NamedTuple):
    """A place."""

    x: int
    y: int = 2


def test_a_named_tuple_is_one() -> None:
    point = Point(1)
    assert point == (1, 2)
    assert (point.total, point._replace(y=5).total) == (3, 6)
    assert point._asdict() == {"x": 1, "y": 2}
    assert repr(point) == repr(Original(1)).replace("Original", "Point")
    assert (Point._fields, Point._field_defaults) == (Original._fields, Original._field_defaults)
    assert (Point.__doc__, Point.__module__, Point.__qualname__) == ("A place.", __name__, "Point")
    assert typing.get_type_hints(Point) == typing.get_type_hints(Original)
    assert pickle.loads(pickle.dumps(point)) == point


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_cast_gives_its_value() -> None:
    assert cast("int", "x") == "x"  # type: ignore[comparison-overlap]
