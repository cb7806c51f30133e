"""What is taken from a handoff, and what is not: pure."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tapeout.floor.handoff.compiling import Ledger, compile_handoff
from tapeout.floor.handoff.model import LONGEST_LINE, MOST_LINES, FileNote, Handoff, find_handoff, read_handoff
from tapeout.floor.handoff.verifying import Known, verify
from tapeout.floor.handoff.wording import handoff_lines, handoff_request
from tapeout.floor.prompting.fitting import fence_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
FIELDS = st.dictionaries(st.sampled_from([*Handoff._fields, "other"]), JSON)


def bounded(handoff: Handoff) -> bool:
    """Whether it is short and on single lines that hide nothing."""
    lists = (handoff.done, handoff.next, handoff.dead_ends, handoff.commits, handoff.questions)
    lines = [handoff.goal, *(line for one in lists for line in one), *(part for note in handoff.files for part in note)]
    return (
        all(len(line) <= LONGEST_LINE and line.isprintable() for line in lines)
        and max(map(len, (*lists, handoff.files))) <= MOST_LINES
    )


@given(JSON | FIELDS)
def test_whatever_it_is_what_is_read_is_bounded_and_reads_back_the_same(data: object) -> None:
    handoff = read_handoff(data)
    if handoff is not None:
        assert bounded(handoff)
        assert read_handoff(json.loads(json.dumps(handoff.as_data()))) == handoff
        assert fence_of(handoff_lines(handoff)) is not None


@given(st.text() | st.builds(lambda text: f"```tapeout-handoff\n{text}\n```", st.text()))
def test_no_answer_is_too_odd_to_be_looked_at(answer: str) -> None:
    handoff = find_handoff(answer)
    assert handoff is None or bounded(handoff)


def test_the_last_block_counts_and_what_was_asked_for_is_understood() -> None:
    early, late = ({"goal": goal, "done": ["x"]} for goal in ("first", "second"))
    blocks = [f"~~~ json\n{json.dumps(one)}\n~~~" for one in (early, late)]
    found = find_handoff("\n".join(["Well:", *blocks, "```tapeout-handoff\n[[[\n```"]))
    assert found == Handoff("second", done=("x",))
    assert find_handoff('A warning.```tapeout-handoff\n{"done": ["all"]}\n```') == Handoff("", done=("all",))
    example = find_handoff(handoff_request("its context is full"))
    assert example is not None
    assert all(example), "the example that agents are shown has every field"
    assert find_handoff("```json\n" + "[" * 100_000 + "\n```") is None


NAMES = st.sampled_from(["a.py", "b.py", "abc1234", "fff0000", "../x"])


@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6), st.sets(NAMES), st.sets(NAMES))
def test_nothing_that_is_made_up_is_kept(files: list[str], commits: list[str], paths: set[str], ids: set[str]) -> None:
    handoff = Handoff("x", ("y",), files=tuple(map(FileNote, files)), commits=tuple(commits))
    kept, dropped = verify(handoff, Known(paths, {name: name * 2 for name in ids}))
    assert all(name not in paths and name not in ids for name in dropped)
    if kept is None:
        assert 2 * len(dropped) > len(files) + len(commits)
    else:
        assert {note.path for note in kept.files} <= paths
        assert set(kept.commits) <= {name * 2 for name in ids}
        assert (kept.goal, kept.done) == ("x", ("y",))


LEDGERS = st.builds(
    Ledger, st.text(), st.lists(st.tuples(st.just("c" * 40), st.text()), max_size=30), st.lists(st.text(), max_size=30),
    st.lists(st.text(), max_size=30), st.lists(st.tuples(st.text(), st.sampled_from(["completed", "pending"]))),
    st.dictionaries(st.text(), st.integers(1, 9)), st.text(),
)  # fmt: skip


@given(LEDGERS)
def test_a_compiled_handoff_is_bounded_and_says_what_is_on_record(ledger: Ledger) -> None:
    handoff = compile_handoff(ledger)
    assert bounded(handoff)
    assert len(handoff.commits) == min(len(ledger.commits), MOST_LINES)
    todo = sum(status != "completed" for _, status in ledger.plan) + bool(ledger.last_words.strip())
    assert len(handoff.next) == min(todo, MOST_LINES)
