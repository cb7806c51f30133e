"""Clones of a project, each with a tracker of its own, and a remote that they share."""

import subprocess
from pathlib import Path

import pygit2

from tapeout.base.paths import Repository, StatePaths, find_repository
from tapeout.tracker import Tracker, gitlog
from tapeout.tracker.sharing.remote import Remote
from tapeout.tracker.sharing.sync import SyncReport
from tests.tracker.tools import contents


def git(folder: str | Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout


class Clone:
    """A clone of the project with a tracker of its own."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.folder = folder / "project"
        subprocess.run(["git", "init", "-q", "-b", "main", self.folder], check=True)
        git(self.folder, "remote", "add", "origin", str(remote))
        self.paths = StatePaths(str(folder / "state"))
        self.tracker = Tracker.open(self.paths, folder.name)

    @property
    def repository(self) -> Repository:
        return find_repository(str(self.folder))

    def remote(self, name: str = "origin") -> Remote:
        return Remote(self.paths, self.repository, name)

    def sync(self, name: str = "origin", *, repair: bool = False) -> SyncReport:
        return self.tracker.sync(self.remote(name), repair=repair)

    @property
    def titles(self) -> list[str]:
        return sorted(issue.title for issue in self.tracker.issues())

    @property
    def replica(self) -> str:
        return gitlog.replicas(self.paths)[-1]


Clones = tuple[Clone, Clone, Clone]


def everywhere(*clones: Clone) -> None:
    for clone in (*clones, *clones):
        clone.sync()


def assert_same(*clones: Clone) -> None:
    first = contents(clones[0].paths)
    for clone in clones[1:]:
        assert contents(clone.paths) == first


def tip(remote: Path, replica: str) -> str:
    return git(remote, "rev-parse", f"refs/tapeout/log/{replica}").strip()


def forge(remote: Path, replica: str, text: str, *, parent: str | None = None, name: str = "operations") -> str:
    """Put a commit of our own onto a log on the remote."""
    repository = pygit2.Repository(str(remote))
    builder = repository.TreeBuilder()
    builder.insert(name, repository.create_blob(text.encode(errors="surrogateescape")), pygit2.enums.FileMode.BLOB)
    who = pygit2.Signature("eve", "eve@localhost")
    parents = [parent] if parent else []
    commit = repository.create_commit(None, who, who, "forged", builder.write(), parents)
    repository.references.create(f"refs/tapeout/log/{replica}", commit, force=True)
    return str(commit)
