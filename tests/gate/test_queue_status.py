"""`tapeout queue` says what is gated and why something waits."""

import os
from pathlib import Path

import pytest

from tapeout.gate.queue.forecast import changes_a_round, expected_seconds
from tapeout.gate.queuestatus import QueueStatus, RunRow, read_queue, reason
from tapeout.gate.queueview import read_view, write_view
from tapeout.tracker import Tracker
from tests.gate.conftest import MakeSite
from tests.gate.site import Site
from tests.gate.test_crash import start_job

WORKING = QueueStatus(None, True, 2, 0.9, 2.0, (RunRow(("a",), 1.0), RunRow(("a", "b"), 1.0)), ())


def test_the_order_and_why_nothing_moves_without_a_floor(site: Site) -> None:
    later, urgent = site.submit({"a.txt": "x"}, title="Later"), site.submit({"b.txt": "x"}, title="Urgent", priority=0)
    status = read_queue(site.tracker, site.paths)
    assert [row.change for row in status.queue] == [urgent.id, later.id]
    assert [row.position for row in status.queue] == [1, 2]
    assert status.queue[0].title == "Urgent"
    assert "tapeout up" in status.queue[0].why
    assert status.queue[0].expected_seconds is None
    assert not status.working

    site.tracker.stop_queue("the disk is full")
    assert {row.why for row in read_queue(site.tracker, site.paths).queue} == {"the queue is stopped: the disk is full"}


def test_what_runs_is_shown_while_it_runs(make_site: MakeSite, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tmp_path / "go")
    check = f"echo > {tmp_path}/fifo; read line < {tmp_path}/go; echo 3 passed"
    site = make_site(f'[queue]\nslots = 1\n[gate]\nsandbox = "off"\n[[check]]\nname = "unit"\nrun = "{check}"\n')
    first, second = site.submit({"a.txt": "x"}), site.submit({"b.txt": "x"})
    job = start_job(site)
    (tmp_path / "fifo").read_text()  # the check runs now
    with Tracker.open(site.paths, "person") as tracker:
        status = read_queue(tracker, site.paths)
    assert status.working
    assert [run.changes for run in status.runs] == [(first.id, second.id)]
    assert {row.why for row in status.queue} == {f"gated as main + {first.id} + {second.id}"}
    (tmp_path / "go").write_text("on\n")
    assert job.wait() == 0

    status = read_queue(site.tracker, site.paths)
    assert (status.queue, status.runs, status.working) == ((), (), False)
    assert status.gate_seconds is not None
    assert status.pass_rate > 0.9


@pytest.mark.parametrize(
    ("change", "view", "why"),
    [
        ("a", {}, "gated as main + a"),
        ("b", {}, "gated as main + a + b"),
        ("c", {}, "waits for a free slot"),
        ("c", {"clashes": [["a", "c"]]}, "cannot be merged together with a: waits for its end"),
        ("c", {"passed": [["c"]]}, "passed, waits for a run before it"),
        ("b", {"failing": [["a", "b", "c"], ["a", "b"]]}, "it failed together with 1 other; the culprit is sought"),
    ],
)
def test_why_a_change_waits(change: str, view: dict[str, object], why: str) -> None:
    assert reason(change, WORKING, view) == why


def test_a_view_that_is_torn_or_of_a_dead_process_shows_nothing(site: Site) -> None:
    path = Path(site.paths.root, "queue.json")
    write_view(site.paths, {"pid": os.getpid(), "runs": []})
    assert read_view(site.paths) is not None
    for text in ("{", "[]", "{}", '{"pid": "x"}', '{"pid": 99999999}'):
        path.write_text(text)
        assert read_view(site.paths) is None
    write_view(site.paths, None)
    assert not path.exists()


def test_more_slots_and_better_changes_are_expected_to_take_less_time() -> None:
    assert changes_a_round(0.5, 1) == 1.0
    assert changes_a_round(0.9, 2) > changes_a_round(0.9, 1) > 1.5
    assert expected_seconds(1, 2.0, 0.9, 2) == 2.0
    assert expected_seconds(32, 2.0, 0.9, 2) == pytest.approx(20.0, abs=4.0)
