"""A user's repository with a hub and a tracker, and changes submitted to it: all real."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygit2

from tapeout.base.git import open_bare, resolve, signature
from tapeout.base.paths import Repository, StatePaths
from tapeout.gate import prepare_hub, run_queue
from tapeout.gate.evidence import read_evidence
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import Change

CONFIG = """
[[check]]
name = "unit"
kind = "test"
run = "test -f bad.txt && { echo 'bad.txt:1: error: bad'; exit 1; }; echo 3 passed"
"""

ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path | str, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENV, check=False, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.strip()


def make_repository(root: Path, files: Mapping[str, str | None]) -> Repository:
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    commit_files(root, files)
    return Repository(str(root), str(root / ".git"))


def commit_files(root: Path, files: Mapping[str, str | None], message: str = "work") -> str:
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def commit_tree(
    repository: pygit2.Repository, parents: list[str], files: Mapping[str, str | None], message: str = "work"
) -> str:
    """A commit made without any work tree: the first parent's files with some changed or (None) removed."""
    index = pygit2.Index()
    if parents:
        index.read_tree(repository[parents[0]].peel(pygit2.Tree))
    for path, text in files.items():
        if text is None:
            index.remove(path)
        else:
            index.add(pygit2.IndexEntry(path, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))
    author = signature("agent")
    tree = index.write_tree(repository)
    made = repository.create_commit(None, author, author, message, tree, [pygit2.Oid(hex=p) for p in parents])
    return str(made)


class Site:
    """Everything of one repository."""

    def __init__(self, folder: Path, config: str = CONFIG, files: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.root = folder / "user"
        self.repository = make_repository(self.root, {"tapeout.toml": config, "README.md": "hello\n", **(files or {})})
        self.paths = StatePaths(str(folder / "state"))
        self.main_at_start = prepare_hub(self.paths, self.repository, "main")
        self.tracker = Tracker.open(self.paths, "test")

    @property
    def hub(self) -> pygit2.Repository:
        return open_bare(self.paths.hub)

    @property
    def main(self) -> str:
        commit = resolve(self.hub, "refs/heads/main")
        assert commit
        return commit

    def submit(
        self, files: Mapping[str, str | None], *, base: str | None = None, title: str = "Do it", priority: int = 2
    ) -> Change:
        base = base or self.main
        return self.submit_commit(commit_tree(self.hub, [base], files), base, title=title, priority=priority)

    def submit_commit(self, commit: str, base: str, *, title: str = "Do it", priority: int = 2) -> Change:
        issue = self.tracker.create(Draft(title, priority=priority))
        attempt = f"{issue.id}-1"
        lease = self.tracker.claim(issue.id, owner=attempt)
        self.tracker.start_attempt(lease, attempt, agent="scripted", host="here", pid=1, pid_started=0.0)
        return self.tracker.submit(lease, attempt, commit=commit, base=base)

    def run(self) -> None:
        run_queue(self.paths, self.repository)

    def state(self, change: Change) -> str:
        return self.tracker.change(change.id).state

    def verdict(self, change: Change) -> dict[str, Any]:
        verdict = self.tracker.change(change.id).verdict
        assert verdict is not None
        return verdict

    def merges_of(self, change: Change) -> list[str]:
        """Commits of main that say they are this change's merge."""
        found = git(self.paths.hub, "log", "--format=%H", f"--grep=Tapeout-Change: {change.id}", "main")
        return found.split()

    def evidence(self, commit: str) -> dict[str, Any] | None:
        return read_evidence(self.hub, commit)

    def kinds(self) -> list[str]:
        """Kinds of the free events that the gate recorded."""
        return [str(event.data.get("what", event.kind)) for event in self.events()]

    def events(self) -> list[Any]:
        return [event for event in self.tracker.events() if event.kind == "noted"]

    def assert_main_is_validated(self, *, settled: bool = True) -> None:
        """Main is a commit whose exact tree passed on a base that was main; so was that base, and so on down.

        Args:
            settled: that merges which landed together with a later one have their notes too; not so right after a kill.
        """
        hub, commit = self.hub, self.main
        while commit != self.main_at_start:
            found = hub[commit].peel(pygit2.Commit)
            evidence = self.evidence(commit)
            assert evidence is not None, f"{commit} is on main without evidence"
            assert evidence["passed"] is True
            assert (evidence["candidate"], evidence["tree"]) == (commit, str(found.tree_id))
            changes = [evidence["change"]]
            while str(found.parent_ids[0]) != evidence["base"]:  # several changes landed in one move
                found = hub[found.parent_ids[0]].peel(pygit2.Commit)
                below = self.evidence(str(found.id))
                if below is None and not settled:
                    continue
                assert below is not None, f"{found.id} is on main without evidence"
                if below["candidate"] == str(found.id):  # it landed by itself, and the rest of the stack after it
                    break
                assert len(found.parent_ids) == 2
                assert below["candidate"] == commit
                changes.append(below["change"])
            else:
                found = hub[found.parent_ids[0]].peel(pygit2.Commit)
            assert set(changes) <= set(evidence["combination"])
            commit = str(found.id)

    def close(self) -> None:
        self.tracker.close()
