"""The content of attached files: blobs of the tracker's own git repository."""

from __future__ import annotations

import os

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.paths import StatePaths


def write(paths: StatePaths, content: bytes) -> str:
    """Keep the content of a file; its object id.

    Raises:
        EnvironmentProblem: git cannot be written, such as on a full disk.
    """
    import pygit2

    from tapeout.base import git
    from tapeout.base.packing import linking

    try:
        repository = git.ensure_bare(paths.tracker_git)
        with linking(paths.tracker_git):
            return str(repository.create_blob(content))
    except (pygit2.GitError, OSError) as error:
        raise EnvironmentProblem(f"cannot write to {paths.tracker_git}: {error}") from error


def read(paths: StatePaths, blob: str) -> bytes | None:
    """The content with that object id; None if git does not hold it, or something else."""
    import pygit2

    from tapeout.base import git

    if not os.path.exists(paths.tracker_git):
        return None
    try:
        found = git.open_bare(paths.tracker_git).get(blob)
    except (ValueError, pygit2.GitError):
        return None
    return found.data if isinstance(found, pygit2.Blob) else None


def name_of(content: bytes) -> str:
    """The object id that the content has in git."""
    import pygit2

    return str(pygit2.hash(content))
