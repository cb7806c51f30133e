"""Packing our own repository, under our own lock: git's own collection is off (`gc.auto = 0`).

Every batch of the log and every pulled change adds loose objects, and every clone links each of them: without packing a
floor that runs for days would get slower with each hour. Nothing is ever dropped: what no ref reaches is packed with
the rest.

What may go wrong: somebody links objects file by file while packing moves them into a pack, and would get neither; or
writes one into a folder that packing finds empty and removes. So those hold the lock shared (`linking`), and packing,
which can wait for a better moment, takes it only when it is free.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import run_captured

LOOSE_LIMIT = 2_000
"""Loose objects above which a repository is packed; git's own limit, 6,700, is for repositories that nobody links."""

PACK_LIMIT = 50
"""Packs above which a repository is packed, as for git itself: each push to the hub comes as one."""

PACK_SECONDS = 600.0

LOCK = "tapeout-packing"
"""File of a repository of ours, made with it: locked shared to link its objects, exclusively to pack them."""


@contextlib.contextmanager
def linking(path: str) -> Iterator[None]:
    """Hold off packing of the repository at `path` while its objects are linked or written; one that is not ours, which
    we never pack, has no lock and gets none."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(FileNotFoundError):
            lock = held.enter_context(open(os.path.join(path, LOCK), encoding="ascii"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def pack_if_scattered(path: str, limit: int = LOOSE_LIMIT) -> bool:
    """Pack the bare repository at `path` if it has more than `limit` loose objects, or very many packs, and nobody is
    linking them; whether it was packed.

    Raises:
        EnvironmentProblem: git is missing or could not pack. The repository is as good as before.
    """
    # Geometric: packs of similar size are merged, so that neither their number nor the work grows without bound.
    return (loose_objects(path) > limit or _packs(path) > PACK_LIMIT) and _pack(path, "-l", "--geometric=2")


def pack_whole(path: str) -> bool:
    """Pack everything in the bare repository at `path` into one pack, for good compression; False if somebody is
    linking its objects right now.

    Raises:
        EnvironmentProblem: as `pack_if_scattered`.
    """
    return _pack(path, "-a", "-l", "--keep-unreachable")


def _pack(path: str, *options: str) -> bool:
    with open(os.path.join(path, LOCK), "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        done = run_captured(
            ["git", "--git-dir", path, "repack", "--quiet", "-d", *options],
            cwd=path,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": path, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"},
            timeout=PACK_SECONDS,
            keep=10_000,
        )
    if done.exit_code != 0:
        raise EnvironmentProblem(f"cannot pack {path}: {done.output.strip()[-300:] or 'git failed'}")
    return True


def loose_objects(path: str) -> int:
    """How many loose objects there are."""
    count = 0
    objects = os.path.join(path, "objects")
    for folder in os.listdir(objects):
        if len(folder) == 2:
            count += len(os.listdir(os.path.join(objects, folder)))
    return count


def _packs(path: str) -> int:
    return sum(name.endswith(".pack") for name in os.listdir(os.path.join(path, "objects", "pack")))
