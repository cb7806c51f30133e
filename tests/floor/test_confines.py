"""What an agent may do, decided for each kind of sandbox; and what it may ask of the tracker."""

import json
from pathlib import Path

import anyio
import pytest

from tapeout import cli
from tapeout.agents import AgentSpec
from tapeout.base.errors import TapeoutError
from tapeout.base.paths import DOOR_VARIABLE
from tapeout.base.sandbox import UNCONFINED, Absence
from tapeout.config import parse_config
from tapeout.floor import isolation
from tapeout.floor.confines import Surroundings, agent_policy
from tapeout.floor.door import Door, Request, opened, parse_request
from tapeout.workspaces import Workspace

CONFIG = '[sandbox]\n{}\n[[check]]\nname = "x"\nrun = "true"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("home/.agent", "state/repo/workspaces/a/home/.agent", "checkout"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("replaces", [True, False], ids=["bubblewrap", "landlock"])
def test_a_variable_that_names_a_login_leads_to_its_copy(place: Path, replaces: bool) -> None:
    workspace = Workspace("a", str(place / "state/repo/workspaces/a"), "", "")
    env = {"HOME": str(place / "home"), "PATH": "/usr/bin", "AGENT_HOME": str(place / "home/.agent")}
    spec = AgentSpec("x", "acp", ("x",))
    around = Surroundings(str(place / "home"), str(place / "state"), (str(place / "checkout"),))
    confines = agent_policy(
        spec, workspace, env, config=parse_config(CONFIG.format("")), around=around, replaces=replaces
    )
    assert str(place / "home/.agent") not in confines.policy.readable
    moved = {} if replaces else {"HOME": workspace.home, "AGENT_HOME": f"{workspace.home}/.agent"}
    assert confines.env == moved
    replaced = dict(confines.policy.replaced)
    assert replaced.get(str(place / "home")) == (workspace.home if replaces else None)
    assert (str(place / "home") in confines.policy.hidden) != replaces
    assert {str(place / "state"), str(place / "checkout")} <= set(confines.policy.hidden)


def test_a_network_policy_is_never_weakened_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(lines: str) -> str:
        return isolation.problem_of(parse_config(CONFIG.format(lines)))

    monkeypatch.setattr(isolation, "detect", lambda: Absence(("nothing here",)))
    assert problem("") == ""
    assert "use is required: nothing here" in problem('use = "required"')
    assert "network is model" in problem('network = "model"')
    assert problem('use = "off"\nnetwork = "model"') == ""
    from tapeout.base.sandbox.landlock import Landlock

    monkeypatch.setattr(isolation, "detect", lambda: Landlock(7))
    assert problem('use = "required"') == ""
    assert "needs bubblewrap" in problem('network = "none"')


GOOD = {"words": ["--json", "issue", "show", "x"], "folder": "/", "input": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"words": ["up"]}, {"words": ["sync", "issue"]}, {"words": "issue"}, {"words": ["a\0b"]}, {"words": [1]},
        {"folder": None}, {"input": 3},
    ],
)  # fmt: skip
def test_the_door_lets_through_what_agents_may_call_and_nothing_else(change: dict[str, object]) -> None:
    assert isinstance(parse_request(json.dumps(GOOD).encode()), Request)
    assert isinstance(parse_request(json.dumps({**GOOD, **change}).encode()), TapeoutError)
    for rubbish in (b"", b"[]", b"null", b"\xff", b"[" * 100_000):
        assert isinstance(parse_request(rubbish), TapeoutError)


def test_what_the_door_refuses_is_refused_like_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def call(*words: str) -> int:
        async with opened(Door(UNCONFINED, {}, (str(tmp_path),)), str(tmp_path)) as path:
            monkeypatch.setenv(DOOR_VARIABLE, path)
            return await anyio.to_thread.run_sync(cli.main, words)

    assert anyio.run(call, "nudge", "x", "Take it easy") == 5
    assert "tapeout: `tapeout nudge` cannot be called from an agent's sandbox (these can: " in capsys.readouterr().err
    assert anyio.run(call, "kill", "x", "--json") == 5
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not-allowed"
