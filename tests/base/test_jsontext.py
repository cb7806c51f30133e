"""JSON without the standard library's Python part: the same text, the same values, the same errors."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base import jsontext


class Point(NamedTuple):
    x: int
    y: str


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


@given(VALUES)
def test_the_same_text_and_value(value: Any) -> None:
    text = jsontext.dumps(value)
    assert text == json.dumps(value, ensure_ascii=False)
    assert jsontext.dumps(value, separators=(",", ":")) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert jsontext.loads(text) == json.loads(text) == value
    assert jsontext.loads(f" {text}\n") == value


@given(st.text())
def test_the_same_escapes(text: str) -> None:
    assert f'"{jsontext.escaped(text)}"' == json.dumps(text)


def test_named_tuples_are_lists() -> None:
    assert jsontext.dumps({"a": (1, 2.5), "b": Point(3, "x")}) == '{"a": [1, 2.5], "b": [3, "x"]}'


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_what_is_no_number_in_json_is_read_as_null_and_not_written(number: str) -> None:
    assert (
        jsontext.loads(f'{{"a": [{number}, 1.5]}}')
        == jsontext.loads(f' {{"a": [{number}, 1.5]}}')
        == {"a": [None, 1.5]}
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsontext.dumps([float(number)])


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "1 2", '"\n"', "nul", '{"a"}', "\ufeff1"])
def test_the_same_errors(text: str) -> None:
    with pytest.raises(ValueError) as expected:
        json.loads(text)
    with pytest.raises(ValueError) as found:
        jsontext.loads(text)
    assert str(found.value) == str(expected.value)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        jsontext.dumps([object()])


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        jsontext.dumps(circle)
