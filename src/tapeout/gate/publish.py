"""Bringing landed commits to where people see them. Never forced, never in anybody's way: what cannot be done safely
is skipped with a reason, and the next landing tries again.
"""

from dataclasses import dataclass

import pygit2

from tapeout.base.errors import Busy, EnvironmentProblem
from tapeout.base.git import is_ancestor, move_ref, open_bare, resolve
from tapeout.base.locks import patiently
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.usergit import complaint
from tapeout.config import Config, ProjectConfig
from tapeout.gate.evidence.audit import ensure_in_order
from tapeout.gate.fastforward import fast_forward, mend
from tapeout.gate.halfway import Step
from tapeout.gate.hub import diverged_reason, hub_branch, open_user
from tapeout.gate.pullrequest import is_proposed, propose
from tapeout.gate.transport import Transport, pulls, succeeded, was_rejected
from tapeout.gate.worktrees import Worktree, busy_with, dirty, worktrees
from tapeout.tracker import Tracker

DEFAULT_REMOTE = "origin"
"""Of pull requests that name none."""

WAIT_SECONDS = 150.0
"""How long to wait for another process that publishes: a push of its may take as long as ours."""


@dataclass(frozen=True)
class Published:
    """The destination holds this commit, or a pull request proposes it."""

    commit: str
    pull_request: str = ""
    """Its address."""


@dataclass(frozen=True)
class Skipped:
    """The destination was left as it is."""

    reason: str


def publish(
    paths: StatePaths,
    repository: Repository,
    config: Config,
    tracker: Tracker,
    *,
    quiet: bool = False,
    anew: bool = False,
) -> Published | Skipped | None:
    """Publish the hub's target branch as `project.publish` says; None if that is `none`.

    Records what it did, and unless it is `quiet` (a repetition) why it could not. Killed at any moment it is due again:
    the next call puts right what was left and goes on. `anew`: ask what became of the pull request even if nothing has
    landed since.
    """
    if config.project.publish == "none":
        tracker.set_unpublished(None)
        return None
    try:
        with patiently(paths.publish_lock, WAIT_SECONDS, "another process publishes right now"):
            return _publish(paths, repository, config.project, tracker, quiet=quiet, anew=anew)
    except Busy as error:  # it is that one's to say what came of it
        return Skipped(error.message)


def _publish(
    paths: StatePaths, repository: Repository, project: ProjectConfig, tracker: Tracker, *, quiet: bool, anew: bool
) -> Published | Skipped:
    """As `publish`, while nobody else does."""
    try:
        publication = _Publication(paths, repository, project, tracker)
        done = publication.run(anew=anew)
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
        self._transport = Transport(paths, repository, tracker)

    def is_outdated(self) -> bool:
        """Whether more landed since this began."""
        return resolve(self._hub, self._ref) != self._commit

    def run(self, *, anew: bool) -> Published | Skipped:
        commit = self._commit = ensure_in_order(self._hub, self._branch)
        if commit is None:
            return Skipped("nothing has landed yet")
        how, _, remote = self._where.partition(":")
        if how == "pull-request":
            remote = remote or DEFAULT_REMOTE
            if not anew and is_proposed(self._hub, branch=self._branch, commit=commit, remote=remote):
                return Published(commit)
        done = self._to(how, commit, remote)
        if isinstance(done, Published):
            also = {"pull_request": done.pull_request} if done.pull_request else {}
            self._tracker.record("published", {"commit": done.commit, "where": self._where, **also})
        return done or Published(self._commit or commit)

    def _to(self, how: str, commit: str, remote: str) -> Published | Skipped | None:
        trees = worktrees(self._repository.root)
        for tree in trees:
            if problem := mend(tree, self._user):
                return Skipped(problem)
        if how == "pull-request":
            return self._to_pull_request(commit, remote)
        return self._to_branch(commit, trees) if how == "branch" else self._to_remote(commit, remote)

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
        self._transport.begin(self._ref)
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
        self._transport.begin(self._ref)
        pushed = self._transport.push(remote, commit, self._ref)
        if succeeded(pushed):
            self._push_notes(remote)
            return Published(commit)
        if was_rejected(pushed):
            commands = pulls(self._branch, remote, self._paths.hub)
            return Skipped(
                f"{self._branch} of {remote} has commits that the landed work lacks: run `{commands}` on your"
                f" {self._branch}, and it is adopted"
            )
        return Skipped(f"cannot push to {remote}: {complaint(pushed)}")

    def _to_pull_request(self, commit: str, remote: str) -> Published | None:
        """Propose it to a remote of the user's repository; None if nothing was to be done."""
        done = propose(self._transport, self._hub, self._user, branch=self._branch, commit=commit, remote=remote)
        self._commit = done.commit
        if not done.opened:
            return None
        self._push_notes(remote)
        return Published(done.commit, done.url)

    def _push_notes(self, remote: str) -> None:
        if self._notes:
            self._transport.push_notes(self._hub, remote)
