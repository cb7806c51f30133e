"""Layers: a workspace of a large repository as what its agent writes, over one checkout that all workspaces share.

The kernel shows both as one folder (overlayfs), and only to the agent: the mount lives in the agent's own namespace and
is gone when that is. We read what was written (`upper`), and know the rest from git: the checkout below is that of a
commit of the hub. A deleted file is a *whiteout* there, a device with the number 0:0; a folder that was deleted
and made again is *opaque* (https://docs.kernel.org/filesystems/overlayfs.html). An agent can make neither by itself.

A layer is made once, and serves later commits too: what differs between its commit and theirs is written into the
workspace. When too much differs a new one is made, and those that no workspace uses are deleted.

What may go wrong: somebody is killed while a layer is made (it appears under its name only when complete); a layer is
deleted while a workspace is made on it (who makes one holds the lock shared, who deletes alone); a folder of the layer
cannot be renamed by the agent in one step, as `rename(2)` says EXDEV: `mv` and git then copy.
"""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator

import pygit2
from pygit2.enums import CheckoutStrategy

from tapeout.base.ids import new_id
from tapeout.base.paths import StatePaths
from tapeout.workspaces.files import delete
from tapeout.workspaces.model import Layer, layer_of, read_layer

LARGE = 2_000
"""Files above which a repository is worth a layer: below it a copy takes less than a tenth of a second."""

MOST_CHANGES = 500
"""Files in which a commit may differ from the one of a layer that it uses: more are written in no time either, but take
room in each workspace."""

_OPAQUE = "user.overlay.opaque"


def is_whiteout(found: os.stat_result) -> bool:
    """Whether an entry says that what is below it was deleted."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(descriptor: int) -> bool:
    """Whether a folder hides all that is below it."""
    try:
        return os.getxattr(descriptor, _OPAQUE) == b"y"
    except OSError:
        return False


def is_large(hub: pygit2.Repository, commit: str, limit: int = LARGE) -> bool:
    """Whether a commit has more than `limit` files."""
    waiting, count = [hub[commit].peel(pygit2.Commit).tree], 0
    while waiting and count <= limit:
        for entry in waiting.pop():
            if isinstance(entry, pygit2.Tree):
                waiting.append(entry)
            else:
                count += 1
    return count > limit


@contextlib.contextmanager
def layer_for(paths: StatePaths, hub: pygit2.Repository, commit: str) -> Iterator[Layer]:
    """The layer for a workspace at `commit`, made if there is none that differs little; it stays at least until the
    block ends, and after that as long as a workspace names it.

    Raises:
        OSError, pygit2.GitError: it cannot be made.
    """
    os.makedirs(paths.layers, exist_ok=True)
    with open(os.path.join(paths.layers, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        found = _fitting(paths, hub, commit)
        if found is None:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _fitting(paths, hub, commit) or _make(paths, hub, commit)
        yield found


def index_of(layer: Layer) -> str:
    """The index of git that fits a layer."""
    return os.path.join(os.path.dirname(layer.tree), "index")


def exist(paths: StatePaths) -> bool:
    """Whether there are layers."""
    return bool(_commits(paths))


def write_difference(repository: pygit2.Repository, layer: Layer, commit: str) -> None:
    """Write what differs between a layer and a commit to the work tree of a repository that lies above the layer, with
    the layer's index in place."""
    before, after = (repository[one].peel(pygit2.Commit).tree for one in (layer.commit, commit))
    changed, deleted = _changes(before, after)
    if deleted:  # a checkout would look for them in the work tree, and forget those only that it finds there
        for path in deleted:
            repository.index.remove(path)
        repository.index.write()
    if changed:
        strategy = CheckoutStrategy.FORCE | CheckoutStrategy.DISABLE_PATHSPEC_MATCH
        repository.checkout_tree(after, strategy=strategy, paths=changed)  # type: ignore[no-untyped-call]
    for place in sorted({_topmost_missing(after, path) for path in deleted} - {""}):
        whiteout = os.path.join(repository.workdir, place)
        os.makedirs(os.path.dirname(whiteout), exist_ok=True)
        os.mknod(whiteout, stat.S_IFCHR, 0)


def _changes(before: pygit2.Tree, after: pygit2.Tree) -> tuple[list[str], list[str]]:
    """Paths that `after` has differently from `before`, and those that it has not."""
    changed, deleted = [], []
    for delta in before.diff_to_tree(after).deltas:
        if delta.status_char() == "D":
            deleted.append(delta.old_file.path)
        else:
            changed.append(delta.new_file.path)
    return changed, deleted


def _topmost_missing(tree: pygit2.Tree, path: str) -> str:
    """The outermost part of a path that a tree does not have; empty if something else took the place."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        try:
            found = tree[part]
        except KeyError:
            return part
        if found.type_str != "tree":
            return ""
    return ""


def _fitting(paths: StatePaths, hub: pygit2.Repository, commit: str) -> Layer | None:
    """The newest layer that differs little from a commit."""
    target = hub[commit].peel(pygit2.Commit).tree
    for known in _commits(paths):
        if known == commit:
            return layer_of(paths, known)
        if known in hub and _differ_little(hub[known].peel(pygit2.Commit).tree, target):
            return layer_of(paths, known)
    return None


def _differ_little(before: pygit2.Tree, after: pygit2.Tree) -> bool:
    """Whether what differs can be written into each workspace."""
    difference = before.diff_to_tree(after)
    if len(difference) > MOST_CHANGES:
        return False
    try:
        return all(delta.old_file.raw_path.decode() and delta.new_file.raw_path.decode() for delta in difference.deltas)
    except UnicodeDecodeError:  # libgit2 is told paths as text
        return False


def _commits(paths: StatePaths) -> list[str]:
    """The commits of the layers that are there, the newest layer first."""
    try:
        with os.scandir(paths.layers) as entries:
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if len(entry.name) == 40]
    except OSError:
        return []
    return [name for _, name in sorted(found, reverse=True)]


def _make(paths: StatePaths, hub: pygit2.Repository, commit: str) -> Layer:
    _forget_unused(paths)
    draft = os.path.join(paths.layers, f".making-{new_id()}")
    tree, git = os.path.join(draft, "tree"), os.path.join(draft, "git")
    os.makedirs(tree)
    try:
        repository = pygit2.init_repository(git, bare=True)
        repository.odb.add_disk_alternate(os.path.join(hub.path, "objects"))
        repository.set_head(pygit2.Oid(hex=commit))
        repository.workdir = tree
        repository.checkout("HEAD", strategy=CheckoutStrategy.FORCE)
        repository.free()
        shutil.copyfile(os.path.join(git, "index"), os.path.join(draft, "index"))
        shutil.rmtree(git)
        layer = layer_of(paths, commit)
        os.rename(draft, os.path.dirname(layer.tree))
    except BaseException:
        delete(draft)
        raise
    return layer


def _forget_unused(paths: StatePaths) -> None:
    """Delete the layers that no workspace names, and what was left half made; the lock is ours alone."""
    used = set()
    with contextlib.suppress(OSError):
        used = {read_layer(os.path.join(paths.workspaces, name)) for name in os.listdir(paths.workspaces)}
    for name in os.listdir(paths.layers):
        if name not in {"lock", "probe.json", *used}:
            with contextlib.suppress(OSError):
                delete(os.path.join(paths.layers, name))
