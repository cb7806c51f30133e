"""Bring the work of an attempt into the hub, where it is safe."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pygit2
from pygit2.enums import SortMode

from tapeout.base import faults
from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.git import is_ancestor, move_ref, open_bare, resolve, signature
from tapeout.base.ids import new_id
from tapeout.workspaces import trees
from tapeout.workspaces.files import delete, read_file
from tapeout.workspaces.history import Damaged, History, Source, read_history
from tapeout.workspaces.model import Pulled, Workspace, index_copy, superseded_prefix
from tapeout.workspaces.snapshot import MAX_FILE, IgnoreRules, Snapshot, Taker

MESSAGE = "Work left uncommitted by the agent"
WORKER_NAME = "tapeout worker"

_MAX_INDEX = 512 * 1024 * 1024
_MAX_NOTED = 50
_MAX_KEPT = 64


def pull(workspace: Workspace) -> Pulled:
    """Save the work of an attempt in the hub, and say what it is.

    Copies the commits that HEAD names, puts what is uncommitted in a commit on top, and points the
    attempt's ref at the result. Commits that it does not contain (amended, reset, on other branches, pulled
    before) stay reachable under `superseded_prefix`. Runs no program and reads no configuration of the
    workspace. If its history is gone, damaged or has nothing to do with the base, the work tree becomes one
    commit on what was pulled before, or on the base. May be called while the agent works.

    Raises:
        NotFound: there is nothing to save: neither commits nor a work tree.
        EnvironmentProblem: the hub cannot be written, such as a full disk; the workspace is as it was.
    """
    hub = open_bare(workspace.hub)
    if workspace.base not in hub:
        raise EnvironmentProblem(f"the hub lacks the base commit {workspace.base} of {workspace.attempt}")
    try:
        with _scratch(workspace) as scratch:
            return _Pull(hub, workspace, scratch).run()
    except (pygit2.GitError, OSError, KeyError, ValueError) as error:
        raise EnvironmentProblem(f"cannot save the work of {workspace.attempt}: {error}") from error


class _Pull:
    def __init__(self, hub: pygit2.Repository, workspace: Workspace, scratch: str) -> None:
        self._hub, self._workspace, self._scratch = hub, workspace, scratch

    def run(self) -> Pulled:
        history = read_history(self._workspace.written)
        before = resolve(self._hub, self._workspace.ref)
        head, others = self._import(history)
        faults.point("pull.copied")
        if head is not None and self._hub.merge_base(head, self._workspace.base) is not None:
            parent = head
        else:
            parent = before or self._workspace.base
        snapshot = self._snapshot(parent, history)
        if snapshot is None and head is None and before is None:
            raise NotFound(f"the workspace of {self._workspace.attempt} holds nothing to save")
        commit = parent if snapshot is None else self._commit(parent, snapshot, before)
        faults.point("pull.snapshot")
        self._keep(commit, [other for other in (before, head, *others) if other])
        self._point(commit)
        faults.point("pull.moved")
        return self._describe(commit)

    def _import(self, history: History) -> tuple[str | None, list[str]]:
        """Copy commits to the hub; those that could be: HEAD's, and the others."""
        try:
            source = Source(self._workspace.written)
        except Damaged:
            return None, []
        head = history.head if history.head and self._copy(source, history.head) else None
        return head, [other for other in history.others if self._copy(source, other)]

    def _copy(self, source: Source, commit: str) -> bool:
        try:
            source.copy(commit, self._hub)
        except Damaged:
            return False
        return True

    def _snapshot(self, parent: str, history: History) -> Snapshot | None:
        index, index_time = self._index()
        layer = self._workspace.layer
        taker = Taker(
            self._hub,
            IgnoreRules(self._scratch, history.exclude),
            index=index,
            index_time=index_time,
            commit=parent,
            max_file=MAX_FILE,
            layer=self._hub[layer.commit].peel(pygit2.Commit).tree_id.raw if layer is not None else None,
        )
        snapshot = taker.take(self._workspace.written, self._hub[parent].peel(pygit2.Commit).tree_id.raw)
        destroyed = snapshot is not None and not snapshot.files and history.head is None
        return None if destroyed else snapshot

    def _index(self) -> tuple[dict[bytes, trees.IndexEntry], int]:
        path = index_copy(self._workspace.root)
        try:
            return trees.parse_index(read_file(path, _MAX_INDEX) or b""), os.lstat(path).st_mtime_ns
        except OSError:
            return {}, 0

    def _commit(self, parent: str, snapshot: Snapshot, before: str | None) -> str:
        """The commit of a snapshot: the parent itself if nothing differs, the last one if it is the same
        again."""
        tree = pygit2.Oid(raw=snapshot.tree)
        if self._hub[parent].peel(pygit2.Commit).tree_id == tree:
            return parent
        if before is not None:
            last = self._hub[before].peel(pygit2.Commit)
            if last.tree_id == tree and [str(number) for number in last.parent_ids] == [parent]:
                return before
        who = signature(WORKER_NAME)
        return str(self._hub.create_commit(None, who, who, _message(snapshot), tree, [parent]))

    def _keep(self, commit: str, candidates: Iterable[str]) -> None:
        """Point refs at those of `candidates` that `commit` and the base do not contain."""
        reached = {str(c.id) for c in self._new_commits(commit)}
        lost = [
            c
            for c in dict.fromkeys(candidates)
            if c not in reached
            and not is_ancestor(self._hub, c, self._workspace.base)
            and not is_ancestor(self._hub, c, commit)
        ]
        for tip in _tips(self._hub, lost):
            name = superseded_prefix(self._workspace.attempt) + tip
            if resolve(self._hub, name) is None:
                move_ref(self._hub, name, tip, None)

    def _point(self, commit: str) -> None:
        while True:
            old = resolve(self._hub, self._workspace.ref)
            if old == commit or move_ref(self._hub, self._workspace.ref, commit, old):
                return

    def _new_commits(self, commit: str) -> Iterator[pygit2.Commit]:
        walk = self._hub.walk(commit, SortMode.NONE)
        walk.hide(self._workspace.base)
        return iter(walk)

    def _describe(self, commit: str) -> Pulled:
        base = self._workspace.base
        head = self._hub[commit].peel(pygit2.Commit)
        base_tree = self._hub[base].peel(pygit2.Commit).tree
        commits = sum(1 for _ in self._new_commits(commit))
        return Pulled(
            commit=commit,
            base=base,
            tree=str(head.tree_id),
            changed=commits > 0 and head.tree_id != base_tree.id,
            commits=commits,
            paths=_changed_paths(self._hub, base_tree.id.raw, head.tree_id.raw),
        )


def _message(snapshot: Snapshot) -> str:
    if not snapshot.skipped:
        return MESSAGE + "\n"
    noted = [_printable(line) for line in snapshot.skipped[:_MAX_NOTED]]
    rest = len(snapshot.skipped) - len(noted)
    more = [f"and {rest} more"] if rest else []
    return "\n".join([MESSAGE, "", "Not taken:", *(f"- {line}" for line in noted + more), ""])


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _tips(hub: pygit2.Repository, commits: list[str]) -> list[str]:
    """Those that no other one contains; only the first of very many are compared."""
    first = commits[:_MAX_KEPT]
    tips = [c for c in first if not any(c != other and is_ancestor(hub, c, other) for other in first)]
    return tips + commits[_MAX_KEPT:]


def _changed_paths(hub: pygit2.Repository, old: bytes, new: bytes) -> tuple[str, ...]:
    found: list[bytes] = []
    waiting: list[tuple[bytes, bytes | None, bytes | None]] = [(b"", old, new)]
    while waiting:
        path, left, right = waiting.pop()
        for name, sides in _differences(_tree(hub, left), _tree(hub, right)):
            where = os.path.join(path, name)
            before, after = _folder(sides[0]), _folder(sides[1])
            if before or after:
                waiting.append((where, before, after))
            if (sides[0] and not before) or (sides[1] and not after):
                found.append(where)
    return tuple(sorted(os.fsdecode(path) for path in found))


def _folder(entry: trees.Entry | None) -> bytes | None:
    return entry.id if entry is not None and entry.mode == trees.FOLDER else None


def _differences(
    before: dict[bytes, trees.Entry], after: dict[bytes, trees.Entry]
) -> list[tuple[bytes, tuple[trees.Entry | None, trees.Entry | None]]]:
    """Names whose entries differ between two folders, with both entries."""
    names = before.keys() | after.keys()
    return [(name, (before.get(name), after.get(name))) for name in names if before.get(name) != after.get(name)]


def _tree(hub: pygit2.Repository, number: bytes | None) -> dict[bytes, trees.Entry]:
    return trees.parse_tree(hub.read(pygit2.Oid(raw=number))[1]) if number else {}


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[str]:
    """A folder of ours beside the workspace; a crash leaves it to the next pull or removal."""
    parent = os.path.join(os.path.dirname(workspace.root), f".pulling-{workspace.attempt}")
    os.makedirs(parent, exist_ok=True)
    path = os.path.join(parent, new_id())
    os.mkdir(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        try:
            os.rmdir(parent)
        except OSError:
            _forget_old(parent)


def _forget_old(parent: str, age: float = 3600.0) -> None:
    """Delete what crashed pulls left; a pull that is going on in another process is younger."""
    try:
        for entry in os.scandir(parent):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > age:
                delete(entry.path)
    except OSError:
        pass
