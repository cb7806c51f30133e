"""The hybrid logical clock and the lines of the log."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.tracker.operations import Operation, decode, decode_lines, encode, tick

WALL = st.floats(min_value=0, max_value=4e9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(WALL, min_size=1))
def test_the_clock_only_goes_forward_even_when_the_wall_clock_goes_back(walls: list[float]) -> None:
    clocks = [0]
    for wall in walls:
        clocks.append(tick(clocks[-1], wall))
    assert clocks == sorted(set(clocks))


@given(WALL, WALL)
def test_the_clock_is_never_behind_the_wall_clock(last: float, wall: float) -> None:
    clock = tick(tick(0, last), wall)
    assert Operation("r.1", clock, "", "", "", {}).at >= int(wall * 1000) / 1000


@given(WALL)
def test_the_clock_shows_the_time_when_nothing_runs_ahead(wall: float) -> None:
    assert Operation("r.1", tick(0, wall), "", "", "", {}).at == pytest.approx(wall, abs=0.001)


def test_more_operations_than_the_counter_holds_in_one_millisecond_still_go_forward() -> None:
    clock = tick(0, 1.0)
    for _ in range(70_000):
        assert tick(clock, 1.0) > clock
        clock = tick(clock, 1.0)


@given(
    st.builds(
        Operation,
        st.integers(1, 10**9).map("r.{}".format),
        st.integers(0, 2**63 - 1),
        st.text(),
        st.text(),
        st.text(),
        st.dictionaries(st.text(), JSON),
        act=st.integers(0, 10**9),
    ).filter(lambda operation: operation.act <= operation.number)
)
def test_an_operation_survives_the_log(operation: Operation) -> None:
    line = encode(operation)
    assert "\n" not in line
    assert decode(line) == operation._replace(act=operation.act or operation.number)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "3",
        "null",
        "[1,2,3,4,5,6]",
        '["r.1",1,"a","i","k",[]]',
        '["r.1","1","a","i","k",{}]',
        "[" * 9,
        "[" * 100_000,
        '["r.x",1,"a","i","k",{}]',
        '["r",1,"a","i","k",{}]',
        '["r.1",-1,"a","i","k",{}]',
        '["r.1",9223372036854775808,"a","i","k",{}]',
        '["r.1",1,"a","i","k",{"title":"\\ud800"}]',
        '["r.1",1,"a","i","k",{},"2"]',
        '["r.1",1,"a","i","k",{},1,1]',
        '["r.9223372036854775808",1,"a","i","k",{}]',
        '["r.1",1,"a","i","k",{},9223372036854775808]',
        '["r.1",1,"a","i","k",{},2]',
        '["r.1",1,"a","i","k",{},-1]',
        '["r.-1",1,"a","i","k",{}]',
        '["r.01",1,"a","i","k",{}]',
        '["r. 1",1,"a","i","k",{}]',
        '["r.1_0",1,"a","i","k",{}]',
        '["r.\u0661",1,"a","i","k",{}]',
        '["r.1",1,"a","i","k",{"x":' + "[" * 200 + "]" * 200 + "}]",
        '["r.1",1,"a","i","k",' + '{"x":[' * 60 + "]}" * 60 + "]",
    ],
)
def test_a_line_that_is_no_operation_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not an operation"):
        decode(line)


def test_many_brackets_beside_each_other_are_no_depth() -> None:
    line = '["r.1",1,"a","i","k",{"x":[' + ",".join(["[[]]"] * 1000) + ',"' + "[" * 500 + '"]}]'
    assert decode_lines([line]) == [decode(line)]


@given(JSON)
def test_any_other_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not an operation"):
        decode(json.dumps(value))
