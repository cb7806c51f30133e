"""What a change does, as far as the built-in checks look at it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pygit2

from tapeout.base.git import message_of

LARGEST_TEXT = 5_000_000
"""Bytes of a file whose lines are looked at. A larger one holds data, and a check of sizes tells of it."""

MOST_COMMITS = 1_000


@dataclass(frozen=True)
class ChangedFile:
    """One file of the change, as it is afterwards."""

    path: str
    before: str
    """Its path before; empty if it is new."""
    size: int
    """Bytes; 0 if it is gone."""
    removed: bool
    added: tuple[tuple[int, str], ...]
    """Line numbers, from 1, and text of the lines that it adds; none of a file that is no text."""


@dataclass(frozen=True)
class Commit:
    """One commit of the change."""

    id: str
    message: str


@dataclass(frozen=True)
class Change:
    """What lies between the target branch and the candidate."""

    files: tuple[ChangedFile, ...]
    commits: tuple[Commit, ...] = ()
    scope: tuple[str, ...] = ()
    """Globs of the paths that the issue declares; none if it declares nothing."""
    others: Callable[[], Iterator[tuple[str, str]]] = lambda: iter(())
    """Path and text of all files afterwards, read when somebody asks."""
    steps: Callable[[], Iterator[ChangedFile]] = lambda: iter(())
    """What each commit does to files, read when somebody asks: a later one may take back what an earlier one did."""


def read_change(repository: pygit2.Repository, base: str, candidate: str, scope: tuple[str, ...] = ()) -> Change:
    """The change between two commits.

    Args:
        repository: has both.
        base: commit of the target branch.
        candidate: the merge of it and the submitted commit, or that commit itself.
        scope: what the issue declares.
    """
    before, after = (repository[commit].peel(pygit2.Commit) for commit in (base, candidate))
    commits = list(_commits(repository, before, after))
    return Change(
        tuple(_files(repository, before.tree, after.tree)),
        tuple(Commit(str(commit.id), message_of(commit)) for commit in commits),
        scope,
        lambda: _texts(repository, after.tree),
        lambda: (file for commit in commits for file in _step(repository, commit)),
    )


def _files(repository: pygit2.Repository, before: pygit2.Tree, after: pygit2.Tree) -> Iterator[ChangedFile]:
    diff = before.diff_to_tree(after, context_lines=0)
    diff.find_similar()
    return (_file(repository, patch) for patch in diff if patch is not None)


def _step(repository: pygit2.Repository, commit: pygit2.Commit) -> Iterator[ChangedFile]:
    """What one commit does; nothing for a merge, which brings in what others did."""
    if len(commit.parents) != 1:
        return iter(())
    return _files(repository, commit.parents[0].tree, commit.tree)


def _file(repository: pygit2.Repository, patch: pygit2.Patch) -> ChangedFile:
    delta = patch.delta
    gone = delta.status == pygit2.enums.DeltaStatus.DELETED
    new = delta.status == pygit2.enums.DeltaStatus.ADDED
    small = not delta.is_binary and delta.new_file.size <= LARGEST_TEXT
    return ChangedFile(
        path=delta.new_file.path,
        before="" if new else delta.old_file.path,
        size=0 if gone else _size(repository, delta.new_file),
        removed=gone,
        added=tuple(_added(patch)) if small and not gone else (),
    )


def _size(repository: pygit2.Repository, file: pygit2.DiffFile) -> int:
    blob = repository.get(file.id)
    return blob.size if isinstance(blob, pygit2.Blob) else 0


def _added(patch: pygit2.Patch) -> Iterator[tuple[int, str]]:
    for hunk in patch.hunks:
        for line in hunk.lines:
            if line.origin == "+":
                yield line.new_lineno, line.raw_content.decode(errors="replace").rstrip("\r\n")


def _commits(repository: pygit2.Repository, base: pygit2.Commit, candidate: pygit2.Commit) -> Iterator[pygit2.Commit]:
    """What the change adds to history. The candidate's own merge commit is ours."""
    walker = repository.walk(candidate.id, pygit2.enums.SortMode.TOPOLOGICAL)
    walker.hide(base.id)
    for number, commit in enumerate(walker):
        if number >= MOST_COMMITS:
            return
        if commit.id != candidate.id or len(commit.parents) < 2:
            yield commit


def _texts(repository: pygit2.Repository, tree: pygit2.Tree) -> Iterator[tuple[str, str]]:
    index = pygit2.Index()
    index.read_tree(tree)
    for entry in index:
        blob = repository.get(entry.id)
        if isinstance(blob, pygit2.Blob) and blob.size <= LARGEST_TEXT and not blob.is_binary:
            yield entry.path, blob.data.decode(errors="replace")
