"""What follows from the reports of a session, and what is estimated without them."""

from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents import Compacted, Spent, Text, ToolCall, Update, Usage
from tapeout.agents.meter import HIDDEN_TOKENS, Meter
from tapeout.agents.windows import DEFAULT_WINDOW, configured_model, window_of

from .conftest import relaxed

DONE = ToolCall("c", "make", "execute", "completed", "")


def read(meter: Meter, *updates: Update) -> list[Update]:
    return [found for update in updates for found in meter.read(update)]


def test_a_context_that_falls_sharply_was_compacted() -> None:
    found = read(Meter(1000), *[Usage(used, 100_000) for used in (20_000, 60_000, 58_000, 12_000, 20_000, 13_000)])
    assert [one for one in found if isinstance(one, Compacted)] == [Compacted(60_000, 12_000)]


def test_little_things_are_no_compaction() -> None:
    found = read(Meter(1000), *[Usage(used, 1_000_000) for used in (10_000, 4_000, 50_000, 31_000, 0)])
    assert [one for one in found if isinstance(one, Compacted)] == [Compacted(50_000, 0)]


def test_a_compaction_that_the_agent_tells_is_told_once() -> None:
    found = read(Meter(1000), Usage(80_000, 100_000), Compacted(80_000, 9_000), Usage(9_000, 100_000))
    assert [one for one in found if isinstance(one, Compacted)] == [Compacted(80_000, 9_000)]


def test_a_window_of_ones_own_counts() -> None:
    meter = Meter(50_000, fixed=True)
    assert read(meter, Usage(20_000, 1_000_000))[0] == Usage(20_000, 50_000)


def test_a_cost_once_told_is_kept() -> None:
    meter = Meter(1000)
    read(meter, Usage(1, 10, 0.5), Usage(2, 10))
    assert meter.usage == Usage(2, 10, 0.5)


def test_without_reports_the_context_is_estimated_from_what_was_said() -> None:
    meter = Meter(100_000)
    meter.prompted("x" * 2000)
    assert read(meter, Text("short")) == [Text("short")]
    long = ToolCall("c", "", "execute", "completed", "y" * 8000)
    assert read(meter, long) == [long, Usage(HIDDEN_TOKENS + 2501, 100_000, estimated=True)]
    assert meter.turn_ended()[-1] == Spent(HIDDEN_TOKENS + 501, 0, estimated=True)
    meter.prompted("z" * 4000)
    assert meter.turn_ended()[0] == Usage(HIDDEN_TOKENS + 3501, 100_000, estimated=True)


def test_a_report_ends_the_estimates() -> None:
    meter = Meter(100_000)
    read(meter, Text("x" * 40_000), Usage(5_000, 100_000), Text("y" * 40_000))
    assert meter.turn_ended() == [Spent(5_000, 0, estimated=True)]
    assert meter.usage == Usage(5_000, 100_000)


def test_each_request_sends_the_whole_context_again() -> None:
    meter = Meter(100_000)
    meter.prompted("go")
    found = read(meter, Usage(10_000, 100_000), DONE, DONE, Text("so"), Usage(12_000, 100_000))
    assert found[-1] == Spent(22_000, 0, estimated=True)
    assert meter.turn_ended() == [Spent(22_000, 0, estimated=True)]


def test_an_agents_own_account_counts_for_more() -> None:
    meter = Meter(100_000)
    read(meter, Usage(10_000, 100_000, 0.25))
    assert meter.turn_ended(Spent(30_000, 500)) == [Spent(30_000, 500, 0.25)]
    meter.prompted("go on")
    assert meter.turn_ended(Spent(1_000, 10)) == [Spent(31_000, 510, 0.25)]
    meter.prompted("and again")
    assert meter.turn_ended() == [Spent(41_000, 510, 0.25, estimated=True)]


def test_a_program_without_memory_starts_each_turn_with_nothing() -> None:
    meter = Meter(1000, hidden=0, remembers=False)
    meter.prompted("x" * 400)
    meter.turn_ended()
    meter.prompted("x" * 400)
    assert meter.turn_ended() == [Spent(200, 0, estimated=True)]
    assert meter.usage == Usage(100, 1000, estimated=True)


@given(
    st.lists(
        st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)) | st.builds(Text, st.text()) | st.just(DONE)
    )
)
@relaxed
def test_what_is_spent_only_grows_within_a_turn(updates: list[Update]) -> None:
    meter = Meter(1000)
    meter.prompted("go")
    read(meter, *updates)
    first = meter.turn_ended()[-1]
    meter.prompted("go")
    last = meter.turn_ended()[-1]
    assert isinstance(first, Spent)
    assert isinstance(last, Spent)
    assert 0 <= first.input_tokens <= last.input_tokens


def test_windows_go_by_the_name_of_the_model() -> None:
    known = {
        "claude-sonnet-4-5": 200_000,
        "sonnet[1m]": 1_000_000,
        "claude-opus-5-5": 1_000_000,
        "openai/gpt-5.2-codex": 272_000,
        "gpt-4o": 128_000,
        "gemini-3-pro": 1_048_576,
        "gemini": 1_048_576,
        "what-is-this": DEFAULT_WINDOW,
        "": DEFAULT_WINDOW,
    }
    assert {name: window_of(name) for name in known} == known


def test_the_model_is_found_where_it_is_chosen() -> None:
    assert configured_model(("a", "--model", "m", "x"), {}) == "m"
    assert configured_model(("a", "--model=m"), {"A_MODEL": "n"}) == "m"
    assert configured_model(("a", "-m"), {}) == ""
    assert configured_model(("a",), {"ANTHROPIC_MODEL": "n", "B": "x"}) == "n"
    assert configured_model((), {}) == ""
