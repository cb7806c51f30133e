"""The commit that is gated: a merge of main and a change, made in memory. Main will be exactly this commit."""

from dataclasses import dataclass
from typing import Any

import pygit2

from tapeout.base.errors import NotFound
from tapeout.base.git import signature
from tapeout.gate.environment import unavailable
from tapeout.gate.harmless import harmless
from tapeout.tracker.model import Change, Issue

CHANGE_TRAILER = "Tapeout-Change"
"""Names in the message of a merge whose it is."""

_SUBJECT_CHARS = 120
_PATHS = 50


@dataclass(frozen=True)
class Candidate:
    """A merge commit: first parent main, second parent the change."""

    commit: str
    base: str
    tree: str


@dataclass(frozen=True)
class MergeConflict:
    """Main and the change both changed these paths."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """No candidate can be made of this change, for this reason."""

    reason: str


def candidate_message(issue: Issue, change: Change) -> str:
    """Commit message of the merge: what it is about, and trailers that lead back to the tracker."""
    return (
        f"{harmless(issue.title, _SUBJECT_CHARS)} (#{issue.id})\n\n"
        f"Tapeout-Issue: {issue.id}\n"
        f"Tapeout-Attempt: {change.attempt}\n"
        f"{CHANGE_TRAILER}: {change.id}\n"
    )


def make_candidate(
    repository: pygit2.Repository, main: str, change: str, message: str
) -> Candidate | MergeConflict | Refused:
    """Merge the commit `change` into the commit `main`. No ref moves and no file is written but objects.

    Raises:
        NotFound: one of the commits is not in the repository.
        GateUnavailable: it cannot be written.
    """
    base, head = (_commit(repository, name) for name in (main, change))
    if repository.merge_base(base.id, head.id) is None:
        return Refused("its history is unrelated to the target branch")
    try:
        index = repository.merge_commits(base, head)
        if paths := conflicting(index):
            return MergeConflict(paths)
        tree = index.write_tree(repository)
    except pygit2.GitError as error:
        if problem := unavailable("merge", error):
            raise problem from error
        return Refused(f"it cannot be merged: {error}")
    if tree == base.tree_id:
        return Refused("no change: the target branch has all of it already")
    author = signature()
    commit = repository.create_commit(None, author, author, message, tree, [base.id, head.id])
    return Candidate(str(commit), str(base.id), str(tree))


def _commit(repository: pygit2.Repository, name: str) -> pygit2.Commit:
    try:
        return repository[name].peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise NotFound(f"commit {name[:40]!r} is not in the hub") from error


def conflicting(index: pygit2.Index) -> tuple[str, ...]:
    """Paths of an index that both sides changed, as far as they are listed."""
    conflicts: Any = index.conflicts or ()
    paths = {str(entry.path) for sides in conflicts for entry in sides if entry is not None}
    return tuple(sorted(paths)[:_PATHS])
