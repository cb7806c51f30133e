"""The commits of a workspace, read from the files of its `.git` without opening it as a repository.

Git and libgit2 would read its configuration, follow its links and believe its `commondir`. We read three
kinds of small file (HEAD, refs, the reflog), and objects through a bare object database whose every object
is hashed again.
"""

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass

import pygit2
from pygit2.enums import ObjectType

from tapeout.workspaces import trees
from tapeout.workspaces.files import only_plain, read_file

_SMALL = 4096
_LARGE = 16 * 1024 * 1024
_MAX_REFS = 1000
_MAX_REFLOG = 2000
_ID = re.compile(rb"[0-9a-f]{40}")
_REF = re.compile(r"refs(/(?!\.)[^/\x00-\x20\x7f~^:?*\[\\]+)+")


class Damaged(Exception):
    """An object is missing, does not match its hash, or is not what it should be."""


@dataclass(frozen=True)
class History:
    """Where the history of a workspace ends."""

    head: str | None
    """Commit that HEAD names; None if it cannot be told: no `.git`, no commit yet."""
    others: tuple[str, ...]
    """Commits that branches, the stash and the reflog name: work that HEAD may not contain."""
    exclude: bytes | None
    """The `info/exclude` file."""


def read_history(code: str) -> History:
    """What the `.git` of a work tree says; never fails, whatever is in there."""
    git = os.path.join(code, ".git")
    try:
        usable = stat.S_ISDIR(os.lstat(git).st_mode)
    except OSError:
        usable = False
    if not usable:
        return History(None, (), None)
    packed = _packed_refs(git)
    loose = _loose_refs(git, os.path.join("refs", "heads"), 8)
    others = [*packed.values(), *loose, _hex(read_file(os.path.join(git, "refs", "stash"), _SMALL))]
    others += _reflog(git)
    exclude = read_file(os.path.join(git, "info", "exclude"), 65536)
    known = tuple(dict.fromkeys(other for other in others if other))
    return History(_head(git, packed), known, exclude)


def _hex(content: bytes | None) -> str | None:
    content = (content or b"").strip()
    return content.decode() if _ID.fullmatch(content) else None


def _head(git: str, packed: dict[str, str]) -> str | None:
    name = "HEAD"
    for _ in range(5):
        content = read_file(os.path.join(git, name), _SMALL)
        if content is None:
            return packed.get(name)
        if not content.startswith(b"ref:"):
            return _hex(content)
        name = os.fsdecode(content[4:].strip())
        if not _REF.fullmatch(name):
            return None
    return None


def _packed_refs(git: str) -> dict[str, str]:
    """Branches and the stash among the packed refs."""
    found = {}
    for line in (read_file(os.path.join(git, "packed-refs"), _LARGE) or b"").splitlines():
        number, _, name = line.partition(b" ")
        if _ID.fullmatch(number) and name.startswith((b"refs/heads/", b"refs/stash")):
            found[os.fsdecode(name)] = number.decode()
    return found


def _loose_refs(git: str, folder: str, depth: int) -> list[str]:
    found: list[str] = []
    path = os.path.join(git, folder)
    if depth == 0 or os.path.islink(path):
        return found
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found += _loose_refs(git, os.path.join(folder, entry.name), depth - 1)
                elif number := _hex(read_file(entry.path, _SMALL)):
                    found.append(number)
                if len(found) >= _MAX_REFS:
                    break
    except OSError:
        pass
    return found


def _reflog(git: str) -> list[str]:
    """Every commit that HEAD and the stash were at, newest first: amended and reset ones too."""
    found: list[str] = []
    for name in ("HEAD", "refs/stash"):
        lines = (read_file(os.path.join(git, "logs", name), _LARGE) or b"").splitlines()
        numbers = [number for line in reversed(lines[-_MAX_REFLOG:]) if (number := _hex(line[41:81]))]
        found += dict.fromkeys(numbers)
    return found


class Source:
    """The objects of a workspace."""

    def __init__(self, code: str) -> None:
        objects = os.path.join(code, ".git", "objects")
        borrowed = any(
            os.path.lexists(os.path.join(objects, "info", name)) for name in ("alternates", "http-alternates")
        )
        # A named pipe among the objects would make libgit2 wait for ever; borrowed objects could come from
        # repositories that the agent itself may not read.
        if borrowed or os.path.islink(os.path.dirname(objects)) or not only_plain(objects, 2):
            raise Damaged("its object database is not of plain files")
        try:
            self._odb = pygit2.Odb(objects)
        except (pygit2.GitError, OSError, KeyError) as error:
            raise Damaged(f"its object database cannot be opened: {error}") from error

    def copy(self, commit: str, hub: pygit2.Repository) -> None:
        """Copy a commit and all that it needs to the hub, what is needed before what needs it.

        So a copy that is interrupted never leaves an object in the hub that misses another.

        Raises:
            Damaged: an object is missing or not valid.
        """
        waiting: list[tuple[str, int, bool]] = [(commit, ObjectType.COMMIT, False)]
        while waiting:
            number, kind, needs_are_there = waiting.pop()
            if not hub.odb.exists(number):  # `number in hub` would parse it
                data = self._read(number, kind)
                if not needs_are_there and kind != ObjectType.BLOB:
                    waiting.append((number, kind, True))
                    waiting.extend((needed, of, False) for needed, of in _needs(kind, data))
                    continue
                hub.write(kind, data)
            if kind == ObjectType.COMMIT:
                _check_commit(hub, number)

    def _read(self, number: str, kind: int) -> bytes:
        try:
            found, data = self._odb.read(number)
        except (KeyError, ValueError, OSError, pygit2.GitError) as error:
            raise Damaged(f"object {number}: {error}") from error
        if found != kind:
            raise Damaged(f"{number} is not of the kind that it is used as")
        return data


def _check_commit(hub: pygit2.Repository, number: str) -> None:
    """One that libgit2 cannot read must not become part of a history: every later walk would fail."""
    try:
        usable = isinstance(hub[number], pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):
        usable = False
    if not usable:
        raise Damaged(f"{number} is no commit")


def _needs(kind: int, data: bytes) -> Iterable[tuple[str, int]]:
    """Objects that a commit or tree names."""
    return _tree_needs(data) if kind == ObjectType.TREE else _commit_needs(data)


def _tree_needs(data: bytes) -> Iterable[tuple[str, int]]:
    try:
        entries = trees.parse_tree(data, strict=True).values()
    except ValueError as error:
        raise Damaged(str(error)) from error
    return [
        (e.id.hex(), ObjectType.TREE if e.mode == trees.FOLDER else ObjectType.BLOB)
        for e in entries
        if e.mode != trees.SUBMODULE
    ]


def _commit_needs(data: bytes) -> Iterable[tuple[str, int]]:
    needs = []
    for line in data.partition(b"\n\n")[0].splitlines():
        word, _, number = line.partition(b" ")
        if word in (b"tree", b"parent") and _ID.fullmatch(number):
            needs.append((number.decode(), ObjectType.TREE if word == b"tree" else ObjectType.COMMIT))
    if not needs or needs[0][1] != ObjectType.TREE:
        raise Damaged("a commit has no tree")
    return needs
