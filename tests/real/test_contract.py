"""One contract for every real agent: it works, tells how full it is, is cancelled, killed and taken up again, and what
goes wrong at its provider is told apart.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from tapeout import agents
from tapeout.agents.lasting import GO_ON
from tapeout.base.sandbox import Sandbox, available
from tests.real.desk import Desk, commit
from tests.real.kits import KITS, Kit
from tests.support.install_agents import AGENTS
from tests.support.model_script import render_script
from tests.support.model_server import ModelServer
from tests.support.registry import NoSuchPackage

pytestmark = [pytest.mark.real_agent, pytest.mark.anyio, pytest.mark.timeout(600)]

NAMES = list(KITS)
ASKING = [name for name, kit in KITS.items() if kit.asking_environment]

Step = Mapping[str, Any]
HANG = "touch {flag}; sleep 600"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def kit(name: str) -> Kit:
    return KITS[name]


@pytest.fixture
def desk(
    name: str, kit: Kit, tmp_path: Path, model_server: ModelServer, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    try:
        command = AGENTS[name]()
    except NoSuchPackage as error:
        pytest.skip(str(error))
    prepare = kit.asking_environment if "decision" in request.fixturenames else kit.environment
    assert prepare is not None
    desk = Desk(tmp_path / "desk", kit.agent, command, prepare(tmp_path / "home", model_server.url))
    yield desk
    desk.reap()


@pytest.mark.parametrize("name", NAMES)
async def test_it_works_and_tells_how_full_its_context_is(desk: Desk, kit: Kit) -> None:
    limit = 0.4 * (kit.window or 200_000)
    turns: list[list[Step]] = [
        [{"run": commit("one")}, {"usage": {"input": 30_000, "output": 1_000}}, {"say": "That is one."}],
        [{"run": commit("two")}, {"usage": {"input": int(limit) + 1, "output": 100}}, {"say": "That is two."}],
    ]
    async with desk.open() as session:
        first = await session.prompt(f"# Count\n\n{render_script(*turns)}\n")
        second = await session.prompt("Go on: the gate wants more.")
        assert session.id
        assert session.can_resume
    assert desk.log == ["Start", "one", "two"]
    assert [first.stop_reason, second.stop_reason] == ["end_turn", "end_turn"]
    assert ("That is one." in first.text, "That is two." in second.text) == (True, True)
    assert first.usage is not None
    assert second.usage is not None
    assert all(permission.decision == "allow_always" for permission in desk.of(agents.Permission))
    assert any(call.status == "completed" and "git commit" in call.title for call in desk.of(agents.ToolCall))
    spent = desk.of(agents.Spent)[-1]
    assert spent.input_tokens >= 30_000
    assert spent.estimated != (kit.accounts)
    if kit.window is None:
        assert second.usage.estimated
        return
    assert 30_000 <= first.usage.used <= 31_000  # some do not count the last answer
    assert (first.usage.size, first.usage.estimated) == (kit.window, False)
    assert second.usage.used > limit


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_cancelled_then_killed_and_goes_on(desk: Desk, model_server: ModelServer) -> None:
    def hang(flag: str) -> str:
        return render_script([{"run": HANG.format(flag=flag), "patience": 60}])

    async with desk.open() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_when, desk.code / "first", session.cancel)
            cancelled = await session.prompt(hang("first"))
        assert cancelled.stop_reason == "cancelled"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_when, desk.code / "second", desk.kill)
            died = await _error(session.prompt(hang("second")))
        assert isinstance(died, agents.AgentDied)
    heard = len(desk.updates)
    async with desk.open(resume=session.id) as again:
        assert again.id == session.id
        assert not [update for update in desk.updates[heard:] if isinstance(update, (agents.Text, agents.ToolCall))]
        result = await again.prompt(render_script([{"run": commit("one")}, {"say": "That is one."}]))
    assert "That is one." in result.text
    assert desk.log == ["Start", "one"]
    assert len(model_server.requests[-1].conversation.prompts) >= 3, "it does not know what was said before"


SANDBOXES = {type(found).__name__: found for found in available() if isinstance(found, Sandbox)}
CONFINED = [("codex-acp", kind) for kind in SANDBOXES] + [("claude-agent-acp", kind) for kind in list(SANDBOXES)[:1]]
"""A program by itself, and one whose parts lie all over a `node_modules`."""


@pytest.mark.parametrize(("name", "kind"), CONFINED)
async def test_in_its_sandbox_it_outlives_the_death_of_its_process(
    desk: Desk, kind: str, model_server: ModelServer
) -> None:
    desk.confine(SANDBOXES[kind])
    hang = render_script([{"run": HANG.format(flag="there"), "patience": 60}], [{"run": commit("one")}])

    async def reap() -> None:
        await anyio.to_thread.run_sync(desk.reap)

    async with agents.lasting_session(lambda resume: desk.open(resume=resume), reap=reap) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_when, desk.code / "there", desk.kill)
            result = await session.prompt(hang)
        assert result.stop_reason == "end_turn"
    assert desk.log == ["Start", "one"]
    prompts = model_server.requests[-1].conversation.prompts
    assert any(GO_ON[:40] in prompt for prompt in prompts)
    assert len(prompts) >= 2, "it does not know what was said before"


@pytest.mark.parametrize("name", NAMES)
async def test_what_fails_at_its_provider_is_told_apart(desk: Desk, kit: Kit) -> None:
    failures: dict[str, Step] = {
        "usage-limit": {"status": 429, "retry_after": 1, "body": "Usage limit reached. Try again in 20 minutes."},
        "overloaded": {"status": 500, "body": "Internal server error"},
        "network": {"cut": True},
    }
    found: dict[str, agents.ProviderProblem | None] = {}
    hidden = set()
    for kind, step in failures.items():
        async with desk.open() as session:
            try:
                result = await session.prompt(render_script([step]))
            except agents.AgentError as error:
                found[kind] = agents.problem_of_error(error, time.time())
            else:
                found[kind] = agents.problem_of_turn(result.text, time.time())
                hidden.add(result.stop_reason)
    assert {kind: problem and problem.kind for kind, problem in found.items()} == {kind: kind for kind in failures}
    assert hidden == ({"end_turn"} if kit.hides_errors else set())


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("name", ASKING)
async def test_it_asks_and_takes_the_answer(desk: Desk, kit: Kit, decision: agents.Decision) -> None:
    asked: list[agents.Question] = []

    async def answer(question: agents.Question) -> agents.Decision:
        await anyio.lowlevel.checkpoint()
        asked.append(question)
        return decision

    async with desk.open(mode=kit.asking_mode, permissions="ask", on_permission=answer) as session:
        await session.prompt(render_script([{"run": commit("one")}, {"say": "So be it."}]))
    assert asked
    assert "git commit" in asked[0].title
    assert {permission.decision for permission in desk.of(agents.Permission)} <= {f"{decision}_once", "reject_once"}
    assert desk.log == (["Start", "one"] if decision == "allow" else ["Start"])


async def _when(flag: Path, act: Callable[[], Awaitable[None]]) -> None:
    """Do something when the agent's command has made a file."""
    await anyio.to_thread.run_sync(_wait_for, flag)
    await act()


def _wait_for(flag: Path) -> None:
    while not flag.exists():
        time.sleep(0.05)


async def _error(turn: Awaitable[agents.TurnResult]) -> agents.AgentError:
    """What a turn fails with."""
    try:
        result = await turn
    except agents.AgentError as error:
        return error
    raise AssertionError(f"the turn ended: {result}")
