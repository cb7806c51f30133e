"""One turn of a session under its guards."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents import AgentError, Text, TurnResult, Update
from tapeout.config import parse_config
from tapeout.floor import supervision
from tapeout.floor.budgets.guard import Allowance, BudgetGuard
from tapeout.floor.budgets.limits import Budget
from tapeout.floor.guards import SEVERITY, Answer, Cut, Quiet, Tell, first_cut
from tapeout.floor.lanes import NO_LANE, lane_of
from tapeout.floor.pausing import Pause
from tapeout.floor.supervision import Supervisor
from tests.floor.test_decisions import issue

STOP = Cut("context", "80,000 of 200,000 tokens")


class Agent:
    """A session whose turn says what it is given and then does what it is made to do."""

    id = "one"
    can_resume = False
    model = ""

    def __init__(self, work: Callable[["Agent"], object] = lambda _: None, *, deaf: bool = False) -> None:
        self.prompts: list[str] = []
        self.cancelled = anyio.Event()
        self.reported: Callable[[Update], None] = lambda _: None
        self._work = work
        self._deaf = deaf

    async def prompt(self, text: str) -> TurnResult:
        self.prompts.append(text)
        self._work(self)
        if self._deaf:
            await anyio.sleep_forever()
        if self._work is not _ends:
            await self.cancelled.wait()
        return TurnResult("cancelled" if self.cancelled.is_set() else "end_turn", "", None)

    async def cancel(self) -> None:
        self.cancelled.set()

    async def close(self) -> None: ...


def _ends(_: Agent) -> None: ...


def _talks(agent: Agent) -> None:
    agent.reported(Text("hello"))


class OnText(Quiet):
    """Answers to whatever the agent says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def update(self, update: Update, now: float) -> Answer:
        return self._answer if isinstance(update, Text) else None


class Clock(Quiet):
    """Answers once, as soon as it may."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._wake: float | None = None

    @property
    def wake(self) -> float | None:
        return self._wake

    def turn_started(self, prompt: str, now: float) -> Answer:
        self._wake = now
        return None

    def tick(self, now: float) -> Answer:
        self._wake = None
        return self._answer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def watch(agent: Agent, *guards: Quiet) -> tuple[Supervisor, list[Tell | Cut]]:
    noted: list[Tell | Cut] = []
    supervisor = Supervisor(guards, note=noted.append)
    agent.reported = supervisor.update
    return supervisor, noted


@pytest.mark.anyio
@pytest.mark.parametrize("guard", [OnText, Clock])
async def test_a_cut_cancels_the_turn(guard: type[OnText | Clock]) -> None:
    agent = Agent(_talks)
    supervisor, noted = watch(agent, guard(STOP))
    result = await supervisor.turn(agent, "work")
    assert result is not None
    assert result.stop_reason == "cancelled"
    assert supervisor.cut == STOP
    assert noted == [STOP]
    assert await supervisor.turn(agent, "more") is None, "no turn is begun after a cut"
    assert agent.prompts == ["work"]


@pytest.mark.anyio
async def test_who_does_not_hear_a_cancel_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "CANCEL_SECONDS", 0.0)
    agent = Agent(_talks, deaf=True)
    supervisor, _ = watch(agent, OnText(STOP))
    assert await supervisor.turn(agent, "work") is None
    assert agent.cancelled.is_set()


@pytest.mark.anyio
async def test_a_hard_cut_asks_nobody() -> None:
    agent = Agent(_talks, deaf=True)
    supervisor, _ = watch(agent, OnText(Cut("budget", "a million tokens", hard=True)))
    assert await supervisor.turn(agent, "work") is None
    assert not agent.cancelled.is_set()


@pytest.mark.anyio
async def test_a_hard_cut_does_not_wait_for_the_grace_of_another() -> None:
    agent = Agent(_talks, deaf=True)
    late, hard = Cut("context", "full", grace=1e6), Cut("context", "over the ceiling", hard=True)
    supervisor, _ = watch(agent, OnText(late), Clock(hard))
    assert await supervisor.turn(agent, "work") is None
    assert supervisor.cut == hard


@pytest.mark.anyio
async def test_what_is_told_comes_with_the_next_prompt_once() -> None:
    agent = Agent(_ends)
    supervisor, _ = watch(agent)
    supervisor.take(Tell("Try another way.", "the same command three times"))
    for text in ("first", "second"):
        await supervisor.turn(agent, text)
    assert agent.prompts == ["Try another way.\n\nfirst", "second"]
    supervisor.turn_ended(None)
    assert supervisor.cut is None


@pytest.mark.anyio
async def test_what_is_told_with_a_prompt_that_failed_is_told_again() -> None:
    def fails(agent: Agent) -> None:
        if len(agent.prompts) == 1:
            raise AgentError("429 Too Many Requests")
        agent.cancelled.set()

    agent = Agent(fails)
    supervisor, _ = watch(agent)
    supervisor.take(Tell("Use the other library.", "a person says so", when="now"))
    with pytest.raises(BaseExceptionGroup) as caught:
        await supervisor.turn(agent, "work")
    assert caught.group_contains(AgentError)
    await supervisor.turn(agent, "again")
    assert agent.prompts == ["Use the other library.\n\nwork", "Use the other library.\n\nagain"]


@pytest.mark.anyio
async def test_what_is_said_in_a_pause_counts_when_it_is_over() -> None:
    pause = Pause()

    def paused(_: Agent) -> None:
        pause.begin()

    agent = Agent(paused)
    supervisor = Supervisor([], note=lambda _: None, pause=pause)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.turn, agent, "work")
        await anyio.wait_all_tasks_blocked()
        assert pause.is_on
        pause.end()  # as for an order to hand over: at once, and nobody else speaks up any more
        supervisor.take(Cut("person", "handed over"))
        with anyio.fail_after(30):
            await agent.cancelled.wait()


@pytest.mark.anyio
async def test_a_grace_and_the_time_of_a_budget_stand_still_in_a_pause() -> None:
    clock = [100.0]
    pause = Pause(clock=lambda: clock[0])
    budget = BudgetGuard([Allowance(Budget("attempt", time=50.0))])

    def paused(_: Agent) -> None:
        supervisor.take(Cut("context", "full", grace=10.0))
        pause.begin()
        clock[0] += 3600

    agent = Agent(paused)
    supervisor = Supervisor([budget], note=lambda _: None, pause=pause)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.turn, agent, "work")
        await anyio.wait_all_tasks_blocked()
        pause.end()
        await anyio.wait_all_tasks_blocked()
        assert not agent.cancelled.is_set(), "of its grace nothing is used up"
        agent.cancelled.set()
    assert budget.spend(pause.now()).seconds == 0
    assert supervisor.cut == Cut("context", "full", grace=10.0)


@pytest.mark.anyio
async def test_while_a_verdict_is_awaited_only_what_is_new_and_counts_for_more_ends_the_wait() -> None:
    supervisor, _ = watch(Agent(_ends))
    supervisor.take(STOP)
    person = Cut("person", "a person wants it back")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.watch_between_turns)
        await anyio.lowlevel.checkpoint()
        supervisor.take(Cut("provider", "overloaded"))
        await anyio.lowlevel.checkpoint()
        assert supervisor.cut == STOP
        supervisor.take(person)
    assert supervisor.cut == person


CUTS = st.builds(Cut, st.sampled_from(SEVERITY), st.text(max_size=3), hard=st.booleans())


@given(CUTS, CUTS, CUTS)
def test_of_several_cuts_the_same_counts_in_any_grouping(one: Cut, other: Cut, third: Cut) -> None:
    assert first_cut(first_cut(one, other), third) == first_cut(one, first_cut(other, third))
    assert first_cut(one, None) == first_cut(None, one) == one


LANES = """
[lane.docs]
paths = ["docs/**"]
[lane.urgent]
types = ["bug"]
labels = ["p0", "security"]
[[check]]
name = "unit"
run = "true"
kind = "test"
"""


@pytest.mark.parametrize(
    ("fields", "lane"),
    [
        ({"scope": ("docs/a.md",)}, "docs"),
        ({"scope": ("docs/a.md", "src/**")}, NO_LANE),
        ({}, NO_LANE),
        ({"type": "bug", "labels": ("security",)}, "urgent"),
        ({"type": "bug"}, NO_LANE),
        ({"type": "bug", "labels": ("p0",), "scope": ("docs/*.md",)}, "docs"),
    ],
)
def test_an_issue_is_in_the_first_lane_that_it_fits(fields: dict[str, Any], lane: str) -> None:
    assert lane_of(issue(**fields), parse_config(LANES))[0] == lane
