"""What the contract does not ask of every agent: `codex-acp` and slow commands, retries, and eight at once."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tapeout import agents
from tests.real.codex import codex_environment
from tests.real.desk import Desk, commit
from tests.support.model_script import render_script
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.real_agent

Turn = Sequence[Mapping[str, Any]]


@pytest.fixture
def desk(tmp_path: Path, codex_acp: Path, model_server: ModelServer) -> Desk:
    """One desk."""
    return Desk(tmp_path / "desk", "codex", (str(codex_acp),), codex_environment(tmp_path / "home", model_server.url))


def test_sees_a_long_command_through(desk: Desk, model_server: ModelServer) -> None:
    """The agent's shell tool hands a slow command back as still running; the model has to wait for it."""
    slow = f"sleep 2; {commit('late')}"
    anyio.run(desk.play, render_script([{"run": slow, "patience": 0.25}, {"run": commit("later")}]))
    assert desk.log == ["Start", "late", "later"]
    assert [request.reply.wait_for is not None for request in model_server.requests] == [False, True, False, False]


def test_gets_over_a_failing_and_a_broken_answer(desk: Desk, model_server: ModelServer) -> None:
    steps: Turn = [{"status": 503, "times": 1}, {"cut": True, "times": 1}, {"run": commit("one")}]
    anyio.run(desk.play, render_script(steps))
    assert desk.log == ["Start", "one"]
    assert len(model_server.requests) == 4


def test_an_error_of_the_model_is_an_error_of_the_turn(desk: Desk) -> None:
    script = render_script([{"status": 400, "body": "your account is on hold"}])
    with pytest.raises(agents.AgentError, match="your account is on hold"):
        anyio.run(desk.play, script)


def test_eight_share_one_home(tmp_path: Path, codex_acp: Path, model_server: ModelServer) -> None:
    environment = codex_environment(tmp_path / "home", model_server.url)
    desks = [Desk(tmp_path / f"desk{number}", "codex", (str(codex_acp),), environment) for number in range(8)]

    async def all_at_once() -> None:
        async with anyio.create_task_group() as tasks:
            for number, desk in enumerate(desks):
                script = render_script([{"run": commit(f"word{number}")}])
                tasks.start_soon(partial(desk.play, script))

    anyio.run(all_at_once)
    assert [desk.log for desk in desks] == [["Start", f"word{number}"] for number in range(8)]
