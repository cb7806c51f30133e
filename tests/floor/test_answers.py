"""Questions of an agent that wait for people."""

from pathlib import Path

import anyio
import pytest

from tapeout import agents
from tapeout.base.paths import StatePaths
from tapeout.floor.answers import MOST_WAITING, Answers
from tapeout.tracker import Draft, Tracker


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_many_questions_wait_at_a_time_but_not_any_number(tmp_path: Path) -> None:
    states: list[str] = []
    decisions: list[agents.Decision] = []
    with Tracker.open(StatePaths(str(tmp_path / "floor")), "ada") as tracker:
        issue = tracker.create(Draft("Work")).id
        lease, _ = tracker.begin_attempt(issue, "a-1", 60, agent="x", host="here", pid=1, pid_started=0.0)
        answers = Answers(tracker, lease, timeout=60, show=lambda state, _: states.append(state))

        async def ask(number: int) -> None:
            decisions.append(await answers.decide(agents.Question(f"May I do {number}?", (("allow_once", "Yes"),))))

        async with anyio.create_task_group() as tasks:
            for number in range(MOST_WAITING + 5):
                tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
            assert decisions == ["deny"] * 5
            asked = tracker.questions(attempt="a-1")
            assert len(asked) == MOST_WAITING
            for one in asked[:-1]:
                answers.answered(tracker.answer(one.id, "allow"))
            await anyio.wait_all_tasks_blocked()
            assert set(states) == {"waiting"}, "it works again when it waits for nobody"
            answers.answered(tracker.answer(asked[-1].id, "allow"))
    assert states[-1] == "working"
    assert decisions[5:] == ["allow"] * MOST_WAITING
