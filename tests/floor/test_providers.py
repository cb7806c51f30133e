"""Providers that do not answer: waited for, nobody's failure, and paused for all; other agents go on."""

import json
import sys
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tapeout.agents.scripted import PROGRAM
from tapeout.config import FloorConfig, ProviderConfig, parse_config
from tapeout.floor.admission import Admission, Room, agent_chain, narrowest, next_agents, provider_room
from tapeout.floor.dispatch import plan_dispatch
from tapeout.floor.providers import provider_of
from tapeout.floor.providers.backoff import full_jitter
from tapeout.floor.providers.circuit import (
    CAP_SECONDS,
    CLOSED,
    FAILURES_TO_OPEN,
    HEARSAY_SECONDS,
    LONGEST_SECONDS,
    RESET_JITTER,
    Circuit,
    Trouble,
    failed,
    succeeded,
    tried_again,
)
from tapeout.floor.providers.patience import wait_for
from tapeout.floor.providers.pauses import note_trouble, read_circuits
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import PROVIDERS
from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes
from tests.floor.test_decisions import attempt, issue, snapshot
from tests.floor.test_kills import kill
from tests.floor.test_kills import wait_for as wait_until

TROUBLES = st.builds(
    Trouble,
    st.sampled_from(["usage-limit", "overloaded", "network", "auth"]),
    st.just("429"),
    st.none() | st.floats(0, 4e9),
    st.booleans(),
)
DRAW = st.floats(0, 1, exclude_max=True)


class Breaker(RuleBasedStateMachine):
    """Sessions fail and succeed, time passes, the clock is set."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.circuit, self.row = 2e9, CLOSED, 0

    @rule(trouble=TROUBLES, draw=DRAW)
    def fails(self, trouble: Trouble, draw: float) -> None:
        before, self.circuit = self.circuit, failed(self.circuit, trouble, self.now, draw)
        self.row += 1
        if before.state(self.now) == "half-open":
            assert self.circuit.until is None or self.circuit.until >= self.now, "a try that fails pauses it again"
        if trouble.kind == "auth" and not trouble.hearsay:
            assert self.circuit.until is None
        if self.row >= FAILURES_TO_OPEN:
            assert self.circuit.opened_at, "so many failures in a row open it"

    @rule()
    def succeeds(self) -> None:
        before, self.circuit = self.circuit, succeeded(self.circuit, self.now)
        if self.circuit == CLOSED:
            self.row = 0
        else:
            assert before.state(self.now) == "open"
            assert before.stated or before.until is None

    @rule(seconds=st.floats(0, 1e5))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.floats(1, 1e8))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.now -= seconds
        if self.circuit.until is not None and self.circuit.opened_at > self.now:
            assert self.circuit.state(self.now) != "open", "a pause from the future holds nobody up"

    @rule()
    def a_person_starts_the_floor(self) -> None:
        self.circuit = tried_again(self.circuit, self.now)
        assert self.circuit.until is not None

    @invariant()
    def every_pause_ends(self) -> None:
        if self.circuit.opened_at and self.circuit.until is not None:
            assert self.circuit.until - self.circuit.opened_at <= LONGEST_SECONDS + RESET_JITTER + 1


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(deadline=None)


@settings(deadline=None)
@given(st.integers(1, 10_000), DRAW)
def test_backoff_is_bounded_and_doubles(failures: int, draw: float) -> None:
    assert 0 <= full_jitter(failures, draw, base=2, cap=60) <= 60
    assert full_jitter(3, 0.5, base=2, cap=60) == 4


def test_one_failure_opens_nothing_and_hearsay_little() -> None:
    overload, now = Trouble("overloaded", "529"), 2e9
    circuit = CLOSED
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit = failed(circuit, overload, now, 0.9)
        assert circuit.state(now) == "closed"
    assert failed(circuit, overload, now, 0.9).state(now) == "open"
    limit = failed(CLOSED, Trouble("usage-limit", "429", now + 3600), now, 0.5)
    assert limit.until == now + 3600 + RESET_JITTER / 2
    said = failed(CLOSED, Trouble("usage-limit", "a month, I say", now + 30 * 86400, hearsay=True), now, 0.0)
    assert said.until == now + HEARSAY_SECONDS
    for _ in range(50):
        circuit = failed(circuit, overload, now, 0.99)
        now = (circuit.until or now) + 1
    assert circuit.until is not None
    assert circuit.until - circuit.opened_at <= CAP_SECONDS


def test_a_session_waits_for_what_is_near_and_gives_way_to_what_is_far() -> None:
    now = 2e9
    limit = Trouble("usage-limit", "429", now + 60)
    near, far = failed(CLOSED, limit, now, 0.0), failed(CLOSED, Trouble("usage-limit", "429", now + 600), now, 0.0)
    assert wait_for(near, limit, 1, 0.0, 120.0, now, 0.5) == 60
    assert wait_for(near, limit, 1, 90.0, 120.0, now, 0.5) is None
    assert wait_for(far, limit, 1, 0.0, 120.0, now, 0.5) is None
    assert wait_for(CLOSED, Trouble("auth", "401"), 1, 0.0, 120.0, now, 0.5) is None
    assert wait_for(CLOSED, Trouble("network", "reset"), 3, 0.0, 120.0, now, 0.5) == 8


CHAINS = parse_config(
    """
[floor]
agents = ["claude", "codex"]
[lane.docs]
labels = ["docs"]
agents = ["vibe"]
[agents.codex]
provider = "openai"
[[check]]
name = "sound"
run = "true"
"""
)


def test_an_issue_names_its_agent_or_else_its_lane_or_else_the_floor() -> None:
    usual = CHAINS.floor.agents
    assert agent_chain(issue(agent="gemini", labels=("docs",)), CHAINS, usual) == ("gemini",)
    assert agent_chain(issue(labels=("docs",)), CHAINS, usual) == ("vibe",)
    assert agent_chain(issue(), CHAINS, usual) == ("claude", "codex")
    assert (provider_of("codex", CHAINS), provider_of("claude", CHAINS)) == ("openai", "claude")


def test_after_failed_sessions_it_is_the_next_agents_turn() -> None:
    limits = FloorConfig(sessions=1)
    chain = ("claude", "codex")
    assert next_agents(chain, [], limits) == chain
    assert next_agents(chain, [attempt(agent="claude", outcome="unavailable")], limits) == chain
    assert next_agents(chain, [attempt(agent="claude", outcome="failed")], limits) == ("codex",)
    both = [attempt(agent=agent, outcome="failed") for agent in chain]
    assert next_agents(chain, both, limits) == chain, "a person wants it to go on all the same"


ROOMS = st.builds(Room, st.integers(0, 3), st.none() | st.floats(0, 100))
AGENTS = ("claude", "codex")


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([("claude",), ("codex",), AGENTS, AGENTS[::-1]]), max_size=8),
    st.dictionaries(st.sampled_from(AGENTS), ROOMS),
    ROOMS,
    ROOMS,
    st.integers(0, 6),
)
def test_a_plan_takes_no_more_than_the_room_there_is_and_leaves_none_unused(
    chains: list[tuple[str, ...]], rooms: dict[str, Room], lane: Room, whole: Room, slots: int
) -> None:
    ready = [issue(f"i{number}") for number in range(len(chains))]
    choices = {one.id: chain for one, chain in zip(ready, chains, strict=True)}
    lanes = {one.id: "docs" if number % 2 else "" for number, one in enumerate(ready)}
    admission = Admission((), choices, lanes, {}, rooms, {"docs": lane}, whole)
    plan = plan_dispatch(snapshot(slots=slots, ready=ready, admission=admission))
    started = [(start.issue.id, start.agent) for start in plan.start]
    assert all(agent in choices[one] for one, agent in started)
    assert len(started) <= min(slots, whole.free)
    for agent, room in rooms.items():
        assert sum(one == agent for _, one in started) <= room.free
    assert sum(lanes[one] == "docs" for one, _ in started) <= lane.free
    left = [one for one in ready if one.id not in {name for name, _ in started}]
    if len(started) < min(slots, whole.free):
        for one in left:
            used = [agent for _, agent in started]
            full = all(rooms.get(agent, Room()).free <= used.count(agent) for agent in choices[one.id])
            lane_full = lanes[one.id] == "docs" and lane.free <= sum(lanes[name] == "docs" for name, _ in started)
            assert full or lane_full, "who could be started is"


@settings(deadline=None)
@given(st.lists(ROOMS, min_size=1))
def test_the_narrowest_of_several_limits_counts(rooms: list[Room]) -> None:
    found = narrowest(rooms)
    assert found.free == min(room.free for room in rooms)
    shut = [room.later for room in rooms if room.free == 0]
    assert found.later == (None if not shut or None in shut else max(one for one in shut if one is not None))


def test_a_provider_that_is_tried_again_serves_one() -> None:
    now = 2e9
    paused = Circuit(3, now - 100, now - 10, kind="overloaded", reason="529")
    settings = ProviderConfig(concurrency=3, starts_per_minute=2)
    assert provider_room(CLOSED, settings, [now, now], [], now, 0.0).free == 1
    assert provider_room(CLOSED, settings, [], [-30.0, -10.0], now, 0.0) == Room(0, 30.0)
    assert provider_room(paused, settings, [now - 50], [], now, 0.0).free == 1, "one from before is no try"
    assert provider_room(paused, settings, [now - 5], [], now, 0.0).free == 0
    assert provider_room(Circuit(1, now, now + 40), settings, [], [], now, 0.0) == Room(0, 40.0)
    assert provider_room(Circuit(1, now, None), settings, [], [], now, 0.0) == Room(0, None)


LIMITS = """
[agents.absent]
driver = "acp"
command = ["no-such-agent"]

[lane.nobody]
labels = ["none"]
agents = ["scripted", "absent"]

[floor]
sessions = 1
refine_rounds = 0
"""


def second_agent(bench: Workbench) -> None:
    """Another scripted agent, with a provider of its own, behind the first one."""
    command = json.dumps([sys.executable, "-I", "-S", PROGRAM])
    chain = CONFIG.replace('agent = "scripted"', 'agents = ["scripted", "spare"]')
    bench.commit({"tapeout.toml": f'{chain}\n[agents.spare]\ndriver = "acp"\ncommand = {command}\n'}, "Configure")


def fails_first(message: str, name: str) -> str:
    """A script whose first turn of the first session is answered with an error."""
    works = (step(write=name, text="1\n"), step(commit=f"Write {name}"))
    return script(turn(step(fail=message), session=1), turn(*works, session=1), turn(*works))


def test_a_short_wait_is_spent_in_the_same_session(bench: Workbench) -> None:
    one = bench.new("Limited", fails_first("429 Too Many Requests: retry after 1 second", "f"))
    bench.commit({"tapeout.toml": CONFIG + '[provider.scripted]\npatience = "60s"\n'}, "Configure")

    bench.up()

    shown = bench.issue(one)
    assert [(a["outcome"], a["rounds"]) for a in shown["attempts"]] == [("landed", 1)]
    logs = bench.run("logs").stdout
    assert "scripted is paused until " in logs
    assert "scripted is back" in logs


def test_for_a_long_wait_the_other_agent_goes_on(bench: Workbench) -> None:
    second_agent(bench)
    first = bench.new("Limited", fails_first("429 usage limit reached: try again in 3 hours", "f"))
    second = bench.new("Later", writes("later"), "--label", "x")
    only = bench.new("Only that agent", writes("only"), "--agent", "scripted")
    with bench.tracker() as tracker:
        tracker.add_dependency(second, first)
        tracker.add_dependency(only, first)
    floor = bench.start("up", "--until-idle")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        wait_until(bell, lambda: tracker.issue(second).status == "closed" and not tracker.attempts(running=True))
    assert floor.poll() is None, "what waits for a provider is not done"
    assert [(a["agent"], a["outcome"]) for a in bench.issue(first)["attempts"]] == [
        ("scripted", "unavailable"), ("spare", "landed"),
    ]  # fmt: skip
    assert [a["agent"] for a in bench.issue(second)["attempts"]] == ["spare"]
    status = bench.run("status").stdout
    assert "scripted is paused until" in status
    assert "usage limit reached: try again in 3 hours" in status

    kill(floor.pid)  # in the middle of its wait: the next one remembers
    floor.communicate()
    floor = bench.start("up")
    with bench.tracker() as tracker, Doorbell(bench.paths.bells) as bell:
        third = bench.new("Third", writes("third"))
        wait_until(bell, lambda: tracker.issue(third).status == "closed")
        assert tracker.attempts(only) == []
        revise = '{"scripted": ' + json.dumps({**vars(read_circuits(tracker)["scripted"]), "until": time.time()}) + "}"
        tracker.revise_setting(PROVIDERS, lambda _: revise)  # the reset has come
        wait_until(bell, lambda: tracker.issue(only).status == "closed")
        assert read_circuits(tracker) == {}, "it has answered"
    bench.run("stop")


def test_an_agent_whose_sessions_fail_is_followed_by_the_next(bench: Workbench) -> None:
    second_agent(bench)
    works = (step(write="f", text="1\n"), step(commit="F"))
    bad_twice = [turn(step(write="broken", text="1"), step(commit="Break"), session=number) for number in (1, 2)]
    one = bench.new("Hard for one of them", script(*bad_twice, turn(*works)))

    bench.up()

    ended = [(a["agent"], a["outcome"]) for a in bench.issue(one)["attempts"]]
    assert ended == [("scripted", "failed"), ("scripted", "failed"), ("spare", "landed")]


def test_agents_that_this_floor_does_not_use_have_no_turns(bench: Workbench) -> None:
    second_agent(bench)
    text = (bench.root / "tapeout.toml").read_text()
    text = text.replace("[floor]", LIMITS).replace("interruptions = 20", "interruptions = 1")
    bench.commit({"tapeout.toml": text}, "Configure")
    fails = bench.new("Hard", script(turn(step(write="broken", text="1"), step(commit="Break"))))
    absent = bench.new("For nobody here", writes("f"), "--agent", "absent")

    bench.up("--agent", "scripted")

    assert [(a["agent"], a["outcome"]) for a in bench.issue(fails)["attempts"]] == [("scripted", "failed")]
    assert "1 session failed" in bench.issue(fails)["needs_person"]
    assert "absent is not installed" in bench.issue(absent)["needs_person"]


def test_without_a_login_nothing_is_tried_until_a_person_starts_the_floor(bench: Workbench) -> None:
    one = bench.new("No key", fails_first("401 Unauthorized: invalid api key", "f"))

    bench.up()

    assert [a["outcome"] for a in bench.issue(one)["attempts"]] == ["unavailable"], "once, and no storm"
    assert "scripted is paused until you act" in bench.run("status").stdout
    bench.up()
    assert bench.issue(one)["resolution"] == "landed"


def test_what_an_agent_only_says_is_believed_a_little(bench: Workbench) -> None:
    """An agent that always ends with words like an error of the API stops nothing: its work is judged."""
    said = "API Error: 529 Overloaded"
    one = bench.new("Talker", script(turn(step(write="f", text="1\n"), step(commit="F"), step(say=said))))
    bench.commit({"tapeout.toml": CONFIG + '[provider.scripted]\npatience = "1s"\n'}, "Configure")

    bench.up()

    assert bench.issue(one)["resolution"] == "landed"


def test_a_person_resumes_a_provider_that_stated_a_long_pause(bench: Workbench) -> None:
    with bench.tracker() as tracker:
        note_trouble(tracker, "claude", Trouble("usage-limit", "limit", resets_at=time.time() + 30 * 86400))
    assert "claude is paused until" in bench.run("status").stdout
    assert bench.data("resume", "--provider", "claude") == {"provider": "claude"}
    assert "claude is paused" not in bench.run("status").stdout
    assert "paused are: none" in bench.data("resume", "--provider", "claude", code=3)["hint"]
    assert bench.data("resume", "--all", "--provider", "claude", code=2)["message"]
    with bench.tracker() as tracker:
        assert read_circuits(tracker)["claude"].state(time.time()) == "half-open", "one attempt tries it"


def test_many_processes_count_failures_one_after_the_other(bench: Workbench) -> None:
    with bench.tracker() as one, bench.tracker() as other:
        for tracker in (one, other, one):
            note_trouble(tracker, "claude", Trouble("overloaded", "529"))
        assert read_circuits(other)["claude"].failures == FAILURES_TO_OPEN
        one.revise_setting(PROVIDERS, lambda _: "not JSON")
        assert read_circuits(other) == {}
