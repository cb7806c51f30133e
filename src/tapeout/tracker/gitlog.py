"""The log in git: batches of operations, one commit a batch, in a bare repository of the tracker's own.

Our own replicas are at `refs/tapeout/log/<replica>`, those of other clones at `refs/tapeout/others/<replica>`. One
writer a ref, so pushing never conflicts. Each commit holds one file, `operations`, one JSON array a line, and the
content of the files that were attached; its parent is the batch before. pygit2 is imported only here and only when
there is something to write or to read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.tracker.operations import Operation, decode, decode_lines, encode, in_order

if TYPE_CHECKING:
    import pygit2

LOG_REFS = "refs/tapeout/log/"
OTHERS_REFS = "refs/tapeout/others/"
QUARANTINE_REFS = "refs/tapeout/quarantine/"
"""Logs that came from a remote and were not believed, for people to look at."""

FILE_NAME = "operations"
ATTACHMENTS = "attachments"
"""Folder of a batch with the files that its operations attach, named by their object ids."""


OBJECT_ID_LENGTH = 40


class Damaged(EnvironmentProblem):
    """A commit of a log is none of ours, or cannot be read."""


def append(paths: StatePaths, replica: str, operations: Sequence[Operation]) -> None:
    """Append one batch. A batch that git already holds, because we died before noting it, is not written twice.

    Raises:
        EnvironmentProblem: git cannot be written, such as on a full disk.
    """
    from tapeout.base import git
    from tapeout.base.packing import linking

    repository = git.ensure_bare(paths.tracker_git)
    with linking(paths.tracker_git):
        _append(repository, paths, replica, operations)


def _append(repository: pygit2.Repository, paths: StatePaths, replica: str, operations: Sequence[Operation]) -> None:
    import pygit2

    from tapeout.base import git

    name = LOG_REFS + replica
    try:
        reference = repository.references.get(name)
        parent = reference.peel(pygit2.Commit) if reference is not None else None
        last = last_number(parent) if parent is not None else 0
        fresh = [operation for operation in operations if operation.number > last]
        if not fresh:
            return
        message = f"{len(fresh)} operations up to {fresh[-1].id}\n"
        who = git.signature(at=min(fresh[-1].at, _LAST_GIT_TIME))
        parents = [parent.id] if parent is not None else []
        commit = repository.create_commit(None, who, who, message, _tree(repository, fresh), parents)
    except (pygit2.GitError, OSError, KeyError, ValueError) as error:
        raise EnvironmentProblem(f"cannot write the log in {paths.tracker_git}: {error}") from error
    if not git.move_ref(repository, name, str(commit), str(parent.id) if parent is not None else None):
        raise EnvironmentProblem(f"{name} was moved by somebody else", hint="only one writer a replica is allowed")


_LAST_GIT_TIME = 4_000_000_000.0
"""Some git servers refuse commits from the far future, where a wrong clock may have been."""


def _tree(repository: pygit2.Repository, operations: Sequence[Operation]) -> pygit2.Oid:
    import pygit2

    text = "".join(f"{encode(operation)}\n" for operation in operations)
    builder = repository.TreeBuilder()
    builder.insert(FILE_NAME, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB)
    blobs = {str(operation.data.get("blob")) for operation in operations if operation.kind == "attached"}
    present = sorted(blob for blob in blobs if _is_blob(repository, blob))
    if present:
        attachments = repository.TreeBuilder()
        for blob in present:
            attachments.insert(blob, blob, pygit2.enums.FileMode.BLOB)
        builder.insert(ATTACHMENTS, attachments.write(), pygit2.enums.FileMode.TREE)
    return builder.write()


def _is_blob(repository: pygit2.Repository, name: str) -> bool:
    """Whether that is the whole id of a blob that is here: what was attached elsewhere can be called anything."""
    import pygit2

    if len(name) != OBJECT_ID_LENGTH or not set(name) <= set("0123456789abcdef"):
        return False
    return isinstance(repository.get(name), pygit2.Blob)


def read_batch(commit: pygit2.Commit) -> list[Operation]:
    """The operations of one commit of a log.

    Raises:
        Damaged: it is not one of ours, or cannot be read.
    """
    import pygit2

    try:
        return decode_lines(_lines(commit))
    except (ValueError, KeyError, pygit2.GitError) as error:
        raise Damaged(f"log commit {commit.id} cannot be read: {error}") from error


def last_number(commit: pygit2.Commit) -> int:
    """The number of the newest operation of a log whose tip this is.

    Raises:
        Damaged: the commit cannot be read.
    """
    return _last_operation(commit).number


def newest(paths: StatePaths, replica: str) -> Operation | None:
    """The newest operation that git has of one of our replicas; None if it has none.

    Raises:
        EnvironmentProblem: the repository or the log cannot be read.
    """
    import pygit2

    from tapeout.base import git

    if not os.path.exists(paths.tracker_git):
        return None
    try:
        reference = git.open_bare(paths.tracker_git).references.get(LOG_REFS + replica)
        return _last_operation(reference.peel(pygit2.Commit)) if reference is not None else None
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise EnvironmentProblem(f"cannot read the log in {paths.tracker_git}: {error}") from error


def _last_operation(commit: pygit2.Commit) -> Operation:
    """The last operation of a batch, without reading the others."""
    import pygit2

    try:
        return decode(_lines(commit)[-1])
    except (ValueError, KeyError, pygit2.GitError) as error:
        raise Damaged(f"log commit {commit.id} cannot be read: {error}") from error


def _lines(commit: pygit2.Commit) -> list[str]:
    """The lines of one commit of a log. Only a newline ends one: text may hold other separators."""
    import pygit2

    blob = next((entry for entry in commit.tree if entry.name == FILE_NAME), None)
    if not isinstance(blob, pygit2.Blob):
        raise Damaged(f"log commit {commit.id} holds no file {FILE_NAME}")
    return blob.data.decode().removesuffix("\n").split("\n")


def read_all(paths: StatePaths, *, own_only: bool = False) -> list[Operation]:
    """All operations in git, in the order of the fold; none if there is no log yet.

    Args:
        own_only: of our own replicas, not of those of other clones.

    Raises:
        EnvironmentProblem: the repository or a log in it cannot be read.
    """
    import pygit2

    from tapeout.base import git

    if not os.path.exists(paths.tracker_git):
        return []
    repository = git.open_bare(paths.tracker_git)
    found: dict[str, Operation] = {}
    try:
        for name in repository.references:
            if name.startswith(LOG_REFS if own_only else (LOG_REFS, OTHERS_REFS)):
                for commit in repository.walk(repository.references[name].target, pygit2.enums.SortMode.NONE):
                    batch = read_batch(commit)
                    found.update(zip([operation.id for operation in batch], batch, strict=True))
    except (pygit2.GitError, KeyError) as error:
        raise EnvironmentProblem(f"cannot read the log in {paths.tracker_git}: {error}") from error
    return in_order(found.values())


def replicas(paths: StatePaths, prefix: str = LOG_REFS) -> list[str]:
    """Names of the replicas whose logs are here: our own, or with `OTHERS_REFS` those of other clones."""
    from tapeout.base import git

    if not os.path.exists(paths.tracker_git):
        return []
    names = git.open_bare(paths.tracker_git).references
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def adopt_old_place(paths: StatePaths) -> None:
    """Bring over logs from the hub, where they were kept before they had a repository of their own.

    Raises:
        EnvironmentProblem: one of the repositories cannot be read or written.
    """
    from tapeout.base import git

    if not os.path.exists(paths.hub):
        return
    hub = git.open_bare(paths.hub)
    names = [name for name in hub.references if name.startswith(LOG_REFS)]
    if names:
        git.import_objects(git.ensure_bare(paths.tracker_git), paths.hub, [f"+{LOG_REFS}*:{LOG_REFS}*"])
        for name in names:
            hub.references.delete(name)
