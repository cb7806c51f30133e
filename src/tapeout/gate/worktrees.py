"""The work trees of the user's repository, and whether a branch can be fast-forwarded in one of them."""

import os
from dataclasses import dataclass

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.usergit import complaint, user_git


@dataclass(frozen=True)
class Worktree:
    """One work tree, linked or main."""

    path: str
    branch: str
    """Name of the branch that is checked out; empty if none."""

    @property
    def git_dir(self) -> str:
        """Its own git directory, which holds its index and its HEAD."""
        dot_git = os.path.join(self.path, ".git")
        if not os.path.isfile(dot_git):
            return dot_git
        return os.path.join(self.path, _first_line(dot_git).removeprefix("gitdir:").strip())

    def has(self, branch: str) -> bool:
        """Whether the branch is checked out in it now."""
        return _first_line(os.path.join(self.git_dir, "HEAD")) == f"ref: refs/heads/{branch}"


def worktrees(folder: str) -> list[Worktree]:
    """The work trees that exist, of the repository that `folder` belongs to.

    Raises:
        EnvironmentProblem: git cannot list them.
    """
    listed = user_git(folder, "worktree", "list", "--porcelain")
    if listed.exit_code != 0:
        raise EnvironmentProblem(f"cannot list the work trees of {folder}: {complaint(listed)}")
    found = []
    for block in listed.output.split("\n\n"):
        fields = dict(line.partition(" ")[::2] for line in block.splitlines() if line)
        path = fields.get("worktree", "")
        if path and "bare" not in fields and os.path.isdir(path):
            found.append(Worktree(path, fields.get("branch", "").removeprefix("refs/heads/")))
    return found


def busy_with(worktree: Worktree, branch: str) -> str:
    """The operation that a work tree is in the middle of and that concerns the branch; empty if there is none."""
    git_dir = worktree.git_dir
    for name, what in (("rebase-merge", "rebase"), ("rebase-apply", "rebase")):
        if _first_line(os.path.join(git_dir, name, "head-name")) == f"refs/heads/{branch}":
            return what
    if _first_line(os.path.join(git_dir, "BISECT_START")) == branch:
        return "bisect"
    in_merge = worktree.branch == branch and os.path.exists(os.path.join(git_dir, "MERGE_HEAD"))
    return "merge" if in_merge else ""


def dirty(worktree: Worktree) -> bool:
    """Whether tracked files differ from what is committed.

    Raises:
        EnvironmentProblem: git cannot tell.
    """
    status = user_git(worktree.path, "status", "--porcelain", "--untracked-files=no")
    if status.exit_code != 0:
        raise EnvironmentProblem(f"cannot read the state of {worktree.path}: {complaint(status)}")
    return bool(status.output.strip())


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
