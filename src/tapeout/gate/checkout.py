"""A clean checkout of one exact commit, put back into that state before each check.

It is a repository of its own: HEAD is detached at the commit, the base is `origin/<branch>`, tags are there, and no
hook, template or filter of anybody is. It is made with pygit2: what the commit holds (attributes, links, submodules)
makes no program run. Objects are borrowed from the source, where a sandbox makes them read-only: a hard link would be
a way to write into the source itself.

A check may change anything in it. Only what it changed is put back, seen by inode, size and change time, which a
process cannot set: a big repository is written once, not once a check.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import IO

import pygit2

from tapeout.gate.runs import identity, remove_tree

Stamp = tuple[int, ...]

_OBJECT_ID = re.compile(r"[0-9a-f]{40,64}")

_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tsymlinks = true
\tautocrlf = false
\tlogallrefupdates = false
[gc]
\tauto = 0
[advice]
\tdetachedHead = false
"""


class Checkout:
    """The checkout of `commit` in `folder`, with the objects of the repository whose git directory is `source`."""

    def __init__(self, source: str, folder: str, commit: str, *, base: str, branch: str) -> None:
        self.folder = folder
        self.commit = commit
        self._source = source
        self._git = os.path.join(folder, ".git")
        self._git_state: dict[str, Stamp] | None = None
        self._refs = _packed_refs(source, base, branch)
        self._create()

    def restore(self) -> None:
        """Put everything back as it was: files, the repository, nothing else in the folder."""
        try:
            restored = identity(self.folder) == self._identity and self._repair()
        except (OSError, pygit2.GitError):
            restored = False
        if not restored:  # another folder, a link, or damage beyond repair: made anew
            remove_tree(self.folder)
            self._create()

    def _create(self) -> None:
        os.mkdir(self.folder, 0o700)
        self._identity = identity(self.folder)
        self._write_git()
        self._check_out()
        self._remember()

    def _repair(self) -> bool:
        """Put back what differs; whether that worked."""
        now = _stamps(self.folder)
        for path in sorted(now.keys() - self._stamps.keys()):
            remove_tree(os.path.join(self.folder, path))
        changed = [path for path, stamp in self._stamps.items() if now.get(path) != stamp]
        for path in changed:
            if path in now and not (_is_folder(self._stamps[path]) and _is_folder(now[path])):
                remove_tree(os.path.join(self.folder, path))
        if self._git_stamps() != self._git_state:
            remove_tree(self._git)
            self._write_git()
            with open(os.path.join(self._git, "index"), "wb") as file:
                file.write(self._index)
            self._git_state = self._git_stamps()
        if not changed:
            return True
        self._check_out()
        for path in changed:
            if _is_folder(self._stamps[path]):
                os.chmod(os.path.join(self.folder, path), stat.S_IMODE(self._stamps[path][0]))
        before = self._stamps
        self._remember()
        return {path: stamp[0] for path, stamp in before.items()} == {
            path: stamp[0] for path, stamp in self._stamps.items()
        }

    def _remember(self) -> None:
        with open(os.path.join(self._git, "index"), "rb") as file:
            self._index = file.read()
        self._stamps = _stamps(self.folder)
        self._git_state = self._git_stamps()

    def _git_stamps(self) -> dict[str, Stamp] | None:
        """State of the repository itself."""
        if not os.path.isdir(self._git) or os.path.islink(self._git):
            return None
        return dict(_walk(self._git, ""))

    def _write_git(self) -> None:
        for folder in ("refs/heads", "objects/info", "objects/pack"):
            os.makedirs(os.path.join(self._git, folder))
        alternates = os.path.realpath(os.path.join(self._source, "objects")) + "\n"
        for name, text in (
            ("HEAD", f"{self.commit}\n"),
            ("config", _CONFIG),
            ("packed-refs", self._refs),
            ("objects/info/alternates", alternates),
        ):
            with open(os.path.join(self._git, name), "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        shallow = os.path.join(self._source, "shallow")
        if os.path.exists(shallow):
            shutil.copyfile(shallow, os.path.join(self._git, "shallow"))

    def _check_out(self) -> None:
        repository = pygit2.Repository(self._git, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        commit = repository[self.commit].peel(pygit2.Commit)
        repository.checkout_tree(commit, strategy=pygit2.enums.CheckoutStrategy.FORCE)  # type: ignore[no-untyped-call]
        repository.free()


def _packed_refs(source: str, base: str, branch: str) -> str:
    """The base and the tags. Read from the files: listing all refs of a hub would read every candidate's."""
    refs = {f"refs/remotes/origin/{branch}": base}
    with contextlib.suppress(FileNotFoundError), _text(os.path.join(source, "packed-refs")) as file:
        for line in file:
            identity, _, name = line.strip().partition(" ")
            if name.startswith("refs/tags/"):
                refs[name] = identity
    for folder, _, names in os.walk(os.path.join(source, "refs", "tags")):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError), _text(path) as file:
                refs[os.path.relpath(path, source)] = file.read().strip()
    lines = (f"{refs[name]} {name}\n" for name in sorted(refs) if _OBJECT_ID.fullmatch(refs[name]))
    return "# pack-refs with: sorted \n" + "".join(lines)


def _text(path: str) -> IO[str]:
    return open(path, encoding="utf-8", errors="surrogateescape")


def _stamps(folder: str) -> dict[str, Stamp]:
    if os.path.islink(folder):  # never walk, let alone repair, where a link leads
        raise NotADirectoryError(errno.ENOTDIR, "is a link", folder)
    return dict(_walk(folder, ""))


def _walk(top: str, below: str) -> Iterator[tuple[str, Stamp]]:
    """Every entry but the repository: what it is, and for a file or link whether it is still the same one."""
    with os.scandir(os.path.join(top, below)) as entries:
        for entry in entries:
            path = os.path.join(below, entry.name)
            if path == ".git":
                continue
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                yield path, (state.st_mode,)
                if state.st_mode & 0o700 != 0o700:
                    os.chmod(entry.path, stat.S_IMODE(state.st_mode) | 0o700)
                yield from _walk(top, path)
            else:
                yield path, (state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _is_folder(stamp: Stamp) -> bool:
    return stat.S_ISDIR(stamp[0])
