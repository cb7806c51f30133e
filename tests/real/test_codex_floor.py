"""The whole way through the public command line: real agents, a real library, its own test suite as the gate."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tapeout.agents.lasting import GO_ON
from tests.real.codex import agent_lines, codex_environment
from tests.real.issues import ISSUES, IssueDraft, issue_file, meeting
from tests.real.library import SUITE, configuration, git, make_repository
from tests.real.shell import Shell
from tests.support.model_server import ModelServer

pytestmark = [pytest.mark.real_agent, pytest.mark.timeout(900)]

WORKERS = 8


@pytest.fixture
def repository(tmp_path: Path, codex_acp: Path, model_server: ModelServer) -> Path:
    """The library, set up for a floor of codex workers."""
    agent = agent_lines(codex_acp, codex_environment(tmp_path / "home", model_server.url))
    floor = ['agent = "codex"', f"workers = {WORKERS}"]
    text = configuration(floor="\n".join(floor), agent=agent)
    text += f"[sandbox]\nwritable = [{json.dumps(str(tmp_path / 'meeting'))}]\n"
    return make_repository(tmp_path / "boltons", text)


@pytest.fixture
def shell(repository: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell in the repository; whatever it left running is ended."""
    shell = Shell(repository, tmp_path / "state")
    yield shell
    for process in shell.processes():
        process.kill()


def test_eight_workers_land_eight_improvements(
    shell: Shell, repository: Path, tmp_path: Path, model_server: ModelServer
) -> None:
    (tmp_path / "meeting").mkdir()
    file = tmp_path / "issues.md"
    file.write_text(issue_file(ISSUES, [meeting(tmp_path / "meeting", WORKERS)]), encoding="utf-8")
    shell.tapeout("issue", "new", "--file", str(file))
    shell.tapeout("up", "--until-idle")

    issues = shell.issues()
    assert sorted(issue["title"] for issue in issues) == sorted(draft.title for draft in ISSUES)
    _all_landed_with_evidence(issues, shell, repository)
    rounds = {issue["title"]: [attempt["rounds"] for attempt in issue["attempts"]] for issue in issues}
    assert rounds == {draft.title: [len(draft.turns)] for draft in ISSUES}
    for issue in issues:
        (attempt,) = issue["attempts"]
        assert attempt["tokens_used"] > 0, "the agent's own report of its context was not read"
    assert all(request.reply.status == 200 for request in model_server.requests)
    assert shell.left_running() == []


def test_a_killed_floor_and_killed_agents_lose_nothing(
    shell: Shell, repository: Path, tmp_path: Path, model_server: ModelServer, codex_acp: Path
) -> None:
    drafts = [draft for draft in ISSUES if draft.module in ("strutils", "dictutils")]
    file = tmp_path / "issues.md"
    file.write_text(issue_file(drafts), encoding="utf-8")
    shell.tapeout("issue", "new", "--file", str(file))

    with shell.start("up") as floor:
        try:
            # Enough for some edits to be made, too few for any agent to have come to its end.
            model_server.wait_for_requests(len(drafts) + 2, timeout=120)
        finally:
            floor.kill()
    for process in shell.processes():
        if _program(process) == str(codex_acp):
            process.kill()
    shell.tapeout("up", "--until-idle")

    issues = _those_of(drafts, shell.issues())
    _all_landed_with_evidence(issues, shell, repository)
    # The floor was killed, not the workers: each started its agent again, which went on where it had been.
    assert [[attempt["outcome"] for attempt in issue["attempts"]] for issue in issues] == [["landed"]] * len(issues)
    assert sum(_times_taken_up(shell, attempt["id"]) for issue in issues for attempt in issue["attempts"]) >= 1
    assert shell.left_running() == []


def _those_of(drafts: Sequence[IssueDraft], issues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issues that people filed; on a busy machine the gate may have found a test flaky and filed that, too."""
    filed = [issue for issue in issues if issue["title"] in {draft.title for draft in drafts}]
    assert len(filed) == len(drafts)
    return filed


def _all_landed_with_evidence(issues: list[dict[str, Any]], shell: Shell, repository: Path) -> None:
    """Each issue landed exactly once, in the user's branch, as a commit whose exact tree passed; main is green."""
    first_parents = git(repository, "rev-list", "--first-parent", "main").split()
    for issue in issues:
        assert issue["resolution"] == "landed", f"{issue['title']}: {issue['needs_person']}"
        landed = [change for change in issue["changes"] if change["state"] == "landed"]
        assert [change["candidate"] for change in landed] == [issue["landed_commit"]]
        assert issue["landed_commit"] in first_parents
        evidence = shell.ask("gate", "show", issue["landed_commit"])
        assert evidence["passed"] is True
        assert evidence["issue"] == issue["id"]
        judged = evidence["candidate"]  # of several that landed in one move the last one, whose tree has all of them
        assert judged == issue["landed_commit"] or landed[0]["id"] in evidence["combination"]
        assert evidence["tree"] == git(repository, "rev-parse", f"{judged}^{{tree}}").strip()
        assert judged in first_parents
        assert [check["exit_code"] for check in evidence["checks"]] == [0]
    assert len(first_parents) == len(issues) + 1
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    done = subprocess.run(SUITE, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _times_taken_up(shell: Shell, attempt: str) -> int:
    """How often the agent of an attempt was told that its process had been killed."""
    return shell.tapeout("logs", attempt).count(GO_ON[:40])


def _program(process: psutil.Process) -> str | None:
    try:
        return process.exe()
    except psutil.Error:
        return None
