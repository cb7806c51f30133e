"""What an agent may do with the command inside its workspace: read, file, edit, comment. The rest is for people."""

import pytest

from tests.cli.conftest import Cli

FORBIDDEN = [
    "issue close ID",
    "issue reopen ID",
    "issue allow ID tests",
    "issue allow ID tests --forbid",
    "claim ID",
    "claim --next",
    "release ID --as a-1",
    "release ID --force",
    "up",
    "stop",
    "publish",
    "init --force",
    "doctor --rebuild",
    "import -",
    "nudge ID hello",
    "pause --all",
    "resume ID",
    "kill ID",
    "handoff ID",
    "answer q allow",
]


@pytest.mark.parametrize("command", FORBIDDEN)
def test_what_decides_about_work_is_for_people(cli: Cli, command: str) -> None:
    identity = cli.new("one")
    words = command.replace("ID", identity).split()
    done = cli(*words, "--json", env={"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_REPOSITORY": str(cli.folder)})
    assert (done.code, done.error["code"]) == (5, "not-allowed")
    assert "agent" in done.error["message"]
    assert cli("issue", "show", identity, "--json").data["status"] == "open"


def test_an_agent_reads_files_edits_and_comments(cli: Cli) -> None:
    env = {"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_REPOSITORY": str(cli.folder)}
    identity = cli.new("one")
    for words in (("issue", "new", "two"), ("issue", "comment", identity, "x"), ("ready",), ("status",), ("doctor",)):
        assert cli(*words, env=env, cwd="/").code == 0
    assert cli("issue", "edit", identity, "--priority", "1", env=env).code == 0


def test_another_repository_is_not_the_attempts(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("issue", "close", identity, env={"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_REPOSITORY": None}).code == 0
