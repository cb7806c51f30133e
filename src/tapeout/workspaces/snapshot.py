"""The work tree of a workspace as a git tree, made without git ever looking at the workspace.

Its `.git` is not opened: not its configuration, not its index, no filter, no hook, no file system monitor.
Files are read by us, through descriptors that follow no link; what `.gitignore` means is asked of libgit2
in a scratch folder of ours that holds nothing but copies of the `.gitignore` files.

Files that were committed before are part of the tree whether ignored or not; others only if not ignored.
Line ends are normalised as the committed `.gitattributes` ask. Nested repositories become plain folders, so
that what an agent cloned or made there is not lost, even where it committed a link to one: only what
`.gitmodules` declares stays a submodule. What cannot be read, is no file or link, or is larger
than `MAX_FILE` is left as it was committed, and noted.
"""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pygit2
from pygit2.enums import AttrCheck

from tapeout.workspaces import layers, trees
from tapeout.workspaces.files import open_folder, read_file
from tapeout.workspaces.trees import FILE, FOLDER, LINK, PROGRAM, SUBMODULE, Entry, IndexEntry, Stat

MAX_FILE = 100 * 1024 * 1024
"""Largest file, in bytes, that a snapshot takes."""

MAX_DEPTH = 150
"""Deepest folder that a snapshot looks into."""

_MAX_RULES = 1024 * 1024
_RULES = b".gitignore"
_MODULES = b".gitmodules"
_MODULE_PATH = re.compile(rb'^[ \t]*path[ \t]*=[ \t]*"?([^"\r\n]*?)"?[ \t\r]*$', re.MULTILINE | re.IGNORECASE)


Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Place:
    """A folder of the work tree: what was written there, over what shows through from the layer below."""

    descriptor: int | None
    """None where nothing was written: all that is there is of the layer below."""
    below: Mapping[bytes, Entry]

    def status(self, name: bytes) -> os.stat_result | None:
        """Of what was written under a name."""
        if self.descriptor is None:
            return None
        try:
            return os.lstat(name, dir_fd=self.descriptor)
        except OSError:
            return None


@dataclass(frozen=True)
class Snapshot:
    """What the work tree held."""

    tree: bytes
    """Id of the tree, 20 bytes; it is in the hub."""
    skipped: tuple[str, ...]
    """Paths that could not be taken, each with the reason."""
    files: int
    """How many files the tree has."""


class IgnoreRules:
    """Answers what is ignored, in a scratch folder that holds only the rules; made when first asked."""

    def __init__(self, scratch: str, exclude: bytes | None) -> None:
        self._folder = os.fsencode(os.path.join(scratch, "rules"))
        self._learned = [(os.path.join(b".git", b"info", b"exclude"), exclude)] if exclude else []
        self._repository: pygit2.Repository | None = None

    def learn(self, folder: bytes, rules: bytes) -> None:
        """Take the `.gitignore` of a folder (path relative to the root, empty for the root)."""
        self._learned.append((os.path.join(folder, _RULES), rules))

    def ignores(self, path: bytes, is_folder: bool) -> bool:
        """Whether a path, relative to the root, is ignored."""
        repository = self._ready()
        text = path.decode(errors="replace")
        try:
            return repository.path_is_ignored(text + "/" if is_folder else text)
        except (pygit2.GitError, OSError, ValueError):
            return False

    def _ready(self) -> pygit2.Repository:
        for name, content in self._learned:
            target = os.path.join(self._folder, name)
            with contextlib.suppress(OSError):  # longer than any path can be: then all below it is taken
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(_with_something_to_negate(content))
        self._learned.clear()
        if self._repository is None:
            self._repository = _smallest_repository(os.fsdecode(self._folder))
        return self._repository


def _with_something_to_negate(rules: bytes) -> bytes:
    """The same rules, for libgit2, which drops a `!pattern` that negates nothing in its own file, where git
    lets it overrule the files of the folders above."""
    lines = []
    for line in rules.split(b"\n"):
        if line.startswith(b"!"):
            pattern = b"\\" + line[1:] if line.startswith((b"!#", b"!!")) else line[1:]
            lines += [pattern, b"!" + pattern]
        else:
            lines.append(line)
    return b"\n".join(lines)


def _smallest_repository(folder: str) -> pygit2.Repository:
    git = os.path.join(folder, ".git")
    for name in ("objects", "refs"):
        os.makedirs(os.path.join(git, name))
    with open(os.path.join(git, "HEAD"), "w", encoding="utf-8") as file:
        file.write("ref: refs/heads/none\n")
    return pygit2.Repository(folder, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)


@dataclass
class Taker:
    """Takes a snapshot: walks the work tree beside the committed tree and writes what differs to the hub."""

    hub: pygit2.Repository
    rules: IgnoreRules
    index: Mapping[bytes, IndexEntry] = field(default_factory=dict)
    """Files as they were when the workspace was made."""
    index_time: int = 0
    """When that index was written, nanoseconds: a file changed at or after it may look untouched."""
    commit: str | None = None
    """Whose `.gitattributes` count."""
    max_file: int = MAX_FILE
    """Bytes."""
    layer: bytes | None = None
    """The tree that shows through where the work tree holds nothing: 20 bytes; None if it holds all there is."""

    def __post_init__(self) -> None:
        self._there = self.hub.odb
        self._skipped: list[str] = []
        self._files = 0
        self._modules: frozenset[bytes] = frozenset()

    def take(self, code: str, committed: bytes | None) -> Snapshot | None:
        """The snapshot of `code` over the tree `committed`; None if `code` is no folder."""
        descriptor = open_folder(code)
        if descriptor is None:
            return None
        place = Place(descriptor, self._tree(self.layer))
        declared = self._read(place, _MODULES) or b""
        self._modules = frozenset(path.rstrip(b"/") for path in _MODULE_PATH.findall(declared))
        entry = self._folder(place, b"", committed, ignored=False, depth=0)
        tree = entry.id if entry else self._write_tree({})
        return Snapshot(tree, tuple(self._skipped), self._files)

    def _folder(self, place: Place, path: bytes, committed: bytes | None, *, ignored: bool, depth: int) -> Entry | None:
        """The tree entry of a folder, None if empty; closes its descriptor."""
        try:
            old = self._tree(committed)
            names = self._names(place, path)
            if names is None:
                return Entry(FOLDER, committed) if committed else None
            rules = self._read(place, _RULES) if _RULES in names else None
            if rules is not None:
                self.rules.learn(path, rules)
            new = {}
            for name in names:
                entry = self._entry(place, path, name, old.get(name), ignored=ignored, depth=depth)
                if entry is not None:
                    new[name] = entry
        finally:
            if place.descriptor is not None:
                os.close(place.descriptor)
        if new == old and committed:
            return Entry(FOLDER, committed)
        return Entry(FOLDER, self._write_tree(new)) if new else None

    def _tree(self, number: bytes | None) -> dict[bytes, Entry]:
        return trees.parse_tree(self.hub.read(pygit2.Oid(raw=number))[1]) if number else {}

    def _names(self, place: Place, path: bytes) -> list[bytes] | None:
        try:
            written = os.listdir(place.descriptor) if place.descriptor is not None else []
            return list(dict.fromkeys([*(os.fsencode(name) for name in written), *place.below]))
        except OSError as error:
            return self._skip(path, error.strerror, None)

    def _read(self, place: Place, name: bytes) -> bytes | None:
        """A small file of a folder."""
        if place.status(name) is not None:
            return read_file(name, _MAX_RULES, place.descriptor)
        below = place.below.get(name)
        return self._old_content(below) if below is not None and below.mode != SUBMODULE else None

    def _entry(
        self, place: Place, path: bytes, name: bytes, old: Entry | None, *, ignored: bool, depth: int
    ) -> Entry | None:
        """The tree entry of one name in a folder; None if it is ignored, gone, or nothing that git keeps."""
        if not trees.is_safe_name(name):
            return None
        where = os.path.join(path, name)
        found, below = place.status(name), place.below.get(name)
        if found is None and below is not None:
            return self._untouched_entry(where, below, old, ignored, depth)
        if found is None or (self.layer is not None and layers.is_whiteout(found)):
            return None
        return self._written_entry(place, where, name, found, old, ignored, depth)

    def _written_entry(
        self,
        place: Place,
        where: bytes,
        name: bytes,
        found: os.stat_result,
        old: Entry | None,
        ignored: bool,
        depth: int,
    ) -> Entry | None:
        """The tree entry of what is there under a name."""
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder and old is not None and old.mode == SUBMODULE:
            return self._submodule(place, where, name, old, depth)
        committed_as_such = old is not None and (old.mode == FOLDER) == is_folder
        ignored = ignored or (not committed_as_such and self.rules.ignores(where, is_folder))
        if ignored and old is None:
            return None
        if is_folder:
            return self._subfolder(place, where, name, _folder_id(old), ignored, depth)
        taken = self._leaf(place, where, name, found, old)
        self._files += taken is not None
        return old if _is_checked_out_as(old, taken) else taken

    def _untouched_entry(self, path: bytes, below: Entry, old: Entry | None, ignored: bool, depth: int) -> Entry | None:
        """The tree entry of what shows through from the layer below."""
        is_folder = below.mode == FOLDER
        if below == old or below.mode == SUBMODULE:  # a submodule is an empty folder there
            self._files += 1
            return old if old is not None and old.mode == below.mode else None
        committed_as_such = old is not None and (old.mode == FOLDER) == is_folder
        ignored = ignored or (not committed_as_such and self.rules.ignores(path, is_folder))
        if ignored and old is None:
            return None
        if is_folder:
            if depth >= MAX_DEPTH:
                return self._skip(path, "too deep", old)
            place = Place(None, self._tree(below.id))
            return self._folder(place, path, _folder_id(old), ignored=ignored, depth=depth + 1)
        self._files += 1
        taken = Entry(trees.as_checked_out(below.mode), below.id)
        return old if _is_checked_out_as(old, taken) else taken

    def _submodule(self, place: Place, path: bytes, name: bytes, link: Entry, depth: int) -> Entry:
        """What the project declares stays a link. Of any other one, which links to a commit that nobody else has, the
        files are all there is."""
        if path in self._modules:
            return link
        return self._subfolder(place, path, name, None, False, depth) or link

    def _subfolder(
        self, place: Place, path: bytes, name: bytes, committed: bytes | None, ignored: bool, depth: int
    ) -> Entry | None:
        kept = Entry(FOLDER, committed) if committed else None
        if depth >= MAX_DEPTH:
            return self._skip(path, "too deep", kept)
        descriptor = open_folder(name, place.descriptor)
        if descriptor is None:
            return self._skip(path, "cannot be read", kept)
        hides = self.layer is None or layers.is_opaque(descriptor)
        below = self._tree(None if hides else _folder_id(place.below.get(name)))
        return self._folder(Place(descriptor, below), path, committed, ignored=ignored, depth=depth + 1)

    def _leaf(self, place: Place, path: bytes, name: bytes, found: os.stat_result, old: Entry | None) -> Entry | None:
        if stat.S_ISLNK(found.st_mode):
            with contextlib.suppress(OSError):
                return Entry(LINK, self._write_blob(os.readlink(name, dir_fd=place.descriptor)))
            return None
        if not stat.S_ISREG(found.st_mode):
            return self._skip(path, "not a file", None)
        mode = PROGRAM if found.st_mode & 0o100 else FILE
        if old is not None and self._untouched(path, found, old):
            return Entry(mode, old.id)
        content = read_file(name, self.max_file, place.descriptor)
        if content is None:
            reason = "too large" if found.st_size > self.max_file else "cannot be read"
            return self._skip(path, reason, old)
        return Entry(mode, self._write_blob(self._normal(path, content, old)))

    def _untouched(self, path: bytes, found: os.stat_result, old: Entry) -> bool:
        """Whether a file is still as the index copy says, and that is what is committed."""
        known = self.index.get(path)
        if known is None or known.id != old.id or found.st_mtime_ns >= self.index_time:
            return False
        now = Stat(found.st_mtime_ns, found.st_ctime_ns, found.st_ino & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
        return known.stat == now

    def _normal(self, path: bytes, content: bytes, old: Entry | None) -> bytes:
        """Content with the line ends that git would commit (`text` and `eol` of gitattributes)."""
        if b"\r\n" not in content or self.commit is None or not self._is_text(path, content, old):
            return content
        return content.replace(b"\r\n", b"\n")

    def _is_text(self, path: bytes, content: bytes, old: Entry | None) -> bool:
        flags = AttrCheck.INDEX_ONLY | AttrCheck.NO_SYSTEM | AttrCheck.INCLUDE_COMMIT
        name = path.decode(errors="replace")
        text = self.hub.get_attr(name, "text", flags, self.commit)
        if text == "auto":
            committed_crlf = old is not None and b"\r\n" in self._old_content(old)
            return b"\0" not in content[:8000] and not committed_crlf
        if text is None:
            return isinstance(self.hub.get_attr(name, "eol", flags, self.commit), str)
        return text is True

    def _old_content(self, old: Entry) -> bytes:
        try:
            return self.hub.read(pygit2.Oid(raw=old.id))[1]
        except KeyError:
            return b""

    def _write_blob(self, content: bytes) -> bytes:
        """Id of the blob; written only if the hub lacks it."""
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()
        if not self._there.exists(pygit2.Oid(raw=digest)):
            self.hub.create_blob(content)
        return digest

    def _write_tree(self, entries: dict[bytes, Entry]) -> bytes:
        return self.hub.write(pygit2.enums.ObjectType.TREE, trees.write_tree(entries)).raw

    def _skip(self, path: bytes, reason: str | None, kept: Kept) -> Kept:
        """Note that a path is not taken, and why; what is kept in its place."""
        self._skipped.append(f"{os.fsdecode(path) or '.'}: {reason or 'unknown error'}")
        return kept


def _folder_id(entry: Entry | None) -> bytes | None:
    return entry.id if entry is not None and entry.mode == FOLDER else None


def _is_checked_out_as(committed: Entry | None, found: Entry | None) -> bool:
    """Whether what was found is just what checking out the committed entry gives."""
    if committed is None or found is None:
        return False
    return (committed.id, trees.as_checked_out(committed.mode)) == (found.id, found.mode)
