"""Law 6 through the command line: a session whose context is full hands over, and a fresh one lands the work."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.floor.conftest import CONFIG, Workbench, script, step, turn
from tests.floor.test_kills import assert_all_landed_once

GRACE = 'workers = 4\ncontext_grace = "0.2s"\nhandoff_timeout = "5s"'
LIMITED = CONFIG.replace("workers = 4", GRACE)
FULL = step(usage=90_000)
OVERFLOWING = step(usage=190_000)
WORK = (step(write="half", text="1"), step(commit="Half of it"))
REST = turn(step(run="test -e half && echo 2 > whole"), step(commit="The rest"), session=2)


def first(*steps: str) -> str:
    """A turn of the first session."""
    return turn(*steps, session=1)


def block(**fields: Any) -> str:
    """A step that answers with a handoff."""
    whole = {"goal": "both halves", "done": ["the first half"], "next": ["write whole"], **fields}
    return step(say=f"Here it is:\n```tapeout-handoff\n{json.dumps(whole)}\n```")


def notes(bench: Workbench, issue: str, number: int = 1) -> dict[str, dict[str, Any]]:
    """What is remembered of an attempt."""
    with bench.tracker() as tracker:
        return tracker.attempt_notes(tracker.attempts(issue)[number - 1].id)


def outcomes(bench: Workbench, issue: str) -> list[str]:
    return [attempt["outcome"] for attempt in bench.issue(issue)["attempts"]]


def told(bench: Workbench, issue: str, number: int = 2) -> str:
    """What an attempt is told of the session before it."""
    attempt = bench.issue(issue)["attempts"][number - 1]["id"]
    lines = Path(bench.paths.transcripts, f"{attempt}.jsonl").read_text().splitlines()
    prompt = next(entry["text"] for entry in map(json.loads, lines) if entry["type"] == "prompt")
    return str(prompt.partition("## What the session before left")[2].partition("## How to work")[0])


@pytest.fixture
def limited(bench: Workbench) -> Workbench:
    """A repository whose sessions are given little time at their limit."""
    bench.commit({"tapeout.toml": LIMITED})
    return bench


def test_a_session_that_is_full_in_the_middle_of_a_turn_hands_over_and_a_fresh_one_lands(limited: Workbench) -> None:
    files = [{"path": "half", "why": "the first half"}, {"path": "README.md"}, {"path": "made/up.py"}]
    answer = first(block(files=files, commits=["deadbeef1"], dead_ends=["\u202egnirts \x1b[2J odd"]))
    issue = limited.new("Two halves", script(first(*WORK, FULL, step(hang=True)), answer, REST))

    limited.up()

    assert outcomes(limited, issue) == ["handoff", "landed"]
    assert_all_landed_once(limited, [issue])
    assert "45%" in limited.issue(issue)["attempts"][0]["detail"]
    note = notes(limited, issue)["handoff"]
    assert (note["kind"], note["next"]) == ("written", ["write whole"])
    assert [entry["path"] for entry in note["files"]] == ["half", "README.md"]
    assert note["dropped"] == ["made/up.py", "deadbeef1"]
    read = told(limited, issue)
    assert "- write whole" in read
    assert not any(text in read for text in ("made/up.py", "\x1b", "\u202e"))


STOPPED = (step(say="Half is done."), FULL, step(hang=True))
ANSWERS = {
    "garbage": [step(say="```tapeout-handoff\n{not json\n```")],
    "lies": [block(files=["no/such.py", "half"], commits=["0123456789"])],
    "nothing": [step(say="All done, nothing to hand over.")],
    "death": [step(crash=9)],
    "silence": [step(write="late", text="1"), step(hang=True, deaf=True)],
    "past the ceiling": [step(usage=125_000), step(hang=True)],
}


def test_a_handoff_that_cannot_be_believed_is_compiled_from_what_is_on_record(limited: Workbench) -> None:
    issues = {
        why: limited.new(
            f"Answer with {why}",
            script(
                first(step(write=f"half-{number}", text="1"), step(commit="Half of it"), *STOPPED),
                first(*answer),
                turn(step(run=f"test -e half-{number} && echo 2 > whole-{number}"), session=2),
            ),
        )
        for number, (why, answer) in enumerate(ANSWERS.items())
    }

    limited.up()

    assert_all_landed_once(limited, list(issues.values()))
    for number, (why, issue) in enumerate(issues.items()):
        assert outcomes(limited, issue) == ["handoff", "landed"], why
        note = notes(limited, issue)["handoff"]
        assert note["kind"] == "compiled", why
        assert "Half of it" in note["done"]
        assert f"half-{number}" in [entry["path"] for entry in note["files"]]
        assert note["next"] == ["Its last words were: Half is done."]
        assert "Half of it" in told(limited, issue)


def test_what_ends_a_session_and_what_does_not(limited: Workbench) -> None:
    """Each with its outcomes and a word of the reason why the first attempt ended."""
    c = first(step(write="c", text="1"), step(run="true"), OVERFLOWING, step(hang=True))
    d = first(step(write="d", text="1"), step(usage=70_000), step(usage=20_000), step(hang=True))
    talks = turn(step(say="nothing"))
    body = {
        "below": (script(turn(step(usage=79_999), step(write="a", text="1"))), ["landed"], ""),
        "submitted first": (script(turn(step(write="b", text="1"), FULL)), ["landed"], ""),
        "over the ceiling": (
            script(c, turn(step(append="c", text="2"))),
            ["handoff", "landed"],
            "over the ceiling of 60%",
        ),
        "compacted": (
            script(d, turn(step(append="d", text="2"))),
            ["handoff", "landed"],
            "from 70,000 to 20,000",
        ),
        "full at once": (script(turn(FULL, step(hang=True))), ["handoff"], "45%"),
        "never moves": (script(turn(step(run="true"), FULL, step(hang=True)), talks), ["handoff", "handoff"], "45%"),
    }
    issues = {title: limited.new(title, text) for title, (text, _, _) in body.items()}

    limited.up()

    for title, (_, ended, why) in body.items():
        attempts = limited.issue(issues[title])["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ended, title
        assert why in attempts[0]["detail"], title
    assert "45%" in limited.issue(issues["full at once"])["needs_person"]
    assert "without adding anything" in limited.issue(issues["never moves"])["needs_person"]
    judged = notes(limited, issues["submitted first"])["utilisation"]["verdicts"]
    assert [(one["used"], one["window"], one["passed"]) for one in judged] == [(90_000, 200_000, True)]


@pytest.mark.parametrize("point", ["worker.limit", "worker.handoff", "worker.noted"])
def test_a_worker_killed_at_any_step_of_a_handoff_loses_neither_work_nor_handoff(
    limited: Workbench, tmp_path: Path, point: str
) -> None:
    issue = limited.new("Two halves", script(first(*WORK, *STOPPED), first(block(files=["half"])), REST))
    flag = tmp_path / "crashed"

    limited.up(TAPEOUT_CRASH_AT=point, TAPEOUT_CRASH_ONCE=str(flag))

    assert flag.exists(), f"nothing came by {point}"
    assert outcomes(limited, issue) == ["interrupted", "landed"]
    assert_all_landed_once(limited, [issue])
    assert notes(limited, issue)["handoff"]["kind"] == ("written" if point == "worker.noted" else "compiled")
    assert "half" in told(limited, issue)
