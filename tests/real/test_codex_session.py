"""`codex-acp` through the public interface of `tapeout.agents`, with a scripted model behind it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tapeout import agents
from tapeout.config import AgentConfig, CheckConfig, Config
from tests.real.codex import CONTEXT_WINDOW, codex_environment
from tests.real.library import git
from tests.support.model_script import render_script
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.real_agent

Turn = Sequence[Mapping[str, Any]]


class Screen:
    """A terminal recording that nobody watches."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def line(self, text: str) -> None:
        """Forget it."""


class Desk:
    """A repository to work in, and the agent as a user's configuration names it."""

    def __init__(self, folder: Path, program: Path, environment: Mapping[str, str]) -> None:
        self.code = folder / "code"
        self.code.mkdir(parents=True)
        git(self.code, "init", "--quiet")
        git(self.code, "commit", "--quiet", "--allow-empty", "--message=Start")
        (folder / "tmp").mkdir()
        self._env = {"PATH": os.environ["PATH"], "TERM": "dumb", "TMPDIR": str(folder / "tmp")}
        codex = AgentConfig(command=(str(program),), env=dict(environment))
        config = Config(agents={"codex": codex}, check=(CheckConfig(name="none", run="true"),))
        self._spec = agents.resolve("codex", config)
        self._transcript = folder / "transcript.jsonl"
        self.updates: list[agents.Update] = []

    async def play(self, *prompts: str) -> list[agents.TurnResult]:
        """One session with these prompts."""
        with agents.Transcript(str(self._transcript)) as transcript:
            async with agents.open_session(
                self._spec,
                cwd=str(self.code),
                env=self._env,
                on_update=self.updates.append,
                transcript=transcript,
                terminal=Screen(),
            ) as session:
                return [await session.prompt(prompt) for prompt in prompts]

    @property
    def log(self) -> list[str]:
        """Subjects of the commits, oldest first."""
        return git(self.code, "log", "--reverse", "--format=%s").splitlines()


@pytest.fixture
def desk(tmp_path: Path, codex_acp: Path, model_server: ModelServer) -> Desk:
    """One desk."""
    return Desk(tmp_path / "desk", codex_acp, codex_environment(tmp_path / "home", model_server.url))


def commit(word: str) -> str:
    """A command that changes a file and commits it."""
    return f"echo {word} >> words && git add words && git commit --quiet --message {word}"


def test_works_commits_and_refines_in_the_same_session(desk: Desk, model_server: ModelServer) -> None:
    turns: list[Turn] = [
        [{"run": commit("one")}, {"usage": {"input": 50_000, "output": 1_000}}, {"say": "That is one."}],
        [{"run": commit("two")}, {"say": "That is two."}],
    ]
    first, second = anyio.run(desk.play, f"# Count\n\n{render_script(*turns)}\n", "Go on: the gate wants more.")
    assert desk.log == ["Start", "one", "two"]
    assert (first.stop_reason, second.stop_reason) == ("end_turn", "end_turn")
    assert "That is one." in first.text
    assert first.usage is not None
    assert first.usage.used == 51_000
    assert 0.9 * CONTEXT_WINDOW <= first.usage.size <= CONTEXT_WINDOW
    assert not [update for update in desk.updates if isinstance(update, agents.Permission)]
    assert [len(request.conversation.prompts) for request in model_server.requests] == [1, 1, 2, 2]


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
    desks = [Desk(tmp_path / f"desk{number}", codex_acp, environment) for number in range(8)]

    async def all_at_once() -> None:
        async with anyio.create_task_group() as tasks:
            for number, desk in enumerate(desks):
                script = render_script([{"run": commit(f"word{number}")}])
                tasks.start_soon(partial(desk.play, script))

    anyio.run(all_at_once)
    assert [desk.log for desk in desks] == [["Start", f"word{number}"] for number in range(8)]
