"""How commands fail: exit codes, one line, one envelope."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.cli.output import readable_error
from tests.cli.conftest import PROGRAM, Cli

FAILURES: list[tuple[list[str], int, str, str]] = [
    ([], 2, "usage", "COMMAND"),
    (["nope"], 2, "usage", "invalid choice: 'nope'"),
    (["issue"], 2, "usage", "COMMAND"),
    (["issue", "nope"], 2, "usage", "invalid choice: 'nope'"),
    (["issue", "dep"], 2, "usage", "COMMAND"),
    (["issue", "new"], 2, "usage", "either a title or --file"),
    (["issue", "new", "x", "--file", "y"], 2, "usage", "either a title or --file"),
    (["issue", "new", "--file", "missing.md"], 2, "usage", "cannot read missing.md: No such file"),
    (["issue", "new", "--file", ".git"], 2, "usage", "cannot read .git: Is a directory"),
    (["issue", "new", "--file", "x.md", "--label", "y"], 2, "usage", "--label cannot be given with --file"),
    (["issue", "new", "--file", "x.md", "--depends-on", "y"], 2, "usage", "--depends-on cannot be given with --file"),
    (["issue", "new", ""], 2, "usage", "the title is empty"),
    (["issue", "new", " \t\n"], 2, "usage", "the title is empty"),
    (["issue", "new", "x" * 301], 2, "usage", "301 characters"),
    (["issue", "new", "\x1b[31mred"], 2, "usage", "control characters"),
    (["issue", "new", "x", "--label", "two words"], 2, "usage", "is not a label"),
    (["issue", "new", "x", "--label", ""], 2, "usage", "is not a label"),
    (["issue", "new", "x", "--priority", "5"], 2, "usage", "invalid choice: 5"),
    (["issue", "new", "x", "--priority", "high"], 2, "usage", "invalid int value: 'high'"),
    (["issue", "new", "x", "--type", "story"], 2, "usage", "invalid choice: 'story'"),
    (["issue", "new", "x", "--defer", "soon"], 2, "usage", "'soon' is no date"),
    (["issue", "new", "x", "--defer", ""], 2, "usage", "'' is no date"),
    (["issue", "new", "x", "--defer", "²d"], 2, "usage", "is no date"),
    (["issue", "new", "x", "--defer", "9" * 400 + "d"], 2, "usage", "is no date"),
    (["issue", "new", "x", "--defer", "9" * 5000 + "d"], 2, "usage", "is no date"),
    (["issue", "new", "x", "--parent", "zzzz"], 3, "not-found", "there is no issue 'zzzz'"),
    (["issue", "new", "x", "--depends-on", "zzzz"], 3, "not-found", "there is no issue 'zzzz'"),
    (["issue", "new", "x", "--body", "@missing"], 2, "usage", "cannot read missing"),
    (["issue", "show", "zzzz"], 3, "not-found", "there is no issue 'zzzz'"),
    (["issue", "show", "\udcff"], 3, "not-found", "there is no issue"),
    (["issue", "show", ""], 3, "not-found", "there is no issue ''"),
    (["issue", "edit", "ID"], 2, "usage", "nothing to change"),
    (["issue", "edit", "ID", "--title", ""], 2, "usage", "the title is empty"),
    (["issue", "edit", "zzzz", "--title", "x"], 3, "not-found", "there is no issue"),
    (["issue", "edit", "ID", "--parent", "ID"], 5, "not-allowed", "cannot be its parent"),
    (["issue", "edit", "ID", "--titl", "x"], 2, "usage", "unrecognized arguments"),
    (["issue", "close", "ID", "--as", "landed"], 2, "usage", "invalid choice: 'landed'"),
    (["issue", "close", "zzzz"], 3, "not-found", "there is no issue"),
    (["issue", "reopen", "ID"], 5, "not-allowed", "is open already"),
    (["issue", "comment", "ID", ""], 2, "usage", "the comment is empty"),
    (["issue", "comment", "ID"], 2, "usage", "text"),
    (["issue", "comment", "ID", "@nobody hello"], 2, "usage", "cannot read nobody hello"),
    (["issue", "dep", "add", "ID", "ID"], 5, "not-allowed", "cannot depend on itself"),
    (["issue", "dep", "add", "ID", "zzzz"], 3, "not-found", "there is no issue"),
    (["issue", "dep", "add", "ID", "ID", "--kind", "waits"], 2, "usage", "invalid choice: 'waits'"),
    (["issue", "dep", "list", "zzzz"], 3, "not-found", "there is no issue"),
    (["issue", "list", "--limit", "-1"], 2, "usage", "'-1' is not a number of 0 (all) or more"),
    (["issue", "list", "--limit", "99999999999999999999"], 2, "usage", "is not a number"),
    (["issue", "list", "--status", "done"], 2, "usage", "invalid choice: 'done'"),
    (["issue", "list", "--parent", "zzzz"], 3, "not-found", "there is no issue"),
    (["ready", "--limit", "-3"], 2, "usage", "'-3' is not a number"),
    (["logs", "--limit", "x"], 2, "usage", "'x' is not a number"),
    (["logs", "zzzz"], 3, "not-found", "there is no issue"),
    (["logs", "a-zzzz"], 3, "not-found", "there is no attempt"),
    (["claim"], 2, "usage", "either an issue or --next"),
    (["claim", "ID", "--next"], 2, "usage", "either an issue or --next"),
    (["claim", "zzzz"], 3, "not-found", "there is no issue"),
    (["claim", "ID", "--lease", "nan"], 2, "usage", "--lease should be a number of seconds"),
    (["claim", "ID", "--lease", "inf"], 2, "usage", "--lease should be a number of seconds"),
    (["claim", "ID", "--lease", "0"], 2, "usage", "--lease should be a number of seconds"),
    (["claim", "ID", "--lease", "-5"], 2, "usage", "--lease should be a number of seconds"),
    (["claim", "ID", "--lease", "long"], 2, "usage", "invalid float value"),
    (["release", "ID"], 5, "not-allowed", "is not claimed"),
    (["gate"], 2, "usage", "COMMAND"),
    (["gate", "run"], 2, "usage", "has no tapeout.toml"),
    (["gate", "prove"], 2, "usage", "has no tapeout.toml"),
    (["gate", "show", "zzzz"], 3, "not-found", "the hub has no commit yet"),
    (["gate", "verify"], 2, "usage", "either a commit, a range A..B, or --all"),
    (["gate", "verify", "zzzz..HEAD"], 3, "not-found", "the hub has no commit yet"),
    (["gate", "verify", "--all"], 3, "not-found", "the hub has no commit yet"),
    (["gate", "export", "zzzz"], 2, "usage", "nothing to write"),
    (["gate", "export", "zzzz", "--sarif", "x"], 3, "not-found", "the hub, nor a gate run"),
    (["queue", "--limit", "-1"], 2, "usage", "'-1' is not a number"),
    (["hub", "--accept", "zzzz"], 3, "not-found", "the hub has no commit yet"),
    (["completion", "fish"], 2, "usage", "invalid choice: 'fish'"),
]


@pytest.mark.parametrize(
    ("words", "code", "name", "says"), FAILURES, ids=[" ".join(words)[:40] or "nothing" for words, *_ in FAILURES]
)
def test_a_failure_has_one_line_an_exit_code_and_an_envelope(
    cli: Cli, words: list[str], code: int, name: str, says: str
) -> None:
    identity = cli.new("one") if "ID" in words else ""
    raw = [os.fsencode(identity if word == "ID" else word) for word in words]
    done = cli(*raw)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("tapeout: ")
    assert done.err.count("\n") == 1
    assert says in done.err
    error = cli(*raw, "--json").error
    assert (error["code"], error["exit"]) == (name, code)
    assert says in error["message"]


def test_a_commit_that_is_not_there_says_where_commits_are_listed(cli: Cli) -> None:
    subprocess.run(["git", "-C", cli.folder, "commit", "-q", "--allow-empty", "-m", "Start"], check=True)
    cli("hub")
    assert "`git log --oneline`" in cli("gate", "run", "zzzz").err
    assert "`tapeout gate verify --all`" in cli("gate", "show", "zzzz").err
    assert "`tapeout gate verify --all`" in cli("gate", "export", "zzzz", "--junit", "x").err


@pytest.mark.parametrize(
    "words", [("gate", "run"), ("gate", "prove"), ("hub",), ("init", "--try", "--agent", "scripted")]
)
def test_a_repository_without_a_commit(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "new"
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / "Makefile").write_text("test:\n\ttrue\n")
    done = cli(*words, cwd=folder)
    assert done.code in {3, 7}
    assert done.err.count("\n") == 1
    assert "has no commit yet (commit something first)" in done.err


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "free some space"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "x"), "XDG_STATE_HOME"),
        (pygit2.GitError(f"could not write: {os.strerror(errno.ENOSPC)}"), "free some space"),
        (EnvironmentProblem(f"cannot create it: {os.strerror(errno.ENOSPC)}"), "free some space"),
    ],
)
def test_a_full_or_read_only_disk_is_no_defect_of_ours(error: Exception, hint: str) -> None:
    readable = readable_error(error)
    assert isinstance(readable, EnvironmentProblem)
    assert hint in str(readable.hint)


def test_an_ambiguous_prefix_lists_the_candidates(cli: Cli) -> None:
    titles = {cli.new(f"issue number {number}"): f"issue number {number}" for number in range(40)}
    firsts = [identity[0] for identity in titles]
    shared = next(first for first in firsts if firsts.count(first) > 1)
    candidates = sorted(identity for identity in titles if identity[0] == shared)
    done = cli("issue", "show", shared)
    assert done.code == 2
    assert f"tapeout: '{shared}' fits several issues: " in done.err
    for identity in candidates[:5]:
        assert f"{identity} ({titles[identity]})" in done.err
    assert "give more characters" in done.err


def test_a_lost_claim_has_its_own_exit_code(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("claim", identity, "--as", "ada").code == 0
    error = cli("claim", identity, "--as", "ben", "--json").error
    assert (error["exit"], error["code"]) == (9, "lost-claim")
    held = cli("issue", "show", identity, "--json").data
    assert error["details"] == {"issue": identity, "owner": "ada", "expires": held["lease_expires"]}
    assert "is held by ada until" in error["message"]
    assert "you hold it already" in cli("claim", identity, "--as", "ada").err
    assert cli("release", identity, "--as", "ben").code == 9
    assert cli("release", identity, "--as", "ben", "--force").code == 0
    assert cli("claim", identity, "--as", "ben", "--json").data["token"] == 3


def test_closing_twice_is_not_allowed(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("issue", "close", identity, "--as", "wontfix").code == 0
    assert cli("issue", "close", identity).code == 5
    assert cli("claim", identity).code == 5


def test_outside_a_repository_nothing_works(cli: Cli, tmp_path: Path) -> None:
    done = cli("issue", "list", cwd=tmp_path)
    assert done.code == 7
    assert f"{tmp_path} is not inside a git repository" in done.err
    assert cli("issue", "list", "--json", cwd=tmp_path).error["code"] == "environment"


def test_a_state_directory_that_cannot_be_made_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = cli("issue", "new", "x", env={"TAPEOUT_HOME": f"{tmp_path}/file"})
    assert done.code == 7
    assert f"{tmp_path}/file" in done.err


def test_a_busy_floor_keeps_the_index(cli: Cli) -> None:
    import fcntl
    import json

    cli.new("one")
    with open(cli.paths.floor_lock, "w") as lock:
        lock.write(json.dumps({"pid": os.getpid(), "host": "h", "started_at": 0.0, "workers": 1, "agent": "x"}))
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cli("doctor", "--rebuild")
    assert (done.code, done.err.count("\n")) == (8, 1)
    assert f"process {os.getpid()}" in done.err


def test_interrupting_ends_with_130(cli: Cli) -> None:
    process = subprocess.Popen(
        [PROGRAM, "logs", "--follow"], cwd=cli.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    identity = cli.new("one")
    assert process.stdout is not None
    while identity.encode() not in process.stdout.readline():
        cli("issue", "comment", identity, "hello")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
