"""What is judged: a commit, the commit of the target branch that it stands on, and what lies between them in git."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pygit2

LARGEST_SOURCE = 2_000_000
"""Bytes. Of a larger file no line is looked at."""

_ANCESTORS = 200


@dataclass(frozen=True)
class Piece:
    """One change of those that are judged together, as the checks see it that look at changes and not at files."""

    base: str
    """Commit that it was merged onto: the target branch, or the changes below it."""
    commit: str
    """That merge."""
    scope: tuple[str, ...] = ()
    """Globs of the paths that its issue declares; none if it declares nothing."""


@dataclass(frozen=True)
class Subject:
    """What is judged, and by what."""

    source: str
    """Git directory that has the commits."""
    commit: str
    base: str
    """Commit of the target branch whose configuration this is."""
    branch: str
    issue: str = ""
    """Whose change it is, of several all with spaces between; empty if a person asked about a commit."""
    pieces: tuple[Piece, ...] = ()
    """The changes that it is made of, the lowest first; empty for all that lies between the base and the commit."""

    @property
    def changes(self) -> tuple[Piece, ...]:
        """The changes, at least one."""
        return self.pieces or (Piece(self.base, self.commit),)


class Trees:
    """What git knows about a subject, looked up when it is asked for."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._lines: dict[tuple[str, str], Sequence[str]] = {}

    @cached_property
    def _repository(self) -> pygit2.Repository:
        return pygit2.Repository(self._subject.source)

    def _commit(self, name: str) -> pygit2.Commit:
        return self._repository[name].peel(pygit2.Commit)

    @cached_property
    def tree(self) -> str:
        """Id of the tree that is judged."""
        return str(self._commit(self._subject.commit).tree_id)

    @cached_property
    def base_tree(self) -> str:
        """Id of the base's tree."""
        return str(self._commit(self._subject.base).tree_id)

    @cached_property
    def landed(self) -> tuple[str, ...]:
        """Trees of the target branch, the newest first, as far back as it matters."""
        found: list[str] = []
        commit: pygit2.Commit | None = self._commit(self._subject.base)
        while commit is not None and len(found) < _ANCESTORS:
            found.append(str(commit.tree_id))
            parent = commit.parent_ids[0] if commit.parent_ids else None
            commit = self._commit(str(parent)) if parent is not None and parent in self._repository else None
        return tuple(found)

    @cached_property
    def _deltas(self) -> list[pygit2.DiffDelta]:
        base, commit = self._commit(self._subject.base).tree, self._commit(self._subject.commit).tree
        difference = base.diff_to_tree(commit)
        difference.find_similar(flags=pygit2.enums.DiffFind.FIND_RENAMES, rename_limit=400)
        return list(difference.deltas)

    @cached_property
    def touched(self) -> frozenset[str]:
        """Files that differ from the base, under old and new names."""
        return frozenset(file.path for delta in self._deltas for file in (delta.old_file, delta.new_file))

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """New path to old path, of files that moved."""
        moved = (delta for delta in self._deltas if delta.status == pygit2.enums.DeltaStatus.RENAMED)
        return {delta.new_file.path: delta.old_file.path for delta in moved}

    def lines(self, commit: str, path: str) -> Sequence[str]:
        """The lines of a file as committed; none if there is no such file, or it is huge."""
        key = (commit, path)
        if key not in self._lines:
            self._lines[key] = self._read(commit, path)
        return self._lines[key]

    def _read(self, commit: str, path: str) -> Sequence[str]:
        try:
            found = self._commit(commit).tree[path]
        except (KeyError, ValueError):
            return ()
        if not isinstance(found, pygit2.Blob) or found.size > LARGEST_SOURCE:
            return ()
        return found.data.decode(errors="replace").split("\n")
