"""People tell workers something: nudge, pause, resume, kill, hand over; with and without a running floor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tapeout.base.paths import find_repository
from tapeout.tracker.doorbell import Doorbell
from tests.floor.conftest import CONFIG, Workbench, script, step, turn
from tests.floor.test_kills import wait_for

WORKER = """
import sys
import time
from tapeout.floor import worker
worker.main(*sys.argv[1:])
"""
ATTEMPT = "a-1"
HANGS = turn(step(write="half", text="1"), step(hang=True), session=1)
FINISHES = turn(step(write="whole", text="2"), step(commit="Finish"))


class Alone:
    """A worker without a floor."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, body: str, attempt: str = ATTEMPT, issue: str = "", until: str = "half") -> str:
        issue = issue or self.bench.new("Work", body)
        repository = find_repository(str(self.bench.root))
        words = [self.bench.paths.root, *repository, "main", issue, attempt, "scripted", "scripted"]
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *words], env=self.bench.environment, cwd=self.bench.root
        )
        self.processes.append(process)
        self.wait(lambda: not until or self.has(attempt, until))
        return issue

    def has(self, attempt: str, name: str) -> bool:
        return any(Path(self.bench.paths.workspaces, attempt).rglob(name))

    def wait(self, condition: Any) -> None:
        with Doorbell(self.bench.paths.bells) as bell:
            wait_for(bell, condition)

    def ended(self, attempt: str = ATTEMPT) -> Any:
        assert self.processes[-1].wait(60) == 0
        assert os.listdir(self.bench.paths.workspaces) == []
        assert not os.path.exists(self.bench.paths.worker_bells(attempt))
        with self.bench.tracker() as tracker:
            return tracker.attempt(attempt)

    def worker(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.bench.data("workers")
        return rows[0]


@pytest.fixture
def alone(bench: Workbench) -> Iterator[Alone]:
    bench.commit({"tapeout.toml": CONFIG.replace("workers = 4", 'workers = 4\nlease = "1s"\nrefine_rounds = 0')})
    bench.up()
    worker = Alone(bench)
    yield worker
    for process in worker.processes:
        process.kill()
        process.wait()


def states_below(process: "subprocess.Popen[bytes]") -> set[str]:
    """States of the processes below one, but for those that ended and are not reaped: a stopped parent reaps none."""
    below = psutil.Process(process.pid).children(recursive=True)
    return {str(one.status()) for one in below} - {psutil.STATUS_ZOMBIE}


def test_a_paused_worker_stands_still_keeps_its_lease_and_goes_on(alone: Alone) -> None:
    loop = "touch half; while :; do date > tick; sleep 0.02; done"
    issue = alone.start(script(turn(step(run=loop))))
    bench, process = alone.bench, alone.processes[0]
    assert (alone.worker()["state"], alone.worker()["waits_for"]) == ("working", "")

    assert bench.data("pause", issue)["taken"] == "paused"
    bench.data("pause", issue)  # again: the same

    assert states_below(process) == {psutil.STATUS_STOPPED}
    assert (alone.worker()["state"], alone.worker()["waits_for"]) == ("paused", "person")
    begun = time.time()
    alone.wait(lambda: (bench.issue(issue)["lease_expires"] or 0) > begun + 1)  # renewed, for a second, after that

    assert bench.data("resume", ATTEMPT)["taken"] == "goes on"
    assert psutil.STATUS_STOPPED not in states_below(process)
    assert alone.worker()["state"] == "working"

    bench.data("pause", issue)
    killed = bench.data("kill", issue, "--why", "wrong way")

    assert killed["outcome"] == "stopped"
    attempt = alone.ended()
    user = bench.environment.get("USER") or f"uid{os.getuid()}"
    assert attempt.detail == f"killed by {user}: wrong way"
    assert "half" in bench.hub[attempt.head].tree
    assert bench.data("ready")[0]["id"] == issue, "agents may go on"
    assert bench.data("nudge", ATTEMPT, "hello", code=5)["message"] == f"attempt {ATTEMPT} has ended already (stopped)"


def test_a_held_issue_waits_for_a_person(alone: Alone) -> None:
    issue = alone.start(script(HANGS))
    alone.bench.data("kill", ATTEMPT, "--hold")
    assert alone.ended().outcome == "stopped"
    shown = alone.bench.issue(issue)
    assert "held by" in shown["needs_person"]
    assert shown["comments"][-1]["text"].startswith("**Waits for a person.** held by ")
    assert alone.bench.data("ready") == []


def test_a_nudge_at_once_cancels_the_turn_and_is_told_to_later_sessions_too(alone: Alone) -> None:
    begins, goes_on = (turn(step(write=name, text="1"), step(hang=True)) for name in ("half", "more"))
    issue = alone.start(script(begins, goes_on, turn(step(say="I tell what is left."))))
    said = alone.bench.data("nudge", issue, "Use the other file", "--now")
    assert said["taken"] == "the running turn is cancelled for it"
    alone.wait(lambda: alone.has(ATTEMPT, "more"))
    assert "Use the other file" in alone.bench.run("logs", ATTEMPT).stdout

    assert alone.bench.data("handoff", issue)["taken"] == "hands over"
    attempt = alone.ended()
    assert attempt.outcome == "handoff", attempt.detail
    assert "more" in alone.bench.hub[attempt.head].tree

    alone.start("", "a-2", issue)
    alone.wait(lambda: "Use the other file" in transcript(alone.bench, "a-2"))
    alone.bench.data("kill", "a-2")
    alone.ended("a-2")


def test_a_nudge_waits_for_the_end_of_the_turn(alone: Alone) -> None:
    """The turn's work is not handed in before the agent has heard it."""
    go = "touch half; until test -e go; do sleep 0.02; done; rm go"
    alone.start(script(turn(step(run=go)), turn(step(write="more", text="1"), step(hang=True))))
    alone.bench.data("nudge", ATTEMPT, "One more thing")
    assert not alone.has(ATTEMPT, "more")
    next(Path(alone.bench.paths.workspaces, ATTEMPT).rglob("half")).with_name("go").touch()
    alone.wait(lambda: alone.has(ATTEMPT, "more"))
    assert alone.bench.issue(alone.worker()["issue"])["changes"] == []
    alone.bench.data("kill", ATTEMPT)
    alone.ended()


def test_what_is_dead_is_said_to_be(alone: Alone) -> None:
    alone.start(script(HANGS, FINISHES))
    alone.processes[0].kill()
    alone.processes[0].wait()
    assert alone.worker()["state"] == "dead"
    for command in (("pause", ATTEMPT), ("kill", ATTEMPT), ("nudge", ATTEMPT, "x"), ("handoff", ATTEMPT)):
        assert "is dead" in alone.bench.data(*command, code=5)["message"]
    alone.bench.up()
    assert alone.bench.data("workers") == []


def test_a_paused_floor_starts_nothing_and_lands_what_is_there_after_it(bench: Workbench) -> None:
    bench.up()
    bench.data("pause", "--all")
    issue = bench.new("Later", script(FINISHES))
    floor = bench.start("up", "--until-idle")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_for(bell, lambda: bench.data("status")["floor"] is not None)
        assert bench.data("status")["floor_paused"]
        assert "the floor is paused by" in bench.run("digest").stdout
        assert tracker.attempts() == []
        assert floor.poll() is None, "it waits"
        bench.data("resume", "--all")
        assert floor.wait(60) == 0
    assert bench.landings() == {issue: 1}


@pytest.mark.parametrize(
    "words", [("pause",), ("pause", "a-1", "--all"), ("nudge", "a-1", " "), ("resume",)], ids=" ".join
)
def test_what_makes_no_sense_is_a_usage_error(bench: Workbench, words: tuple[str, ...]) -> None:
    bench.run(*words, code=2)


@pytest.mark.parametrize("words", [("kill", "a-9"), ("answer", "nobody", "allow")], ids=" ".join)
def test_who_is_not_there_is_not_found(bench: Workbench, words: tuple[str, ...]) -> None:
    bench.run(*words, code=3)


ASKING = CONFIG.replace("workers = 4", 'workers = 4\nlease = "5s"\npermissions = "ask"\nanswer_timeout = "ANSWER"')
ASKS = turn(step(ask="May I delete it?"), step(run='touch "half"'), step(hang=True), session=1)


def asks(bench: Workbench, answer_timeout: str) -> Alone:
    bench.commit({"tapeout.toml": ASKING.replace("ANSWER", answer_timeout)})
    bench.up()
    return Alone(bench)


def question(bench: Workbench) -> Any:
    return next(iter(bench.data("questions")), None)


def transcript(bench: Workbench, attempt: str = ATTEMPT) -> str:
    path = Path(bench.paths.transcripts, f"{attempt}.jsonl")
    return path.read_text() if path.exists() else ""


def test_a_question_waits_for_a_person_and_its_answer_reaches_the_agent(bench: Workbench) -> None:
    worker = asks(bench, "100s")
    issue = worker.start(script(ASKS), until="")
    worker.wait(lambda: question(bench) is not None)
    assert (worker.worker()["state"], worker.worker()["waits_for"]) == ("waiting", "permission")
    assert question(bench)["title"] == "May I delete it?"
    assert "1 question of agents" in bench.run("status").stdout
    bench.data("answer", question(bench)["id"], "allow")
    worker.wait(lambda: worker.has(ATTEMPT, "half"))
    worker.wait(lambda: "The answer: allow_once" in transcript(bench))
    assert bench.data("questions") == []
    assert worker.worker()["state"] == "working"
    bench.data("kill", issue)
    worker.ended()


def test_an_agent_goes_on_without_an_answer_and_the_next_session_is_told_it(bench: Workbench) -> None:
    worker = asks(bench, "1s")
    issue = worker.start(script(ASKS, turn(step(write="half", text="1"), step(hang=True))), until="half")
    worker.wait(lambda: "The answer: reject_once" in transcript(bench))
    bench.data("kill", issue)
    worker.ended()
    asked = question(bench)
    bench.data("answer", asked["id"], "Only the old one")
    assert "answered by" in bench.data("answer", asked["id"], "deny", code=5)["message"]
    worker.start("", "a-2", issue)
    worker.wait(lambda: "Only the old one" in transcript(bench, "a-2"))
    bench.data("kill", "a-2")
    worker.ended("a-2")


STALLS = 'workers = 4\nlease = "5s"\nstall_after = "2s"\nrefine_rounds = 0'


def test_a_stalled_session_is_told_once_and_then_replaced(bench: Workbench) -> None:
    bench.commit({"tapeout.toml": CONFIG.replace("workers = 4", STALLS)})
    body = script(turn(step(write="half", text="1"), step(hang=True), session=1), FINISHES)
    issue = bench.new("Hang", body)
    bench.up()
    assert bench.landings() == {issue: 1}
    first, second = bench.issue(issue)["attempts"]
    assert (first["outcome"], second["outcome"]) == ("interrupted", "landed")
    assert first["detail"].startswith("stalled again: no output")
    told = bench.run("logs", first["id"]).stdout
    assert told.count("Your turn was cancelled because nothing happened in it") == 1


def test_a_long_quiet_tool_is_not_stalled(bench: Workbench) -> None:
    """It says nothing and changes nothing, but it uses the processor."""
    bench.commit({"tapeout.toml": CONFIG.replace("workers = 4", STALLS)})
    busy = "end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do :; done"
    issue = bench.new("Test", script(turn(step(run=busy), step(write="a", text="1"), step(commit="A"))))
    bench.up()
    assert bench.landings() == {issue: 1}
    assert len(bench.issue(issue)["attempts"]) == 1
    assert "cancelled" not in bench.run("logs", bench.issue(issue)["attempts"][0]["id"]).stdout


def test_workers_killed_in_any_state_are_replaced_once_and_leave_nothing(bench: Workbench) -> None:
    """While an agent's tool runs, while it is paused, while it waits for a permission."""
    bench.commit({"tapeout.toml": ASKING.replace("ANSWER", "100s")})
    tool = step(run="touch half; sleep 600")
    firsts = {"working": (tool,), "paused": (tool,), "waiting": (step(ask="May I?"),)}
    issues = {
        state: bench.new(state, script(turn(*first, session=1), turn(step(write=state, text="1"), step(commit="F"))))
        for state, first in firsts.items()
    }
    floor = bench.start("up", "--until-idle")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:

        def states() -> dict[str, str]:
            shown = tracker.activity()
            found = {one.issue: shown[one.id] for one in tracker.attempts(running=True) if one.id in shown}
            return {issue: f"{one.state} {one.text}" for issue, one in found.items()}

        wait_for(bell, lambda: states().get(issues["paused"], "").startswith("working touch"))
        bench.data("pause", issues["paused"])
        reached = {"working": "working touch", "paused": "paused", "waiting": "waiting"}
        wait_for(bell, lambda: all(states().get(issues[one], "").startswith(reached[one]) for one in issues))
        killed = tracker.attempts(running=True)
        trees = [one for attempt in killed for one in psutil.Process(attempt.pid).children(recursive=True)]
        for attempt in killed:
            os.kill(attempt.pid, signal.SIGKILL)
    assert floor.wait(100) == 0
    assert bench.landings() == dict.fromkeys(issues.values(), 1)
    for issue in issues.values():
        assert [one["outcome"] for one in bench.issue(issue)["attempts"]] == ["interrupted", "landed"]
    assert [one for one in trees if one.is_running()] == []
