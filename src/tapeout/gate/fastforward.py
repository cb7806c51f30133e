"""Fast-forwarding a branch in the work tree that has it, so that a kill at any moment can be mended.

git writes a work tree file by file. Killed on the way it leaves some files new and some old, and `index.lock`, of which
nobody can tell whose it is. So git works on an index of ours here, while we hold the work tree's own lock with a note
in it: from which commit to which. The note names the lock's owner and what to put right.

What may go wrong: we or git are killed (`mend` puts the files back to what HEAD says, and takes the lock away);
somebody removed the lock by hand meanwhile (the note has another name, too); git refuses, or fails half way (put back
at once).
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple, Self

import pygit2

from tapeout.base.errors import TapeoutError
from tapeout.base.faults import point
from tapeout.base.git import release_stale_lock, resolve
from tapeout.base.processes import Captured, end_marked
from tapeout.base.undisturbed import undisturbed
from tapeout.base.usergit import complaint, user_git
from tapeout.gate.halfway import Step, put_right, some, untracked_in_the_way
from tapeout.gate.worktrees import Worktree

_INDEX_VARIABLE = "GIT_INDEX_FILE"


def fast_forward(tree: Worktree, user: pygit2.Repository, step: Step) -> str:
    """Bring a work tree and the branch that is checked out in it forward; why not, empty if it was done.

    Raises:
        EnvironmentProblem: git cannot do it, and what it had begun cannot be put right now; `mend` tries again.
        OSError: as above.
    """
    files = _Files.of(tree)
    with undisturbed():
        _write(files.note, step)
        try:
            _place(files.note, files.lock)
        except FileExistsError:
            os.unlink(files.note)
            return _locked(files)
        with _held(files):
            point("publish.locked")
            return _merge(tree, user, step, files)


def mend(tree: Worktree, user: pygit2.Repository) -> str:
    """Put right what a fast-forward that was killed left in a work tree; why that is not possible now, empty if it is
    done or nothing was left. Only for the holder of the lock on publishing.

    Raises:
        EnvironmentProblem: git cannot do it.
        OSError: a file cannot be read or written.
    """
    files = _Files.of(tree)
    ours, noted = _read(files.lock), _read(files.note)
    if ours is None and noted is None:
        _remove(files.note)  # killed while it was written: nothing had begun
        return ""
    with undisturbed():
        end_marked(_INDEX_VARIABLE, files.ours)  # its git may live a moment longer than its publisher
        if ours is None:
            try:
                _place(files.note, files.lock)
            except FileExistsError:
                return _locked(files)
        with _held(files):
            if noted is not None:  # else it had been done, but for the lock
                _settle(tree, user, noted, files)
    return ""


class _Files(NamedTuple):
    """What a fast-forward needs in the git directory of a work tree."""

    lock: str
    """The lock of the index, known to every git program."""
    note: str
    """The same file under a name of ours."""
    current: str
    """The index of the work tree."""
    ours: str
    """The index that git works on meanwhile."""

    @classmethod
    def of(cls, tree: Worktree) -> Self:
        """Those of a work tree."""
        names = ("index.lock", "tapeout-publishing", "index", "tapeout-index")
        return cls(*(os.path.join(tree.git_dir, name) for name in names))


@contextlib.contextmanager
def _held(files: _Files) -> Iterator[None]:
    """Let go of the lock after the block; the note stays if the block failed, for `mend`."""
    try:
        yield
    except (TapeoutError, OSError):
        _remove(files.lock)
        raise
    _remove(files.ours, f"{files.ours}.lock", files.note)
    point("publish.unnoted")
    _remove(files.lock)


def _merge(tree: Worktree, user: pygit2.Repository, step: Step, files: _Files) -> str:
    if not tree.has(step.branch):
        return f"{step.branch} was switched meanwhile in {tree.path}"
    if blocking := untracked_in_the_way(tree, user, step):
        return blocking
    _copy_index(files)
    merged = user_git(
        tree.path, "merge", "--ff-only", "--quiet", "--no-autostash", step.new, variables={_INDEX_VARIABLE: files.ours}
    )
    point("publish.merged")
    if merged.exit_code == 0 and resolve(user, step.ref) == step.new:
        os.replace(files.ours, files.current)
        point("publish.indexed")
        return ""
    _settle(tree, user, step, files)
    return _why_not(merged) if merged.exit_code != 0 else f"{step.branch} was moved meanwhile in {tree.path}"


def _settle(tree: Worktree, user: pygit2.Repository, step: Step, files: _Files) -> None:
    """Whatever git had come to: the files are those of the commit that the branch is at."""
    common = user.path
    for lock in (f"{tree.git_dir}/HEAD.lock", f"{tree.git_dir}/ORIG_HEAD.lock", f"{common}/{step.ref}.lock"):
        release_stale_lock(user, lock)
    commit = resolve(user, step.ref)
    if not tree.has(step.branch) or commit not in (step.old, step.new):
        return  # people went on from there: what they have now is theirs
    _copy_index(files)
    put_right(tree, user, step, commit, files.ours)
    if os.path.exists(files.ours):
        os.replace(files.ours, files.current)


def _copy_index(files: _Files) -> None:
    _remove(files.ours, f"{files.ours}.lock")
    with contextlib.suppress(FileNotFoundError):
        _place(files.current, files.ours)


def _place(source: str, target: str) -> None:
    """A second name for a file, which has all its content at once; a copy where the file system knows no such thing.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        with open(source, "rb") as reading, open(target, "xb") as writing:
            shutil.copyfileobj(reading, writing)
        shutil.copystat(source, target)  # git compares the time of its index with those of files


def _write(path: str, step: Step) -> None:
    _remove(path)
    with open(path, "x", encoding="utf-8") as file:
        json.dump({"tapeout": "publishes", **step._asdict()}, file)
        file.flush()
        os.fsync(file.fileno())


def _read(path: str) -> Step | None:
    """The note in a file; None if there is no such file or it is not ours."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.loads(file.read(4096))
        return Step(data["branch"], data["old"], data["new"]) if data["tapeout"] == "publishes" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _locked(files: _Files) -> str:
    return f"{files.lock} exists: another git program is at work there, or was killed"


def _why_not(merged: Captured) -> str:
    """The files in the way of a merge, as git lists them, or else what it says."""
    for marker, what in (
        ("untracked working tree files would be overwritten", "untracked files are in the way"),
        ("local changes to the following files would be overwritten", "uncommitted changes are in the way"),
    ):
        if marker in merged.output:
            return f"{what}: {some([line.strip() for line in merged.output.splitlines() if line.startswith(chr(9))])}"
    return complaint(merged)
