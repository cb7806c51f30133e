"""A real agent on a real floor reaches the limit of its context, or of its provider: others go on with its work."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.real.codex import CONTEXT_WINDOW, agent_lines, codex_environment
from tests.real.library import git
from tests.real.shell import Shell
from tests.support.model_script import render_script
from tests.support.model_server import ModelServer

pytestmark = [pytest.mark.real_agent, pytest.mark.timeout(300)]

CHECK = '[[check]]\nname = "both"\nkind = "custom"\nrun = "test ! -e one.txt || test -e two.txt"\n'

FULL = CONTEXT_WINDOW * 45 // 100

HANDOFF = {
    "goal": "two files",
    "done": ["one.txt is there"],
    "next": ["two.txt is missing"],
    "files": [{"path": "one.txt", "why": "the first of them"}, {"path": "three.txt", "why": "made up"}],
}


@pytest.fixture
def repository(tmp_path: Path, codex_acp: Path, model_server: ModelServer) -> Path:
    """A small repository for codex, and for another agent that is codex again but with a provider of its own."""
    agent = agent_lines(codex_acp, codex_environment(tmp_path / "home", model_server.url))
    floor = '[floor]\nagents = ["codex", "spare"]\nworkers = 2\ncontext_grace = "0.1s"\n'
    folder = tmp_path / "files"
    folder.mkdir()
    text = "\n".join(
        [floor, f"[agents.codex]\n{agent}", f'[agents.spare]\n{agent}\nhome = ["~/.codex", "~/.gitconfig"]\n', CHECK]
    )
    (folder / "tapeout.toml").write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Start")
    return folder


@pytest.fixture
def shell(repository: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell in the repository; whatever it left running is ended."""
    shell = Shell(repository, tmp_path / "state")
    yield shell
    for process in shell.processes():
        process.kill()


def writes(name: str) -> dict[str, Any]:
    """A step that commits a file."""
    return {"run": f"echo {name} > {name}.txt && git add --all && git commit --quiet --message 'Write {name}'"}


def work(shell: Shell, first: Sequence[Sequence[dict[str, Any]]], later: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An issue, done: by a session with the turns `first`, and by later ones with one turn."""
    script = render_script(*first, [*later, {"say": "Both are there."}])
    turns = script.split("[[turn]]\n")
    turns[-1] = f'when = "Attempt 1 by codex"\n{turns[-1]}'
    body = "[[turn]]\n".join(turns)
    shell.tapeout("issue", "new", "Two files", "--body", body)
    shell.tapeout("up", "--until-idle")
    (issue,) = shell.issues()
    assert issue["resolution"] == "landed", (
        f"{issue['attempts']}: {issue['needs_person']}\n{shell.tapeout('logs')[-6000:]}"
    )
    assert shell.left_running() == []
    return dict(issue)


def test_at_its_context_limit_a_session_hands_over_and_a_fresh_one_lands(
    shell: Shell, repository: Path, model_server: ModelServer
) -> None:
    said = f"```tapeout-handoff\n{json.dumps(HANDOFF)}\n```"
    full = [writes("one"), {"usage": {"input": FULL, "output": 100}}, {"run": "true"}, {"delay": 100}]

    issue = work(shell, [full, [{"usage": {"input": FULL + 2_000, "output": 200}}, {"say": said}]], [writes("two")])

    assert [(one["agent"], one["outcome"]) for one in issue["attempts"]] == [("codex", "handoff"), ("codex", "landed")]
    first, second = issue["attempts"]
    assert first["detail"].startswith("at the context limit of 40%: 90,"), first["detail"]
    prompts = model_server.requests[-1].conversation.prompts
    assert len(prompts) == 1, "a fresh session"
    assert "- two.txt is missing" in prompts[0]
    assert "- one.txt: the first of them" in prompts[0]
    assert "three.txt" not in prompts[0].partition("What the session before left")[2], "what is not there is not told"
    assert git(repository, "log", "--format=%s", "--no-merges", "main").splitlines()[:2] == ["Write two", "Write one"]
    assert second["base"] == first["base"]


def test_a_usage_limit_pauses_its_provider_and_another_agent_goes_on(shell: Shell, repository: Path) -> None:
    error = {"type": "usage_limit_reached", "message": "No more", "resets_at": int(time.time()) + 1200}
    limited = {"status": 429, "body": json.dumps({"error": error})}

    issue = work(shell, [[writes("one"), limited]], [writes("two")])

    assert [(one["agent"], one["outcome"]) for one in issue["attempts"]] == [
        ("codex", "unavailable"), ("spare", "landed"),
    ]  # fmt: skip
    assert issue["needs_person"] is None
    assert "codex is paused until" in shell.tapeout("status")
    assert git(repository, "show", "main:one.txt") == "one\n", "its work is kept"
