"""Moments as text: any number has one, and a length of time is read as it was written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.moments import UNITS, clock, seconds_of, utc, utc_minute


@given(st.floats() | st.integers(-(10**20), 10**20).map(float))
def test_every_number_has_a_text(at: float) -> None:
    for text in (clock(at), utc(at), utc_minute(at)):
        assert text
        assert text.isprintable()


def test_in_utc() -> None:
    assert utc(1_800_000_000.5) == "2027-01-15T08:00:00Z"
    assert utc_minute(1_800_000_000.5) == "2027-01-15T08:00Z"
    assert utc(math.inf) == "inf"


@given(st.integers(0, 10**9 - 1), st.sampled_from(sorted(UNITS)))
def test_a_length_of_time_is_read(number: int, unit: str) -> None:
    assert seconds_of(f"{number}{unit}") == number * UNITS[unit]


@pytest.mark.parametrize("text", ["", "d", "7", "7y", "-7d", "+7d", " 7d", "7 d", "٣d", "1e3d", "1234567890d", "7D"])
def test_what_is_no_length_of_time(text: str) -> None:
    assert seconds_of(text) is None
