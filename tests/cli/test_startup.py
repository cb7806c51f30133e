"""What starting a command costs: nothing heavy is imported, and nothing is left running."""

import fcntl
import os
import sys

import psutil
import pytest

from tests.cli.conftest import PROGRAM, Cli
from tests.tracker.tools import logged

HEAVY = (
    "pygit2", "pydantic", "rich", "asyncio", "anyio", "dataclasses", "pathlib", "acp", "yaml", "psutil", "shutil",
    "subprocess", "threading", "tempfile", "inspect", "signal", "shtab", "argparse", "typing", "re", "json", "enum",
    "datetime", "sqlite3", "importlib", "hashlib", "locale",
)  # fmt: skip

QUERIES = ("issue list one label:x", "search one", "stale", "issue list --jsonl")
"""Commands that need the query language, whose grammar is a regular expression."""

TEXTS = "digest"
"""It counts tokens, which regular expressions tell apart."""


def imported(cli: Cli, *program: str) -> set[str]:
    """The modules that a Python program imports, the interpreter's own start included."""
    done = cli(program=(sys.executable, "-X", "importtime", *program))
    assert done.code == 0
    return {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize(
    "words",
    [
        "issue new x --body y --label z", "issue list", "issue list --limit 0 --json", "issue show ID", "ready",
        "claim ID", "issue edit ID --title x", "issue comment ID hello", "issue dep add ID OTHER",
        "issue close ID --json", "release ID", "logs", "blocked", "graph", "stats", "issue epics", *QUERIES,
        TEXTS,
    ],
)  # fmt: skip
def test_a_tracker_command_imports_nothing_heavy(cli: Cli, words: str) -> None:
    names = {"ID": cli.new("one"), "OTHER": cli.new("two")}
    if words.startswith("release"):
        cli("claim", names["ID"])
    given = [names.get(word, word) for word in words.split()]
    found = imported(cli, PROGRAM, *given) - imported(cli, "-c", "pass")
    assert "tapeout.tracker" in found
    assert sorted(found.intersection(HEAVY) - ({"re", "enum"} if words in (*QUERIES, TEXTS) else set())) == []


@pytest.mark.parametrize("words", ["workers", "questions", "failures", "context", "prime"])
def test_what_is_asked_while_workers_run_needs_no_configuration(cli: Cli, words: str) -> None:
    heavy = {"pydantic", "pygit2", "asyncio", "anyio", "acp", "rich", "tapeout.config"}
    assert sorted(imported(cli, PROGRAM, words) & heavy) == []


def test_the_version_is_told_without_the_tracker(cli: Cli) -> None:
    assert not [name for name in imported(cli, PROGRAM, "--version") if name.startswith("tapeout.tracker")]


def wait_for_flush(cli: Cli) -> None:
    """Until whoever flushes has ended: he holds the lock."""
    while True:
        with open(os.path.join(cli.paths.root, "flush.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not flushers(cli):
            return


def flushers(cli: Cli) -> list[psutil.Process]:
    """Processes that a command of this test left running."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("TAPEOUT_HOME") == os.environ["TAPEOUT_HOME"]
            if mine and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_what_a_command_wrote_is_in_git_soon_after_and_nothing_runs_on(cli: Cli) -> None:
    for number in range(5):
        cli.new(f"{number}")
    wait_for_flush(cli)
    assert len(logged(cli.paths)) == 5
    assert cli("doctor", "--json").data["unflushed"] is False


def test_the_flusher_holds_on_to_nothing_of_its_command(cli: Cli) -> None:
    """Whoever reads the output of a command, or waits for a pipe that it inherited, does not wait for the flush."""
    reader, writer = os.pipe()
    cli.new("one", pass_fds=(writer,))
    os.close(writer)
    for process in flushers(cli):
        try:
            assert process.cwd() == "/"
            assert [file.path for file in process.open_files() if "flush.lock" not in file.path] == []
        except psutil.Error:
            continue
    assert os.read(reader, 1) == b""
    os.close(reader)
    wait_for_flush(cli)


def test_the_flusher_is_nobodys_child(cli: Cli) -> None:
    """A program that starts a command and waits for it alone never has to reap anything else."""
    code = """
import sys
from tapeout.cli import main
import os
main(["issue", "new", "one"])
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no children")
"""
    done = cli(program=(sys.executable, "-c", code))
    assert done.out.splitlines()[-1] == "no children"
    wait_for_flush(cli)


def test_a_command_that_writes_nothing_starts_nothing(cli: Cli) -> None:
    cli("issue", "list")
    cli("claim", "zzzz")
    assert not os.path.exists(os.path.join(cli.paths.root, "flush.lock"))
    assert flushers(cli) == []


def test_an_error_while_flushing_is_not_the_commands(cli: Cli) -> None:
    cli("issue", "list")
    os.mkdir(os.path.join(cli.paths.root, "flush.lock"))
    identity = cli.new("one")
    os.rmdir(os.path.join(cli.paths.root, "flush.lock"))
    assert cli("doctor", "--json").data["unflushed"] is False
    assert [name.endswith(".1") for name in logged(cli.paths)] == [True]
    assert cli("issue", "show", identity).code == 0
