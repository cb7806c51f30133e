"""Thin helpers over pygit2 for bare repositories of our own: no program, hook or filter of anybody runs.

What may go wrong: two processes make the same repository at once (one wins, both succeed); a ref moves
meanwhile (`move_ref` says so and changes nothing); a source repository is damaged or hostile (only its
objects and refs are read, every object is hashed again by libgit2).
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Sequence

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.ids import new_id
from tapeout.base.packing import LOCK

IDENTITY_NAME = "tapeout"
IDENTITY_EMAIL = "tapeout@localhost"

_FLUSHED = "committed,reference"
"""What git itself flushes to the disk in our repositories (`core.fsync`)."""

_OLD_FLUSH = "core.fsyncObjectFiles"

pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, True)
# For all of libgit2 in this process, because the setting of one repository that it obeys (`core.fsyncObjectFiles`)
# makes git print a warning on every push. It writes objects and refs of the hub and of the tracker only: clones and
# checkouts borrow theirs.

STALE_LOCK = 5.0
"""Seconds after which the lock of a ref is taken for a dead process's: holding it takes microseconds."""


def ensure_bare(path: str) -> pygit2.Repository:
    """The bare repository at `path`, made if it is not there; safe when several processes do so at once.

    It never collects garbage by itself: packing happens only under our own lock. What is written is flushed
    to the disk before a ref names it, so that a power cut loses no commit.

    Raises:
        EnvironmentProblem: it cannot be made or opened.
    """
    if os.path.exists(os.path.join(path, "HEAD")):
        return _without_old_flush(open_bare(path))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    draft = f"{path}.new-{new_id()}"
    try:
        made = pygit2.init_repository(draft, bare=True, initial_head="main")
        made.config["gc.auto"] = 0
        made.config["core.fsync"] = _FLUSHED
        made.free()
        with open(os.path.join(draft, LOCK), "w", encoding="ascii"):
            pass
        with contextlib.suppress(OSError):  # somebody else was first: a folder that is not empty is never replaced
            os.rename(draft, path)
    except (pygit2.GitError, OSError) as error:
        raise EnvironmentProblem(f"cannot create the repository {path}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return open_bare(path)


def _without_old_flush(repository: pygit2.Repository) -> pygit2.Repository:
    """Mend a repository that an older version made."""
    if _OLD_FLUSH in repository.config:
        with contextlib.suppress(KeyError, pygit2.GitError):  # another process does it, or it may not be written
            repository.config["core.fsync"] = _FLUSHED
            del repository.config[_OLD_FLUSH]
    return repository


def open_bare(path: str) -> pygit2.Repository:
    """Open the repository at exactly `path`.

    Raises:
        EnvironmentProblem: there is none, or it is damaged.
    """
    try:
        return pygit2.Repository(path, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    except pygit2.GitError as error:
        raise EnvironmentProblem(f"cannot open the repository {path}: {error}") from error


def move_ref(repository: pygit2.Repository, name: str, new: str, old: str | None) -> bool:
    """Point `name` at commit `new` if it is at `old` (None: if it does not exist); whether that was so.

    Compare-and-swap under git's own lock on the ref: of several who try the same move, one gets True. A lock
    that a killed process left behind is broken after `STALE_LOCK` seconds.

    Raises:
        EnvironmentProblem: the ref cannot be written for another reason, such as a full disk.
    """
    deadline = time.monotonic() + 3 * STALE_LOCK
    while True:
        try:
            return _try_move(repository, name, new, old)
        except (pygit2.GitError, OSError) as error:  # OSError: somebody else holds the ref's lock
            if resolve(repository, name) != old:
                return False
            lock = os.path.join(repository.path, name + ".lock")
            locked = isinstance(error, OSError) and os.path.lexists(lock)
            if not locked or time.monotonic() > deadline:
                raise EnvironmentProblem(f"cannot move {name}: {error}") from error
            _break_stale_lock(repository, lock)
            time.sleep(0.005)


def release_stale_lock(repository: pygit2.Repository, lock: str) -> None:
    """Wait until the lock of a ref (path of its file) is gone; one that a killed process left behind is removed after
    `STALE_LOCK` seconds. One that others take again and again is given up on."""
    deadline = time.monotonic() + 3 * STALE_LOCK
    while os.path.lexists(lock) and time.monotonic() < deadline:
        _break_stale_lock(repository, lock)
        time.sleep(0.005)


def _break_stale_lock(repository: pygit2.Repository, lock: str) -> None:
    """Remove a lock that its holder cannot release any more; one breaker at a time, so never a fresh one."""
    with open(os.path.join(repository.path, "tapeout-locks"), "wb") as guard, contextlib.suppress(OSError):
        fcntl.flock(guard, fcntl.LOCK_EX)
        if time.time() - os.lstat(lock).st_mtime > STALE_LOCK:
            os.unlink(lock)


def _try_move(repository: pygit2.Repository, name: str, new: str, old: str | None) -> bool:
    if old is None:
        try:
            repository.references.create(name, new, force=False)
        except pygit2.AlreadyExistsError as error:
            if repository.references.get(name) is None:  # "a" and "a/b" cannot both be refs
                raise EnvironmentProblem(f"cannot create {name}: a ref is in its way") from error
            return False
        return True
    reference = repository.references.get(name)
    if reference is None or str(reference.target) != old:
        return False
    reference.set_target(new)  # libgit2 compares with the value that `reference` was loaded with
    return True


def resolve(repository: pygit2.Repository, name: str) -> str | None:
    """The commit id that a ref (full name) points to, or None if there is no such ref."""
    reference = repository.references.get(name)
    if reference is None:
        return None
    try:
        return str(reference.resolve().target)
    except (KeyError, pygit2.GitError):
        return None


def import_objects(repository: pygit2.Repository, source: str, refspecs: Sequence[str]) -> None:
    """Fetch `refspecs` from the repository at the local path `source` without running any program or hook
    of it.

    Raises:
        EnvironmentProblem: the source cannot be read, or lacks a ref.
    """
    try:
        remote = repository.remotes.create_anonymous(os.path.abspath(source))
        remote.fetch(list(refspecs), prune=pygit2.enums.FetchPrune.NO_PRUNE)
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise EnvironmentProblem(f"cannot fetch from {source}: {error}") from error


def commit_named(repository: pygit2.Repository, revision: str, where: str, *, hint: str) -> str:
    """The commit that a person names.

    Args:
        repository: where it is looked up.
        revision: as git understands it: an id or the beginning of one, a branch, `HEAD~2`.
        where: what the repository is called, for the error.
        hint: what to do if there is no such commit.

    Raises:
        NotFound: there is none.
    """
    try:
        return str(repository.revparse_single(revision).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        if repository.head_is_unborn:
            raise NotFound(f"{where} has no commit yet", hint=hint) from error
        raise NotFound(f"{revision!r} is no commit of {where}", hint=hint) from error


def is_ancestor(repository: pygit2.Repository, ancestor: str, descendant: str) -> bool:
    """Whether `descendant` contains `ancestor`; a commit contains itself. False if either is missing."""
    if ancestor not in repository or descendant not in repository:
        return False
    return ancestor == descendant or repository.descendant_of(descendant, ancestor)


def first_parent(repository: pygit2.Repository, commit: str) -> str | None:
    """The first parent of a commit that is there; None if it has none."""
    parents = repository[commit].peel(pygit2.Commit).parent_ids
    return str(parents[0]) if parents else None


def read_blob(repository: pygit2.Repository, commit: str, path: str) -> bytes | None:
    """Content of the file at `path` in a commit's tree; None if there is no such file."""
    try:
        found = repository[commit].peel(pygit2.Commit).tree / path
    except (KeyError, ValueError, TypeError):
        return None
    return found.data if isinstance(found, pygit2.Blob) else None


def message_of(commit: pygit2.Commit) -> str:
    """The message of a commit, whatever encoding it names."""
    try:
        return commit.message
    except (LookupError, ValueError):
        return commit.raw_message.decode("utf-8", "replace")


def signature(name: str = IDENTITY_NAME, email: str = IDENTITY_EMAIL, at: float | None = None) -> pygit2.Signature:
    """Who and when for a commit of ours; `at` is Unix time in seconds, now by default, recorded in UTC."""
    return pygit2.Signature(name, email, int(time.time() if at is None else at), 0)
