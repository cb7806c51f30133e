"""What the tracker's tests share: looking into the index and the log, and running Python in a process of its own."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

import pygit2

from tapeout.base.paths import StatePaths
from tapeout.tracker import Tracker
from tapeout.tracker.operations import Operation

TABLES = ("operations", "issues", "labels", "dependencies", "comments", "attachments", "attempts", "changes")
FILES = ("", "-wal", "-shm")


def contents(paths: StatePaths) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every folded table, without the sequence numbers, which are the index's own."""
    found = {}
    connection = sqlite3.connect(paths.tracker_db)
    for table in TABLES:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "sequence"]
        names = ", ".join(f'"{column}"' for column in columns)
        found[table] = sorted(connection.execute(f"SELECT {names} FROM {table}"), key=repr)
    connection.close()
    return found


def logged(paths: StatePaths) -> list[str]:
    """Ids of the operations in git, in the order of their commits, oldest first."""
    if not os.path.exists(paths.tracker_git):
        return []
    repository = pygit2.Repository(paths.tracker_git)
    identities = []
    for name in repository.references:
        if name.startswith("refs/tapeout/log/"):
            order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
            for commit in repository.walk(repository.references[name].target, order):
                blob = commit.tree["operations"]
                assert isinstance(blob, pygit2.Blob)
                identities += [line.split('"')[1] for line in blob.data.decode().removesuffix("\n").split("\n")]
    return identities


def receive(tracker: Tracker, operations: Iterable[Operation], now: float = 2e9) -> list[Operation]:
    """Merge operations of other replicas, as a sync does; those that were new."""
    return tracker.merge(list(operations), now).new


def delete_index(paths: StatePaths) -> None:
    """Remove the index and what SQLite keeps beside it."""
    for ending in FILES:
        if os.path.exists(paths.tracker_db + ending):
            os.unlink(paths.tracker_db + ending)


def python(code: str, *arguments: str, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Run code in another process; its output is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def finish(process: "subprocess.Popen[str]") -> str:
    """Wait for the end of a process; what it printed."""
    output, _ = process.communicate(timeout=120)
    return output
