"""Bringing landed commits to where people see them. Never forced, never in anybody's way: what cannot be done safely
is skipped with a reason, and the next landing tries again.
"""

from dataclasses import dataclass

import pygit2

from tapeout.base.errors import Busy, EnvironmentProblem
from tapeout.base.faults import point
from tapeout.base.git import is_ancestor, move_ref, open_bare, resolve
from tapeout.base.locks import patiently
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.processes import Captured
from tapeout.base.usergit import complaint, user_git
from tapeout.config import Config, ProjectConfig
from tapeout.gate.evidence.audit import ensure_in_order
from tapeout.gate.evidence.notes import NOTES_REF
from tapeout.gate.fastforward import fast_forward, mend
from tapeout.gate.halfway import Step
from tapeout.gate.hub import diverged_reason, hub_branch, open_user
from tapeout.gate.worktrees import Worktree, busy_with, dirty, worktrees
from tapeout.tracker import Tracker

PUSH_SECONDS = 120.0
"""How long a push to a remote may take."""

WAIT_SECONDS = 150.0
"""How long to wait for another process that publishes: a push of its may take as long as ours."""


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

    Records what it did, and unless it is `quiet` (a repetition) why it could not. Killed at any moment it is due again:
    the next call puts right what was left and goes on.
    """
    if config.project.publish == "none":
        tracker.set_unpublished(None)
        return None
    try:
        with patiently(paths.publish_lock, WAIT_SECONDS, "another process publishes right now"):
            return _publish(paths, repository, config.project, tracker, quiet=quiet)
    except Busy as error:  # it is that one's to say what came of it
        return Skipped(error.message)


def _publish(
    paths: StatePaths, repository: Repository, project: ProjectConfig, tracker: Tracker, *, quiet: bool
) -> Published | Skipped:
    """As `publish`, while nobody else does."""
    try:
        publication = _Publication(paths, repository, project, tracker)
        done = publication.run()
        tracker.set_unpublished(done.reason if isinstance(done, Skipped) else None)
        if publication.is_outdated():  # its landing may have been recorded just before we said that all is published
            tracker.set_unpublished("")
    except EnvironmentProblem as error:
        done = Skipped(f"{error.message} ({error.hint})" if error.hint else error.message)
        tracker.set_unpublished(done.reason)
    except (OSError, pygit2.GitError, ValueError) as error:
        done = Skipped(str(error))
        tracker.set_unpublished(done.reason)
    if isinstance(done, Skipped) and not quiet:
        tracker.record("publish-skipped", {"reason": done.reason})
    return done


class _Publication:
    def __init__(self, paths: StatePaths, repository: Repository, project: ProjectConfig, tracker: Tracker) -> None:
        self._paths = paths
        self._repository = repository
        self._where = project.publish
        self._notes = project.publish_notes
        self._tracker = tracker
        self._hub = open_bare(paths.hub)
        self._branch = hub_branch(self._hub)
        self._ref = f"refs/heads/{self._branch}"
        self._commit = resolve(self._hub, self._ref)
        self._user = open_user(repository)

    def is_outdated(self) -> bool:
        """Whether more landed since this began."""
        return resolve(self._hub, self._ref) != self._commit

    def run(self) -> Published | Skipped:
        commit = self._commit = ensure_in_order(self._hub, self._branch)
        if commit is None:
            return Skipped("nothing has landed yet")
        trees = worktrees(self._repository.root)
        for tree in trees:
            if problem := mend(tree, self._user):
                return Skipped(problem)
        remote = self._where.removeprefix("remote:")
        done = self._to_branch(commit, trees) if self._where == "branch" else self._to_remote(commit, remote)
        if isinstance(done, Skipped):
            return done
        if done is not None:
            self._tracker.record("published", {"commit": commit, "where": self._where})
        return Published(commit)

    def _to_branch(self, commit: str, trees: list[Worktree]) -> Published | Skipped | None:
        """Fast-forward the user's branch; None if it holds the commit already."""
        theirs = resolve(self._user, self._ref)
        if theirs is None:
            return Skipped(f"your repository has no branch {self._branch} any more")
        if is_ancestor(self._user, commit, theirs):
            return None
        if not is_ancestor(self._hub, theirs, commit):
            return Skipped(diverged_reason(self._paths, self._branch))
        for tree in trees:
            if what := busy_with(tree, self._branch):
                return Skipped(f"a {what} of {self._branch} is going on in {tree.path}")
        holders = [tree for tree in trees if tree.branch == self._branch]
        if len(holders) > 1:
            return Skipped(f"{self._branch} is checked out in several work trees")
        if holders and dirty(holders[0]):
            return Skipped(f"{holders[0].path} has uncommitted changes on {self._branch}: commit or stash them")
        self._begin()
        if holders:
            problem = fast_forward(holders[0], self._user, Step(self._branch, theirs, commit))
            return Skipped(problem) if problem else Published(commit)
        if not move_ref(self._user, self._ref, commit, theirs):
            return Skipped(f"{self._branch} moved meanwhile")
        return Published(commit)

    def _to_remote(self, commit: str, remote: str) -> Published | Skipped | None:
        """Push to a remote of the user's repository; None if it is known to hold the commit."""
        if remote not in list(self._user.remotes.names()):
            return Skipped(f"your repository has no remote {remote}")
        if resolve(self._user, f"refs/remotes/{remote}/{self._branch}") == commit:
            return None
        self._begin()
        pushed = self._push(remote, commit, self._ref)
        if pushed.exit_code == 0 and not pushed.timed_out:
            self._push_notes(remote)
            return Published(commit)
        if "[rejected]" in pushed.output:
            pulls = (f"git pull --no-rebase {source} {self._branch}" for source in (remote, self._paths.hub))
            return Skipped(
                f"{self._branch} of {remote} has commits that the landed work lacks: run `{' && '.join(pulls)}` on your"
                f" {self._branch}, and it is adopted"
            )
        return Skipped(f"cannot push to {remote}: {complaint(pushed)}")

    def _push(self, remote: str, commit: str, ref: str) -> Captured:
        return user_git(
            self._repository.root, "push", "--porcelain", "--no-verify", "--no-follow-tags",
            "--recurse-submodules=no", "--", remote, f"{commit}:{ref}", timeout=PUSH_SECONDS,
        )  # fmt: skip

    def _push_notes(self, remote: str) -> None:
        """Push the evidence, if that is wanted; the branch is published all the same if it cannot be."""
        notes = resolve(self._hub, NOTES_REF) if self._notes else None
        if notes is None:
            return
        self._fetch(NOTES_REF)
        pushed = self._push(remote, notes, NOTES_REF)
        if pushed.exit_code != 0 or pushed.timed_out:
            why = f"{NOTES_REF} of {remote} is another's" if "[rejected]" in pushed.output else complaint(pushed)
            self._tracker.record("publish-skipped", {"reason": f"the evidence was not pushed: {why}"})

    def _begin(self) -> None:
        """From here on the user's repository changes. First the landed commits come into it."""
        self._tracker.set_unpublished("")
        point("publish.begun")
        self._fetch(self._ref)
        point("publish.fetched")

    def _fetch(self, ref: str) -> None:
        """Bring what a ref of the hub holds into the user's repository, without a ref: it takes no lock that could be
        left behind, and git keeps what is new for days."""
        fetched = user_git(
            self._repository.root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--recurse-submodules=no", "--", self._paths.hub, ref,
        )  # fmt: skip
        if fetched.exit_code != 0:
            raise EnvironmentProblem(f"cannot bring landed commits into your repository: {complaint(fetched)}")
