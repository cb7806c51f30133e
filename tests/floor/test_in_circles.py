"""Spirals on the real floor, with the scripted agent: cut with their evidence, told to the next session, and slow
progress landed."""

import json

from tapeout.floor.memory.recall import recall
from tests.floor.conftest import CONFIG, Workbench, script, step, turn
from tests.floor.test_spirals import SEVENTEEN

PATIENT = CONFIG.replace("workers = 4", "workers = 4\nsessions = 10\nrefine_rounds = 10")
"""A plain retry limit would let an issue fail 110 times."""

CHECK = """
import sys
sys.path.insert(0, ".")
sys.dont_write_bytecode = True
try:
    from calc import add
except ImportError:  # nobody has written it yet
    print("1 passed")
    sys.exit(0)
wrong = [pair for pair in ((1, 2, 3), (2, 2, 4), (3, 4, 7), (10, 5, 15)) if add(*pair[:2]) != pair[2]]
for a, b, c in wrong:
    print(f"FAILED check.py::test_{a}_{b} - AssertionError: {add(a, b)} != {c}")
print(f"{len(wrong)} failed, {4 - len(wrong)} passed")
sys.exit(bool(wrong))
"""


def prepare(bench: Workbench, config: str = PATIENT) -> None:
    tests = '\n[[check]]\nname = "tests"\nkind = "test"\nrun = "python3 check.py"\ntimeout = "20s"\n'
    bench.commit({"tapeout.toml": config + tests, "check.py": CHECK})


def tries(fix: str) -> str:
    text = f"def add(a, b):\n    return {fix}\n"
    return turn(step(write="calc.py", text=text), step(commit="Add properly"))


USELESS = [f"({fix}) * 0" for fix in SEVENTEEN if "operator" not in fix]


def test_variations_of_one_fix_are_cut_by_the_third_and_a_fresh_session_by_its_first(bench: Workbench) -> None:
    prepare(bench)
    stuck = bench.new("Add numbers", script(*(tries(fix) for fix in USELESS)))
    bench.up()

    shown = bench.issue(stuck)
    first, second = shown["attempts"]
    assert (first["rounds"], second["rounds"]) == (3, 1)
    for one in (first, second):
        assert one["outcome"] == "failed"
        assert "variations of one fix (calc.py" in one["detail"]
    assert "went in circles" in shown["needs_person"]
    report = shown["comments"][-1]["text"]
    for part in ("3 variations of one fix", "went in circles", "tapeout issue new --file"):
        assert part in report
    with bench.tracker() as tracker:
        rounds = recall(tracker, stuck)
        notes = tracker.attempt_notes(first["id"])["supervision"]["entries"]
    assert [(one.attempt, one.number, one.failing) for one in rounds] == [(1, 1, 4), (1, 2, 4), (1, 3, 4), (2, 1, 4)]
    assert [one["kind"] for one in notes] == ["told", "spiral"]
    told = bench.data("prompt", stuck)["text"]
    assert "nearly as prompt 1 did" in told
    assert "+    return (b + a) * 0" in told or "+    return (a + b) * 0" in told
    assert "3 times: «tests: check.py::test_1_2: AssertionError: <#> != <#>»" in told.replace("4 times", "3 times")

    failed = bench.data("failures")
    assert {one["issues"] for one in failed} == {1}
    assert failed[0]["attempts"] == 2
    solved = bench.new("Add numbers rightly", script(tries("a * 0"), tries("a + b")))
    bench.up()
    assert bench.issue(solved)["resolution"] == "landed"
    one = bench.data("failures", failed[0]["signature"][:10])
    assert [each["issue"] for each in one["solutions"]] == [solved]
    assert one["solutions"][0]["files"] == ["calc.py"]
    assert "+    return a + b" in one["solutions"][0]["gist"]
    assert {each["issue"] for each in one["attempts"]} == {stuck, solved}
    assert "landed as" in bench.data("prompt", stuck)["text"]


def test_slow_progress_lands(bench: Workbench) -> None:
    """Each round mends one more case, in nearly the same change."""
    prepare(bench)
    known = [(1, 2, 3), (2, 2, 4), (3, 4, 7), (10, 5, 15)]
    steps = [str({(a, b): c for a, b, c in known[:count]}) + ".get((a, b))" for count in range(5)]
    slow = bench.new("Add numbers", script(*(tries(fix) for fix in steps)))
    bench.up()
    shown = bench.issue(slow)
    assert shown["resolution"] == "landed"
    assert [one["rounds"] for one in shown["attempts"]] == [5]


def test_a_session_in_circles_is_told_at_once_then_ended_and_another_agent_goes_on(bench: Workbench) -> None:
    config = CONFIG.replace("workers = 4", "workers = 4\nsessions = 1")
    others = """
[agents.other]
driver = "command"
command = ["sh", "-c", "echo done > done"]

[lane.all]
agents = ["scripted", "other"]
"""
    prepare(bench, config + others)
    circle = turn(*(step(run="cat check.py") for _ in range(30)), step(write="done", text="1"))
    issue = bench.new("Look", script(circle))
    bench.up()
    shown = bench.issue(issue)
    first, second = shown["attempts"]
    assert (first["outcome"], first["rounds"], first["agent"]) == ("failed", 1, "scripted")
    assert "`cat check.py` was called 8 times with the same result" in first["detail"]
    assert (second["outcome"], second["agent"]) == ("landed", "other")
    with bench.tracker() as tracker:
        entries = tracker.attempt_notes(first["id"])["supervision"]["entries"]
    assert [one["kind"] for one in entries] == ["told", "spiral"]
    assert json.dumps(entries).count("was called 4 times") == 1
