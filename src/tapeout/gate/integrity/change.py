"""A change as the rules see it: the files that differ between two trees, and a way to look around in both.

Reading is all that happens here; the rules are functions of what was read.
"""

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import pygit2
from pygit2.enums import DiffFlag, FileMode, ObjectType

LARGEST_FILE = 2_000_000
"""Bytes. A larger file holds data, no code that anybody wrote."""

REGULAR = frozenset({int(FileMode.BLOB), int(FileMode.BLOB_EXECUTABLE)})
LINK = int(FileMode.LINK)
SUBMODULE = int(FileMode.COMMIT)


class Side(NamedTuple):
    """A file in one of the two trees."""

    mode: int
    text: str | None
    """Its text, or the target of a link; None for what is binary, huge or a submodule."""

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file."""
        return self.mode in REGULAR


class FileChange(NamedTuple):
    """A path that differs."""

    path: str
    before: Side | None
    """None: the change adds it."""
    after: Side | None
    """None: the change removes it."""

    @property
    def old(self) -> str:
        """Text of the ordinary file before; empty if there was none."""
        return (self.before.text or "") if self.before and self.before.is_file else ""

    @property
    def new(self) -> str:
        """Text of the ordinary file after; empty if there is none."""
        return (self.after.text or "") if self.after and self.after.is_file else ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """`.py` of `a.PY`."""
        return os.path.splitext(self.path)[1].lower()


class Tree(Protocol):
    """All of one side."""

    def entries(self, folder: str) -> Mapping[str, int]:
        """Names in a folder and their modes; none if there is no such folder. The top is ''."""

    def text(self, path: str) -> str | None:
        """Text of a file or target of a link; None if there is none."""


class Change(NamedTuple):
    """What a change does to the tree of the target branch."""

    files: tuple[FileChange, ...]
    base: Tree
    candidate: Tree


class _GitTree:
    """One side, in git."""

    def __init__(self, repository: pygit2.Repository, tree: pygit2.Tree) -> None:
        self._repository = repository
        self._folders: dict[str, pygit2.Tree | None] = {"": tree}
        self._entries: dict[str, dict[str, int]] = {}

    def entries(self, folder: str) -> Mapping[str, int]:
        if folder not in self._entries:
            tree = self._folder(folder)
            found = tree or ()
            self._entries[folder] = {os.fsdecode(one.raw_name or b""): int(one.filemode) for one in found}
        return self._entries[folder]

    def _folder(self, folder: str) -> pygit2.Tree | None:
        if folder not in self._folders:
            above, _, name = folder.rpartition("/")
            self._folders[folder] = self._child(self._folder(above), name)
        return self._folders[folder]

    @staticmethod
    def _child(tree: pygit2.Tree | None, name: str) -> pygit2.Tree | None:
        wanted = os.fsencode(name)
        found = next((one for one in tree or () if one.raw_name == wanted), None)
        return found if isinstance(found, pygit2.Tree) else None

    def text(self, path: str) -> str | None:
        folder, _, name = path.rpartition("/")
        wanted = os.fsencode(name)
        found = next((one for one in self._folder(folder) or () if one.raw_name == wanted), None)
        return _text(found) if isinstance(found, pygit2.Blob) else None


def read_change(repository: pygit2.Repository, base: str, candidate: str) -> Change:
    """The change between two commits."""
    trees = [repository[commit].peel(pygit2.Commit).tree for commit in (base, candidate)]
    files = tuple(_files(repository, trees[0].diff_to_tree(trees[1])))
    return Change(files, _GitTree(repository, trees[0]), _GitTree(repository, trees[1]))


def _files(repository: pygit2.Repository, diff: pygit2.Diff) -> Iterator[FileChange]:
    for delta in diff.deltas:
        before, after = _side(repository, delta.old_file), _side(repository, delta.new_file)
        yield FileChange(os.fsdecode(delta.new_file.raw_path), before, after)


def _side(repository: pygit2.Repository, file: pygit2.DiffFile) -> Side | None:
    if not file.flags & DiffFlag.EXISTS:
        return None
    mode = int(file.mode)
    blob = repository.get(file.id) if mode != SUBMODULE else None
    return Side(mode, _text(blob) if isinstance(blob, pygit2.Blob) else None)


def _text(blob: pygit2.Blob) -> str | None:
    if blob.type != ObjectType.BLOB or blob.size > LARGEST_FILE:
        return None
    content = blob.data
    return None if b"\0" in content[:8000] else content.decode(errors="replace")
