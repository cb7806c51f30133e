"""The final table of a run, from what the tracker knows."""

import time
from pathlib import Path

import pytest

from tapeout.base.paths import StatePaths
from tapeout.floor.status import summarize
from tapeout.tracker import Draft, Tracker

FAILED = {"passed": False, "reason": "unit: exit code 1", "findings": []}


@pytest.mark.parametrize("end", ["refused", "landed", "waits"])
def test_what_was_pushed_before_the_run_and_decided_in_it_is_told(tmp_path: Path, end: str) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "floor")), "ada") as tracker:
        pushed = tracker.submit_push("p-1", "ada", commit="a" * 40, base="b" * 40, issue=None, draft=Draft("Mine"))
        started, after = time.time() + 1, tracker.events(limit=1)[-1].sequence
        tracker.set_gating(pushed.id, "c" * 40)
        if end == "refused":
            tracker.record_verdict(pushed.id, "c" * 40, FAILED)
        elif end == "landed":
            tracker.record_landed(pushed.id, "c" * 40)
        told = [(one.issue, one.result, one.note) for one in summarize(tracker, started, after).outcomes]
    notes = {"refused": "unit: exit code 1; pushed by ada", "landed": "pushed by ada"}
    assert told == ([(pushed.issue, end, notes[end])] if end in notes else [])
