"""A work tree that git left half way between two commits, and how it is brought to one of them.

Only what git itself may have written is touched: a file that is as in one of the two commits, that is missing, or that
holds the beginning of the new content. Everything else is somebody's work and stays as it is.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Sequence
from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.usergit import complaint, user_git
from tapeout.gate.worktrees import Worktree

_LISTED = 5


class Step(NamedTuple):
    """A branch on its way from one commit to a later one."""

    branch: str
    old: str
    new: str

    @property
    def ref(self) -> str:
        """The branch's full name."""
        return f"refs/heads/{self.branch}"


def untracked_in_the_way(tree: Worktree, user: pygit2.Repository, step: Step) -> str:
    """The files of the user's that the new commit's would replace, ignored ones too, in a sentence; empty if none."""
    changed = _Changed.between(user, step)
    folded = {path.casefold() for path in changed.old}  # a new name of the same file, to a system that ignores case
    added = sorted(changed.new - changed.old - changed.submodules)
    found = [path for path in added if _kind(tree, path, changed) == "file" and path.casefold() not in folded]
    return f"untracked files are in the way: {some(found)}" if found else ""


def put_right(tree: Worktree, user: pygit2.Repository, step: Step, commit: str, index: str) -> None:
    """Bring what the step changes to `commit`, which is one of its ends.

    Args:
        index: a copy of the work tree's, which is locked; it is changed.

    Raises:
        EnvironmentProblem: git cannot do it.
        OSError: a file cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="tapeout-") as folder:
        _Repair(tree, step, _Changed.between(user, step), index, folder).run(commit)


class _Changed(NamedTuple):
    """The paths that two commits do not have in common."""

    old: frozenset[str]
    """Those that the old one has."""
    new: frozenset[str]
    submodules: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.old | self.new

    @classmethod
    def between(cls, user: pygit2.Repository, step: Step) -> "_Changed":
        old, new, submodules = set(), set(), set()
        for delta in user.diff(step.old, step.new).deltas:
            path = os.fsdecode(delta.new_file.raw_path)
            if delta.status != pygit2.enums.DeltaStatus.ADDED:
                old.add(path)
            if delta.status != pygit2.enums.DeltaStatus.DELETED:
                new.add(path)
            if pygit2.enums.FileMode.COMMIT in (delta.old_file.mode, delta.new_file.mode):
                submodules.add(path)
        return cls(frozenset(old), frozenset(new), frozenset(submodules))


def _kind(tree: Worktree, path: str, changed: _Changed) -> str:
    """What is there: a `file` or link, a `folder`, `nothing`, or `foreign`: it lies behind a link or file that is the
    user's."""
    parts = path.split("/")
    for length in range(1, len(parts)):
        parent = "/".join(parts[:length])
        try:
            mode = os.lstat(os.path.join(tree.path, parent)).st_mode
        except OSError:
            return "nothing"
        if not stat.S_ISDIR(mode):
            return "nothing" if parent in changed.all else "foreign"
    try:
        mode = os.lstat(os.path.join(tree.path, path)).st_mode
    except OSError:
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file"


class _Repair:
    def __init__(self, tree: Worktree, step: Step, changed: _Changed, ours: str, folder: str) -> None:
        self._tree = tree
        self._step = step
        self._changed = changed
        self._ours = ours
        self._scratch = os.path.join(folder, "index")
        self._listing = os.path.join(folder, "paths")
        self._written = os.path.join(folder, "written")

    def run(self, commit: str) -> None:
        """Work on our copy of the index, and on the files."""
        unlike = {end: self._staged_unlike(end) for end in (self._step.old, self._step.new)}
        staged = unlike[self._step.old] & unlike[self._step.new]  # somebody's work
        gits = self._written_by_git(self._changed.all - staged)
        wanted = self._changed.new if commit == self._step.new else self._changed.old
        for path in gits - wanted:
            self._delete(path)
        # A folder of the other commit that was in the way of a file is gone now, unless it holds somebody's work.
        free = {path for path in gits & wanted if path in self._changed.submodules or self._kind(path) != "folder"}
        self._restore(commit, free, "--staged", "--worktree")
        self._restore(commit, (gits - wanted) & unlike[commit], "--staged")

    def _kind(self, path: str) -> str:
        return _kind(self._tree, path, self._changed)

    def _written_by_git(self, paths: Collection[str]) -> set[str]:
        """Those that nobody but git can have brought to where they are."""
        old, new = self._unlike(self._step.old), self._unlike(self._step.new)  # in this order: `_is_beginning`
        found = {path for path in paths if self._may_be_gits(path, path in old and path in new)}
        users = set(paths) - found
        return {path for path in found if not any(other.startswith(f"{path}/") for other in users)}

    def _may_be_gits(self, path: str, unlike_both: bool) -> bool:
        kind = self._kind(path)
        if kind == "file":
            return not unlike_both or self._is_beginning(path)
        return kind != "foreign"

    def _staged_unlike(self, commit: str) -> set[str]:
        """Changed paths of which the index says something else than the commit."""
        return self._listed("diff-index", "--cached", commit) & self._changed.all

    def _unlike(self, commit: str) -> set[str]:
        """Changed paths of which the work tree says something else than the commit."""
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(os.path.join(self._tree.git_dir, "index"), self._scratch)
        self._git(self._scratch, "read-tree", "-m", "-i", commit)  # keeps what is known of files that are the same
        self._git(self._scratch, "update-index", "-q", "--refresh", fails=True)
        has = self._changed.new if commit == self._step.new else self._changed.old
        extra = {path for path in self._changed.all - has if self._kind(path) != "nothing"}
        return (self._listed("diff-files", "--ignore-submodules=all", index=self._scratch) & self._changed.all) | extra

    def _is_beginning(self, path: str) -> bool:
        """Whether a file holds only the beginning of what the new commit has there, so that nothing is lost with it."""
        full = os.path.join(self._tree.path, path)
        if path not in self._changed.new or not stat.S_ISREG(os.lstat(full).st_mode):
            return False
        prefix = f"--prefix={self._written}/"  # written as it is in the work tree, line ends and filters and all
        self._git(self._scratch, "checkout-index", "--quiet", "--force", prefix, "--", path)
        whole = os.path.join(self._written, path)
        if os.path.islink(whole):
            return False
        with open(full, "rb") as part, open(whole, "rb") as file:
            content = part.read()
            return content == file.read(len(content))

    def _delete(self, path: str) -> None:
        if self._kind(path) == "file":
            full = os.path.join(self._tree.path, path)
            os.unlink(full)
            with contextlib.suppress(OSError):  # until one is not empty
                while (full := os.path.dirname(full)) != self._tree.path:
                    os.rmdir(full)

    def _restore(self, commit: str, paths: Collection[str], *what: str) -> None:
        if not paths:
            return
        with open(self._listing, "wb") as file:
            file.write(b"".join(os.fsencode(path) + b"\0" for path in sorted(paths)))
        names = (f"--pathspec-from-file={self._listing}", "--pathspec-file-nul")
        self._git(self._ours, "restore", "--quiet", f"--source={commit}", *what, *names)

    def _listed(self, *command: str, index: str | None = None) -> set[str]:
        """The paths that a command of git lists."""
        name, *rest = command
        self._git(index, name, "--name-only", "--no-renames", "-z", f"--output={self._listing}", *rest)
        with open(self._listing, "rb") as file:
            return {os.fsdecode(path) for path in file.read().split(b"\0") if path}

    def _git(self, index: str | None, *words: str, fails: bool = False) -> None:
        variables = {"GIT_LITERAL_PATHSPECS": "1", **({"GIT_INDEX_FILE": index} if index else {})}
        done = user_git(self._tree.path, *words, variables=variables)
        if done.exit_code != 0 and not fails:
            raise EnvironmentProblem(f"cannot put {self._tree.path} right: {complaint(done)}")


def some(paths: Sequence[str]) -> str:
    """The first few paths, for a sentence."""
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(paths[:_LISTED]) + more
