"""Prepared environments: what `setup` made in one workspace, kept and put into the next ones.

An environment is known by the command that makes it, the files that it depends on, and the machine's toolchain as far
as `PATH` names it. It is copied into a workspace (a reflink where the file system can), so that no worker changes
another's. Programs write the path of the folder that they are in into what they make (the scripts of a Python
environment do): all workspaces have paths of one length, so the old path is replaced by the new one in whatever holds
it, text or not.

Only an environment that was made from the tree of the target branch itself is kept: what an earlier attempt changed
could have made it. It is taken from a workspace whose agent has not begun.

What may go wrong: two workers make the same one (the first to be complete stays); a link in it leads out of it, and
stays the link that it is; the tree of an earlier attempt has links in its place, which could lead us anywhere (then
nothing is put there, and `setup` runs in the sandbox); the disk is full (the workspace keeps what `setup` made, and
nothing is kept for later).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pygit2

from tapeout.base.ids import new_id
from tapeout.base.paths import StatePaths
from tapeout.workspaces.files import delete
from tapeout.workspaces.model import Workspace

KEPT = 4
"""Environments of one repository: of branches that change what they need, some come back."""

_FICLONE = 0x40049409
_PATCHABLE = 32 * 1024 * 1024
"""Bytes: a larger file is not looked through for paths."""


@dataclass(frozen=True)
class Recipe:
    """How an environment is made."""

    command: str
    inputs: Sequence[str]
    """Paths of files and folders below the root of the tree."""
    outputs: Sequence[str]
    path: str
    """The `PATH` that it is made with."""

    def key(self, hub: pygit2.Repository, commit: str) -> str:
        """What tells this environment at a commit from others: 40 hexadecimal digits."""
        tree = hub[commit].peel(pygit2.Commit).tree
        facts = [self.command, self.path, *os.uname(), *self.outputs, *(_identity(tree, path) for path in self.inputs)]
        return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:40]


def restore(paths: StatePaths, key: str, workspace: Workspace) -> bool:
    """Put a kept environment into a workspace; False if there is none, or the work tree has something in its way.

    Raises:
        OSError: it cannot be written.
    """
    kept = os.path.join(paths.environments, key)
    try:
        with open(os.path.join(kept, "environment.json"), encoding="utf-8") as file:
            note = json.load(file)
    except (OSError, ValueError):
        return False
    if any(_link_in_the_way(workspace.written, os.path.join(kept, "files"), output) for output in note["outputs"]):
        return False
    with contextlib.suppress(OSError):
        os.utime(kept)
    for output in note["outputs"]:
        _copy(os.path.join(kept, "files", output), os.path.join(workspace.written, output))
    for place in note["naming"]:
        _replace(os.path.join(workspace.written, place), os.fsencode(note["code"]), os.fsencode(workspace.code))
    return True


def keep(paths: StatePaths, key: str, workspace: Workspace, outputs: Sequence[str]) -> None:
    """Keep what was made in a workspace, for later ones.

    Raises:
        OSError: it cannot be written.
    """
    target, draft = os.path.join(paths.environments, key), os.path.join(paths.environments, f".making-{new_id()}")
    made = [output.rstrip("/") for output in outputs if os.path.lexists(os.path.join(workspace.written, output))]
    try:
        for output in made:
            _copy(os.path.join(workspace.written, output), os.path.join(draft, "files", output))
        naming = list(_files_naming(os.path.join(draft, "files"), os.fsencode(workspace.code)))
        os.makedirs(draft, exist_ok=True)
        with open(os.path.join(draft, "environment.json"), "w", encoding="utf-8") as file:
            json.dump({"outputs": made, "code": workspace.code, "naming": naming}, file)
        with contextlib.suppress(OSError):  # somebody else made the same
            os.rename(draft, target)
    finally:
        delete(draft)
    _forget_old(paths.environments)


def _link_in_the_way(work_tree: str, files: str, output: str) -> bool:
    """Whether writing an output to a work tree would follow a link, or write over one: an agent can have committed it,
    and we write with our own rights."""
    parts = os.path.normpath(output).split(os.sep)
    if any(os.path.islink(os.path.join(work_tree, *parts[:count])) for count in range(1, len(parts) + 1)):
        return True
    if not os.path.lexists(os.path.join(work_tree, output)):
        return False
    made = os.path.join(files, output)
    return any(
        os.path.islink(os.path.join(work_tree, os.path.relpath(os.path.join(at, name), files)))
        for at, folders, names in os.walk(made)
        for name in [*folders, *names]
    )


def _identity(tree: pygit2.Tree, path: str) -> str:
    try:
        found = tree[path.rstrip("/")]
    except KeyError:
        return f"{path}: none"
    return f"{path}: {found.id}"


def _copy(source: str, target: str) -> None:
    """Copy a file, link or folder with all below it; whatever else there is, is left out."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    state = os.lstat(source)
    if stat.S_ISLNK(state.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(state.st_mode):
        _copy_file(source, target)
    elif stat.S_ISDIR(state.st_mode):
        os.makedirs(target, exist_ok=True)
        with os.scandir(source) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            _copy(os.path.join(source, name), os.path.join(target, name))
        shutil.copystat(source, target, follow_symlinks=False)


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as reading, open(target, "wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 1024 * 1024)
    shutil.copystat(source, target, follow_symlinks=False)


def _files_naming(folder: str, path: bytes) -> Iterator[str]:
    """The files and links in a folder that hold a path, relative to the folder."""
    for at, folders, names in os.walk(folder):
        for name in [*names, *folders]:
            file = os.path.join(at, name)
            state = os.lstat(file)
            if stat.S_ISLNK(state.st_mode):
                found = path in os.fsencode(os.readlink(file))
            elif stat.S_ISREG(state.st_mode) and state.st_size <= _PATCHABLE:
                with open(file, "rb") as reading:
                    found = path in reading.read()
            else:
                continue
            if found:
                yield os.path.relpath(file, folder)


def _replace(file: str, old: bytes, new: bytes) -> None:
    """Replace a path in a file or link; its times stay, by which programs tell whether something is up to date."""
    state = os.lstat(file)
    if stat.S_ISLNK(state.st_mode):
        leads = os.fsencode(os.readlink(file))
        os.unlink(file)
        os.symlink(leads.replace(old, new), os.fsencode(file))
        return
    with open(file, "rb+") as both:
        content = both.read()
        if len(old) != len(new) and b"\0" in content:  # a program would no longer find what comes after it
            return
        content = content.replace(old, new)
        both.seek(0)
        both.write(content)
        both.truncate()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def _forget_old(folder: str) -> None:
    """Delete all but the environments that were used last."""
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            known = sorted((entry.stat().st_mtime, entry.path) for entry in entries if not entry.name.startswith("."))
        for _, path in known[:-KEPT]:
            delete(path)
