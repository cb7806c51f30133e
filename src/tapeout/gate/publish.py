"""Bringing landed commits to where people see them. Never forced, never in anybody's way: what cannot be done safely
is skipped with a reason, and the next landing tries again.
"""

from dataclasses import dataclass

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import is_ancestor, move_ref, open_bare, resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.usergit import complaint, user_git
from tapeout.config import Config
from tapeout.gate.hub import diverged_reason, hub_branch, open_user
from tapeout.gate.worktrees import Worktree, busy_with, dirty, worktrees
from tapeout.tracker import Tracker

PUSH_SECONDS = 120.0
"""How long a push to a remote may take."""

_FETCHED = "refs/tapeout/published"
"""In the user's repository for the moment between fetching the commits and moving the branch."""


@dataclass(frozen=True)
class Published:
    """The destination holds this commit."""

    commit: str


@dataclass(frozen=True)
class Skipped:
    """The destination was left as it is."""

    reason: str


def publish(
    paths: StatePaths, repository: Repository, config: Config, tracker: Tracker, *, quiet: bool = False
) -> Published | Skipped | None:
    """Publish the hub's target branch as `project.publish` says; None if that is `none`.

    Records what it did, and unless it is `quiet` (a repetition) why it could not.
    """
    if config.project.publish == "none":
        return None
    try:
        done: Published | Skipped = _Publication(paths, repository, config.project.publish, tracker).run()
    except (EnvironmentProblem, OSError, pygit2.GitError, ValueError) as error:
        done = Skipped(str(error))
    if isinstance(done, Skipped) and not quiet:
        tracker.record("publish-skipped", {"reason": done.reason})
    return done


class _Publication:
    def __init__(self, paths: StatePaths, repository: Repository, where: str, tracker: Tracker) -> None:
        self._paths = paths
        self._repository = repository
        self._where = where
        self._tracker = tracker
        self._hub = open_bare(paths.hub)
        self._branch = hub_branch(self._hub)
        self._ref = f"refs/heads/{self._branch}"
        self._user = open_user(repository)

    def run(self) -> Published | Skipped:
        commit = resolve(self._hub, self._ref)
        if commit is None:
            return Skipped("nothing has landed yet")
        remote = self._where.removeprefix("remote:")
        done = self._to_branch(commit) if self._where == "branch" else self._to_remote(commit, remote)
        if isinstance(done, Skipped):
            return done
        if done is not None:
            self._tracker.record("published", {"commit": commit, "where": self._where})
        return Published(commit)

    def _to_branch(self, commit: str) -> Published | Skipped | None:
        """Fast-forward the user's branch; None if it holds the commit already."""
        theirs = resolve(self._user, self._ref)
        if theirs is None:
            return Skipped(f"your repository has no branch {self._branch} any more")
        if is_ancestor(self._user, commit, theirs):
            return None
        if not is_ancestor(self._hub, theirs, commit):
            return Skipped(diverged_reason(self._paths, self._branch))
        trees = worktrees(self._repository.root)
        for tree in trees:
            if what := busy_with(tree, self._branch):
                return Skipped(f"a {what} of {self._branch} is going on in {tree.path}")
        holders = [tree for tree in trees if tree.branch == self._branch]
        if len(holders) > 1:
            return Skipped(f"{self._branch} is checked out in several work trees")
        if holders and dirty(holders[0]):
            return Skipped(f"{holders[0].path} has uncommitted changes on {self._branch}: commit or stash them")
        self._fetch()
        try:
            return self._forward(holders, commit, theirs)
        finally:
            self._user.references.delete(_FETCHED)

    def _forward(self, holders: list[Worktree], commit: str, theirs: str) -> Published | Skipped:
        if not holders:
            if not move_ref(self._user, self._ref, commit, theirs):
                return Skipped(f"{self._branch} moved meanwhile")
            return Published(commit)
        merged = user_git(holders[0].path, "merge", "--ff-only", "--quiet", "--no-autostash", commit)
        if merged.exit_code != 0:
            return Skipped(_merge_complaint(merged.output) or complaint(merged))
        if resolve(self._user, self._ref) != commit:
            return Skipped(f"{self._branch} was switched or moved meanwhile in {holders[0].path}")
        return Published(commit)

    def _to_remote(self, commit: str, remote: str) -> Published | Skipped | None:
        """Push to a remote of the user's repository; None if it is known to hold the commit."""
        if remote not in list(self._user.remotes.names()):
            return Skipped(f"your repository has no remote {remote}")
        if resolve(self._user, f"refs/remotes/{remote}/{self._branch}") == commit:
            return None
        self._fetch()
        try:
            target = f"{commit}:{self._ref}"
            pushed = user_git(
                self._repository.root, "push", "--porcelain", "--no-verify", "--no-follow-tags",
                "--recurse-submodules=no", "--", remote, target, timeout=PUSH_SECONDS,
            )  # fmt: skip
        finally:
            self._user.references.delete(_FETCHED)
        if pushed.exit_code == 0 and not pushed.timed_out:
            return Published(commit)
        if "[rejected]" in pushed.output:
            pulls = (f"git pull --no-rebase {source} {self._branch}" for source in (remote, self._paths.hub))
            return Skipped(
                f"{self._branch} of {remote} has commits that the landed work lacks: run `{' && '.join(pulls)}` on your"
                f" {self._branch}, and it is adopted"
            )
        return Skipped(f"cannot push to {remote}: {complaint(pushed)}")

    def _fetch(self) -> None:
        """Bring the landed objects into the user's repository, leaving its FETCH_HEAD alone."""
        fetched = user_git(
            self._repository.root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--recurse-submodules=no", "--", self._paths.hub, f"+{self._ref}:{_FETCHED}",
        )  # fmt: skip
        if fetched.exit_code != 0:
            raise EnvironmentProblem(f"cannot bring landed commits into your repository: {complaint(fetched)}")


def _merge_complaint(output: str) -> str:
    """The files in the way of a merge, as git lists them."""
    for marker, what in (
        ("untracked working tree files would be overwritten", "untracked files are in the way"),
        ("local changes to the following files would be overwritten", "uncommitted changes are in the way"),
    ):
        if marker in output:
            files = [line.strip() for line in output.splitlines() if line.startswith("\t")]
            more = f" and {len(files) - 5} more" if len(files) > 5 else ""
            return f"{what}: {', '.join(files[:5])}{more}"
    return ""
