"""The floor's loop against an executor that starts nothing: what it makes of jobs that end too early or undone."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import anyio
import pytest

from tapeout.base import processes
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import parse_config
from tapeout.engine import Job, Running
from tapeout.floor.dispatch import MAX_FAILURES
from tapeout.floor.loop import GATE_JOB, Floor, FloorSettings
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Lease

COMMIT = "c" * 40
CONFIG = parse_config('[[check]]\nname = "sound"\nrun = "true"')
ME = {"host": socket.gethostname(), "pid": os.getpid(), "pid_started": processes.start_time(os.getpid())}
SLOTS = 2
PATIENCE = 30.0


class Stage:
    """An executor whose jobs are played by a function: it is called in a job's place, and the job ends with it."""

    def __init__(self, play: Callable[[Job], None]) -> None:
        self._play = play
        self._running: dict[str, Running] = {}
        self._send, self._receive = anyio.create_memory_object_stream[str](1000)
        self.submitted: list[str] = []

    async def submit(self, job: Job) -> Running:
        self.submitted.append(job.id)
        self._play(job)
        await self._send.send(job.id)
        return Running(1, 0.0)

    def adopt(self, job_id: str, process: Running) -> bool:
        return False

    def running(self) -> Mapping[str, Running]:
        return self._running

    async def next_gone(self) -> str:
        return await self._receive.receive()

    def cancel(self, job_id: str, *, kill: bool = False) -> None: ...

    async def end_orphans(self) -> None: ...

    def close(self) -> None:
        self._send.close()
        self._receive.close()


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker.open(StatePaths(str(tmp_path / "state")), "test") as opened:
        yield opened


def run_floor(tracker: Tracker, play: Callable[[Job], None]) -> list[str]:
    """Run a floor until it is idle; the jobs that it started."""
    paths = tracker.paths
    settings = FloorSettings(
        paths, Repository("/nowhere", "/nowhere/.git"), "main", SLOTS, ("scripted",), until_idle=True, config=CONFIG
    )
    stage = Stage(play)

    async def run() -> None:
        with Tracker.open(paths, "floor") as own, Doorbell(paths.bells) as bell, anyio.fail_after(PATIENCE):
            await Floor(settings, own, stage, bell).run()

    try:
        anyio.run(run)
    finally:
        stage.close()
    return stage.submitted


def begin(tracker: Tracker, job: Job) -> Lease:
    """What a worker does first."""
    lease, _ = tracker.begin_attempt(job.arguments[4], job.id, 60, agent="scripted", **ME)  # type: ignore[arg-type]
    return lease


def create(tracker: Tracker, count: int) -> None:
    tracker.create_many([Draft(f"Issue {number}") for number in range(count)])


def submit_changes(tracker: Tracker, count: int) -> None:
    for number in range(count):
        issue = tracker.create(Draft(f"Issue {number}")).id
        lease, _ = tracker.begin_attempt(issue, f"a-{number}", 60, agent="scripted", **ME)  # type: ignore[arg-type]
        tracker.submit(lease, f"a-{number}", commit=COMMIT, base=COMMIT)
        tracker.end_attempt(lease, f"a-{number}", "stopped", "by a person")


def test_a_gate_that_ends_as_the_next_change_comes_is_not_dead(tracker: Tracker) -> None:
    """Each gate run decides one change and leaves the others: there is progress, so nothing is wrong."""
    submit_changes(tracker, 3 * MAX_FAILURES)

    def gate(job: Job) -> None:
        change = tracker.changes()[0]
        tracker.set_gating(change.id, COMMIT)
        tracker.record_verdict(change.id, COMMIT, {"passed": True, "reason": ""})
        tracker.record_landed(change.id, COMMIT)
        tracker.set_unpublished(None)

    assert run_floor(tracker, gate) == [GATE_JOB] * 3 * MAX_FAILURES
    assert tracker.queue_stopped() is None
    assert tracker.counts().landed == 3 * MAX_FAILURES


def test_a_gate_that_dies_again_and_again_stops_the_queue(tracker: Tracker) -> None:
    submit_changes(tracker, 2)
    started = run_floor(tracker, lambda job: None)
    assert 1 < len(started) <= MAX_FAILURES + 1
    assert "the gate's process keeps dying" in (tracker.queue_stopped() or "")


def test_a_gate_that_dies_between_landing_and_publishing_is_started_again(tracker: Tracker) -> None:
    submit_changes(tracker, 1)

    def gate(job: Job) -> None:
        if tracker.changes():
            tracker.record_landed(tracker.changes()[0].id, COMMIT)
        else:
            tracker.set_unpublished("the branch has uncommitted changes")

    assert run_floor(tracker, gate) == [GATE_JOB] * 2, "and what cannot be published is not tried for ever"
    assert tracker.queue_stopped() is None


def test_a_gate_that_dies_of_publishing_again_and_again_stops_the_queue(tracker: Tracker) -> None:
    tracker.set_unpublished("")
    assert run_floor(tracker, lambda job: None) == [GATE_JOB] * MAX_FAILURES
    assert "the gate's process keeps dying" in (tracker.queue_stopped() or "")


def begin_gating(tracker: Tracker) -> str:
    """What the gate does first: what a dead one left goes back, and the first change of the queue is judged."""
    for change in tracker.changes(("gating",)):
        tracker.requeue(change.id)
    change = tracker.changes()[0]
    tracker.set_gating(change.id, COMMIT)
    return change.id


def give_up(tracker: Tracker, job: Job) -> None:
    """What a worker does in place of work."""
    tracker.end_attempt(begin(tracker, job), job.id, "failed", "no idea", give_up="no idea")


def test_a_change_that_kills_the_gate_is_refused_and_the_others_land(tracker: Tracker) -> None:
    submit_changes(tracker, 3)
    deadly = tracker.changes()[0]

    def gate(job: Job) -> None:
        if job.id != GATE_JOB:
            give_up(tracker, job)
        elif (change := begin_gating(tracker)) != deadly.id:
            tracker.record_verdict(change, COMMIT, {"passed": True, "reason": ""})
            tracker.record_landed(change, COMMIT)
            tracker.set_unpublished(None)

    run_floor(tracker, gate)
    assert tracker.queue_stopped() is None
    refused = tracker.change(deadly.id)
    assert (refused.state, tracker.counts().landed) == ("failed", 2)
    assert refused.verdict is not None
    assert "the gate's process died 3 times" in refused.verdict["reason"]
    assert refused.verdict["findings"][0]["check"] == "gate"


def test_a_gate_that_dies_of_every_change_blames_one_and_stops(tracker: Tracker) -> None:
    submit_changes(tracker, 3)

    def gate(job: Job) -> None:
        if job.id == GATE_JOB:
            begin_gating(tracker)
        else:
            give_up(tracker, job)

    run_floor(tracker, gate)
    assert "the gate's process keeps dying" in (tracker.queue_stopped() or "")
    assert len(tracker.changes()) == 2


def test_workers_that_die_before_they_begin_stop_the_queue_whatever_the_number_of_issues(tracker: Tracker) -> None:
    create(tracker, 50)
    started = run_floor(tracker, lambda job: None)
    assert MAX_FAILURES <= len(started) <= MAX_FAILURES + SLOTS
    assert "workers end before they begin" in (tracker.queue_stopped() or "")
    assert tracker.counts().ready == 50


def test_a_worker_that_comes_too_late_for_its_issue_is_no_failure(tracker: Tracker) -> None:
    create(tracker, 3 * MAX_FAILURES)

    def claim(job: Job) -> None:
        tracker.claim(job.arguments[4], "a person")

    assert len(run_floor(tracker, claim)) == 3 * MAX_FAILURES
    assert tracker.queue_stopped() is None


def test_workers_that_die_now_and_then_stop_nothing(tracker: Tracker) -> None:
    create(tracker, 4 * MAX_FAILURES)
    calls = iter(range(1000))

    def every_other(job: Job) -> None:
        if next(calls) % 2:
            lease = begin(tracker, job)
            tracker.end_attempt(lease, job.id, "failed", "tests", give_up="enough")

    run_floor(tracker, every_other)
    assert tracker.queue_stopped() is None
    assert tracker.counts().needs_person == 4 * MAX_FAILURES


def test_work_that_cannot_be_saved_is_named_and_not_tried_for_ever(tracker: Tracker) -> None:
    """Its worker is dead, and its salvage job fails each time."""
    issue = tracker.create(Draft("Odd")).id
    tracker.begin_attempt(issue, "a-lost", 60, agent="scripted", host="h", pid=1, pid_started=0.0)

    started: list[str] = []
    with pytest.raises(EnvironmentProblem, match="the work of a-lost cannot be saved"):
        run_floor(tracker, lambda job: started.append(job.id))

    assert started == ["salvage-a-lost"] * MAX_FAILURES
    assert [event.data["what"] for event in tracker.events(issue=issue) if event.kind == "noted"] == ["cannot-save"]


def test_an_issue_whose_attempt_was_salvaged_is_started_again(tracker: Tracker) -> None:
    issue = tracker.create(Draft("Odd")).id
    tracker.begin_attempt(issue, "a-dead", 60, agent="scripted", host="h", pid=1, pid_started=0.0)

    def play(job: Job) -> None:
        if job.id.startswith("salvage-"):
            tracker.end_dead_attempt("a-dead", "interrupted", "its worker died", head=None)
        else:
            tracker.end_attempt(begin(tracker, job), job.id, "failed", "tests", give_up="enough")

    started = run_floor(tracker, play)
    assert started[0] == "salvage-a-dead"
    assert len(started) == 2
