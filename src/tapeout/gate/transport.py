"""Bringing landed commits into the user's repository, and from there to a remote of it, with the user's own git."""

from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.faults import point
from tapeout.base.git import resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.processes import Captured
from tapeout.base.usergit import complaint, user_git
from tapeout.gate.evidence.notes import NOTES_REF
from tapeout.tracker import Tracker

PUSH_SECONDS = 120.0
"""How long a push to a remote may take."""


class Transport(NamedTuple):
    """Between a hub, the user's repository and its remotes."""

    paths: StatePaths
    repository: Repository
    tracker: Tracker

    def begin(self, ref: str) -> None:
        """From here on the user's repository changes. First what the hub's ref holds comes into it.

        Raises:
            EnvironmentProblem: git cannot do it.
        """
        self.tracker.set_unpublished("")
        point("publish.begun")
        self._bring(ref)
        point("publish.fetched")

    def push(self, remote: str, commit: str, ref: str) -> Captured:
        """Push a commit to a ref of a remote, never forced."""
        return user_git(
            self.repository.root, "push", "--porcelain", "--no-verify", "--no-follow-tags",
            "--recurse-submodules=no", "--", remote, f"{commit}:{ref}", timeout=PUSH_SECONDS,
        )  # fmt: skip

    def push_notes(self, hub: pygit2.Repository, remote: str) -> None:
        """Push the evidence; what was published before it stays published if it cannot be."""
        notes = resolve(hub, NOTES_REF)
        if notes is None:
            return
        self._bring(NOTES_REF)
        pushed = self.push(remote, notes, NOTES_REF)
        if not succeeded(pushed):
            why = f"{NOTES_REF} of {remote} is another's" if was_rejected(pushed) else complaint(pushed)
            self.tracker.record("publish-skipped", {"reason": f"the evidence was not pushed: {why}"})

    def update(self, remote: str, branch: str) -> str:
        """Bring a branch of a remote up to date in the user's repository, as `git fetch` does; returns its commit.

        Raises:
            EnvironmentProblem: git cannot do it.
        """
        tracking = f"refs/remotes/{remote}/{branch}"
        fetched = user_git(
            self.repository.root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--recurse-submodules=no", "--", remote, f"+refs/heads/{branch}:{tracking}", timeout=PUSH_SECONDS,
        )  # fmt: skip
        found = resolve(pygit2.Repository(self.repository.git_dir), tracking) if succeeded(fetched) else None
        if found is None:
            raise EnvironmentProblem(f"cannot fetch {branch} of {remote}: {complaint(fetched)}")
        return found

    def _bring(self, ref: str) -> None:
        """What a ref of the hub holds, without a ref: it takes no lock that could be left behind, and git keeps what is
        new for days."""
        fetched = user_git(
            self.repository.root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--recurse-submodules=no", "--", self.paths.hub, ref,
        )  # fmt: skip
        if fetched.exit_code != 0:
            raise EnvironmentProblem(f"cannot bring landed commits into your repository: {complaint(fetched)}")


def succeeded(pushed: Captured) -> bool:
    """Whether git did what it was asked."""
    return pushed.exit_code == 0 and not pushed.timed_out


def was_rejected(pushed: Captured) -> bool:
    """Whether a push was refused because the remote's branch has other commits."""
    return "[rejected]" in pushed.output


def pulls(branch: str, *sources: str) -> str:
    """The commands with which a person brings together what went apart."""
    return " && ".join(f"git pull --no-rebase {source} {branch}" for source in sources)
