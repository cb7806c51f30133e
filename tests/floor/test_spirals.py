"""Going in circles is told from slow progress: the detectors, without a process."""

import dataclasses
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.agents import Text, ToolCall, Usage
from tapeout.floor.cuts import Cut, Tell
from tapeout.floor.memory.model import Patch, Round
from tapeout.floor.memory.patches import FileChange, patch_of
from tapeout.floor.memory.signatures import failures_of
from tapeout.floor.spirals.guard import SpiralGuard
from tapeout.floor.spirals.rounds import STUCK_CUT, STUCK_ISSUE_CUT, UNCHANGED_CUT, detect
from tapeout.floor.spirals.session import (
    FAILS_CUT,
    FAILS_TOLD,
    NO_NEWS_CUT,
    NO_NEWS_TOLD,
    REPEATS_CUT,
    REPEATS_TOLD,
    SWINGS_CUT,
    SWINGS_TOLD,
    SessionWatch,
)
from tests.floor.test_memory import a_round

SEVENTEEN = (
    "a + b", "b + a", "a + b + 0", "0 + a + b", "sum([a, b])", "sum((a, b))", "int(a) + int(b)", "abs(a + b)",
    "a - -b", "b - -a", "a.__add__(b)", "operator.add(a, b)", "(a + b)", "a + 1 * b", "float(a + b)", "+a + b",
    "max(a + b, a + b)",
)  # fmt: skip
"""Ways to write one fix, none of which helps."""


def patch(path: str, removed: Sequence[str], added: Sequence[str]) -> Patch:
    found = patch_of([FileChange(path, removed, added)])
    assert found is not None
    return found


def refused(change: Patch | None, *messages: str, failing: int | None = None, **fields: object) -> Round:
    findings = [("tests", "exit code 1", f"FAILED t.py::{message} - AssertionError: {message}") for message in messages]
    failures = failures_of(findings, {})
    count = failures.failing if failing is None else failing
    tree = change.id if change is not None else "t" * 40
    return a_round(patch=change, signatures=failures.signatures, failing=count, tree=tree, **fields)


def cut_at(rounds: Sequence[Round], earlier: Sequence[Round] = ()) -> int | None:
    """At which round of a session it is cut."""
    for number in range(1, len(rounds) + 1):
        found = detect(earlier, rounds[:number])
        if found is not None and found.is_cut:
            return number
    return None


VARIED = [refused(patch("calc.py", ["return a - b"], [f"return {fix}"]), "test_add") for fix in SEVENTEEN]


def test_seventeen_variations_of_one_fix_are_cut_by_the_third() -> None:
    told = detect([], VARIED[:2])
    assert told is not None
    assert not told.is_cut
    assert cut_at(VARIED) == 3
    found = detect([], VARIED[:3])
    assert found is not None
    assert "3 variations of one fix (calc.py" in found.evidence
    assert "test_add" in found.evidence


@given(st.permutations(VARIED))
def test_in_whatever_order_they_come(rounds: list[Round]) -> None:
    assert cut_at(rounds) == 3


def test_a_fresh_session_that_begins_with_a_known_variation_is_cut_at_once() -> None:
    assert cut_at([dataclasses.replace(VARIED[5], attempt=2)], VARIED[:3]) == 1
    elsewhere = refused(patch("parse.py", ["x = 1"], ["value = read(stream)"]), "test_add", attempt=2)
    assert cut_at([elsewhere], VARIED[:3]) is None


STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.text("abcdef ", min_size=1, max_size=8)), max_size=20)


@st.composite
def honest_runs(draw: st.DrawFn) -> list[Round]:
    """An agent that gets on slowly: each round mends some of what fails, or gets to the next failure, in a change that
    grows or is rewritten."""
    steps, says_tests, grows = draw(STEPS), draw(st.booleans()), draw(st.booleans())
    left = sum(amount for mends, amount, _ in steps if mends) + 1
    names = [f"test_{number}" for number in range(left)]
    lines: list[str] = []
    rounds: list[Round] = []
    for number, (mends, amount, text) in enumerate(steps):
        lines = [*(lines if grows else lines[:5]), f"{text} = {number}"]
        if mends:
            left -= amount
        else:
            names = [f"{name}_{number}" for name in names]  # the same test, another failure
        shown = names[:left] if says_tests else names[:1]
        rounds.append(refused(patch("calc.py", ["return a - b"], lines), *shown, failing=left))
    return rounds


@given(honest_runs())
@settings(max_examples=300)
def test_slow_progress_is_never_cut(rounds: list[Round]) -> None:
    for number in range(1, len(rounds) + 1):
        assert detect([], rounds[:number]) is None
    half = len(rounds) // 2
    assert cut_at(rounds[half:], rounds[:half]) is None


def test_a_passing_round_is_no_spiral() -> None:
    assert cut_at([*VARIED[:2], dataclasses.replace(VARIED[2], passed=True)]) is None


def others(count: int, *messages: str) -> list[Round]:
    return [refused(patch(f"f{number}.py", [f"gone{number}"], [f"come{number}"]), *messages) for number in range(count)]


def test_different_changes_that_fail_alike_may_be_more() -> None:
    assert cut_at(others(20, "test_add")) == STUCK_CUT
    assert cut_at(others(20, "test_add")[:4], others(20, "test_add")[4:]) is not None
    few = others(STUCK_ISSUE_CUT, "test_add")
    assert cut_at(few[-2:], few[:-2]) is None, "a fresh session is not cut for what others did"


def test_a_change_that_is_submitted_again_and_again_with_others_in_between() -> None:
    good, other, third = (patch(f"{name}.py", [], [name]) for name in ("a", "b", "c"))
    rounds = [refused(good, "one"), refused(other, "two"), refused(good, "three"), refused(third, "x")]
    told = detect([], rounds[:3])
    assert told is not None
    assert told.kind == "reappears"
    assert cut_at([*rounds, refused(good, "four")]) == 5


def test_a_swing_between_two_states_is_cut_at_the_fourth() -> None:
    one, other = patch("a.py", [], ["one"]), patch("a.py", [], ["other"])
    rounds = [refused(one, "x"), refused(other, "y")] * 3
    assert cut_at(rounds) == 4
    found = detect([], rounds[:4])
    assert found is not None
    assert "swings between two states" in found.evidence


def test_prompts_that_change_nothing() -> None:
    idle = [refused(None, "nothing", tokens=1000 * number, number=number) for number in range(1, 6)]
    assert cut_at(idle) == UNCHANGED_CUT
    found = detect([], idle[:UNCHANGED_CUT])
    assert found is not None
    assert "2,000 tokens" in found.evidence
    same = [refused(VARIED[0].patch, f"flaky_{number}") for number in range(6)]
    assert cut_at(same) == 1 + UNCHANGED_CUT, "the first of them made the tree"


def call(
    title: str = "make test", output: str = "", *, status: str = "completed", kind: str = "execute", given: str = "x",
    edits: tuple[tuple[str, str, str], ...] = (), number: list[int] = [0],  # noqa: B006 - counts all calls
) -> ToolCall:  # fmt: skip
    number[0] += 1
    return ToolCall(f"call-{number[0]}", title, kind, status, output, given, edits)


def edit(path: str = "a.py", old: str = "1", new: str = "2") -> ToolCall:
    return call(f"Edit {path}", kind="edit", given=old + new, edits=((path, old, new),))


def watched(calls: Sequence[ToolCall]) -> tuple[int | None, int | None]:
    """After which call the agent is told, and after which its session is cut."""
    guard = SpiralGuard()
    told = cut = None
    for number, one in enumerate(calls, start=1):
        answer = guard.update(one, 0.0)
        told = number if told is None and isinstance(answer, Tell) else told
        cut = number if cut is None and isinstance(answer, Cut) else cut
    return told, cut


def test_the_same_call_with_the_same_result() -> None:
    assert watched([call() for _ in range(20)]) == (REPEATS_TOLD, REPEATS_CUT)
    assert watched([call(output=f"{number} of 100 done") for number in range(20)]) == (None, None)
    assert watched([call(output=f"ok in {number}.5 s") for number in range(20)]) == (REPEATS_TOLD, REPEATS_CUT)
    assert watched([call(given=str(number)) for number in range(20)]) == (None, None)
    again = call()
    assert watched([again] * 20) == (None, None), "one call that is reported twenty times"


def test_looking_again_after_each_edit_is_no_circle() -> None:
    calls = [one for number in range(30) for one in (edit(new=str(number)), call("git status", "clean"))]
    assert watched(calls) == (None, None)
    unknown = [one for _ in range(30) for one in (call("Edit", kind="edit", given=""), call("git status", "clean"))]
    assert watched(unknown) == (None, None)


def fails(count: int, seconds: float = 0.1) -> ToolCall:
    return call(output=f"FAILED t.py::test_x - ValueError: bad\n{count} failed in {seconds}s", status="failed")


def test_the_same_command_that_fails_alike_whatever_is_edited() -> None:
    stuck = [one for number in range(20) for one in (edit(new=str(number)), fails(3, number / 10))]
    assert watched(stuck) == (2 * FAILS_TOLD, 2 * FAILS_CUT)
    slow = [one for number in range(40) for one in (edit(new=str(number)), fails(40 - number))]
    assert watched(slow) == (None, None)


def test_edits_that_go_back_and_forth() -> None:
    swing = [edit(old=old, new=new) for old, new in [("1", "2"), ("2", "1")] * 5]
    assert watched(swing) == (1 + SWINGS_TOLD, 1 + SWINGS_CUT)
    taken_back = [edit(old=old, new=new) for n in range(20) for old, new in [("1", f"debug {n}"), (f"debug {n}", "1")]]
    assert watched(taken_back) == (None, None)


def test_circles_of_several_calls() -> None:
    circle = [call("ls"), call("pwd"), call("cat a"), call("id"), call("env"), call("date")]
    calls = [dataclasses.replace(circle[number % 6], id=f"round-{number}") for number in range(60)]
    told, cut = watched(calls)
    assert told is not None
    assert cut is not None
    assert told <= 6 + NO_NEWS_TOLD
    assert cut <= 6 + NO_NEWS_CUT


def test_tokens_that_bring_nothing_new() -> None:
    watch = SessionWatch()
    watch.turn_started()
    assert watch.usage(Usage(10_000, 200_000)) is None
    found = watch.usage(Usage(31_000, 200_000))
    assert found is not None
    assert not found.is_cut
    found = watch.usage(Usage(51_000, 200_000))
    assert found is not None
    assert found.is_cut
    assert "41,000 tokens" in found.evidence
    watch.call(call("read a large file"))
    assert watch.usage(Usage(120_000, 200_000)) is None, "what a new call brings is no idling"
    assert watch.usage(Usage(1, 0)) is None
    watch.call(call("read another one"))
    for used in (21_000, 21_000, 120_000, 130_000):
        assert watch.usage(Usage(used, 200_000)) is None, "the first report is of the request before it"
    assert watch.usage(Usage(161_000, 200_000)) is not None


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_honest_sessions_are_neither_told_nor_cut(seed: int) -> None:
    """Reading, searching, editing, testing with fewer failures from time to time: the order is anybody's."""
    chance = random.Random(seed)
    failing, calls = 12, []
    for number in range(chance.randint(1, 120)):
        kind = chance.choice(["read", "search", "edit", "edit", "test", "status"])
        if kind == "edit":
            calls.append(edit(f"f{chance.randint(0, 3)}.py", old=str(number), new=str(number + 1)))
        elif kind == "test":
            failing -= chance.random() < 0.7
            calls += [edit(old=str(number), new="x"), fails(failing) if failing > 0 else call("make test", "passed")]
        elif kind == "status":
            calls.append(call("git status", f"{number} changed"))
        else:
            calls.append(call(f"{kind} {chance.randint(0, 40)}", kind=kind))
    assert watched(calls)[1] is None


@given(st.lists(st.sampled_from([Text("x"), Usage(5, 10), Usage(9, 10), call("a"), edit(), fails(2)]), max_size=60))
def test_each_kind_is_told_once_and_before_it_is_cut(updates: list[Text | Usage | ToolCall]) -> None:
    guard = SpiralGuard()
    answers = [guard.update(one, 0.0) for one in updates]
    told = [answer.evidence for answer in answers if isinstance(answer, Tell)]
    assert len(told) <= 5
    assert all(answer.when == "now" for answer in answers if isinstance(answer, Tell))


def test_the_guard_tells_after_the_second_and_cuts_after_the_third_variation() -> None:
    guard = SpiralGuard()
    first, second, third = (guard.turn_ended(one, 0.0) for one in VARIED[:3])
    assert first is None
    assert isinstance(second, Tell)
    assert "variations of one fix" in second.text
    assert isinstance(third, Cut)
    assert (third.kind, third.hard) == ("spiral", False)
    assert guard.turn_ended(None, 0.0) is None, "nobody judged it"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_what_gets_worse_is_no_progress(order: tuple[int, ...]) -> None:
    worse = [
        refused(VARIED[number].patch, *[f"test_{name}" for name in range(1 + place)])
        for place, number in enumerate(order)
    ]
    assert cut_at(worse) == 3
