"""From the hub's main to one open pull request, in steps that can be cut off anywhere and done again."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.faults import point
from tapeout.base.git import first_parent, is_ancestor, message_of, resolve
from tapeout.base.usergit import complaint, user_git
from tapeout.gate.evidence import read_sealed
from tapeout.gate.pullrequest.gh import Gh, PullRequest
from tapeout.gate.pullrequest.join import has_same_files, join
from tapeout.gate.pullrequest.text import LISTED, Landed, body_of, title_of
from tapeout.gate.transport import Transport, pulls, succeeded, was_rejected


class Proposed(NamedTuple):
    """All that landed is in the remote's target branch or in an open pull request."""

    commit: str
    """The hub's main, which got a commit more if a squash or rebase merge was joined."""
    opened: bool = False
    """Whether a pull request was opened or brought up to date; otherwise nothing was to be done."""
    url: str = ""
    """Its address, if `gh` said it."""
    is_described: bool = True
    """Whether its text is up to date, too."""


def is_proposed(hub: pygit2.Repository, *, branch: str, commit: str, remote: str) -> bool:
    """Whether that was done for exactly this commit, so that nothing runs as long as nothing changes."""
    return resolve(hub, _mark(branch, remote)) == commit


def propose(
    transport: Transport, hub: pygit2.Repository, user: pygit2.Repository, *, branch: str, commit: str, remote: str
) -> Proposed:
    """Propose the commit of the hub's main to the branch of that name of a remote.

    Raises:
        EnvironmentProblem: that is not possible now, and why.
    """
    found = _Proposal(transport, hub, user, branch, remote).run(commit)
    if found.is_described:
        hub.references.create(_mark(branch, remote), found.commit, force=True)
    return found


def _mark(branch: str, remote: str) -> str:
    return f"refs/tapeout/proposed/{remote}/{branch}"


class _Proposal:
    def __init__(
        self, transport: Transport, hub: pygit2.Repository, user: pygit2.Repository, branch: str, remote: str
    ) -> None:
        self._transport = transport
        self._hub = hub
        self._user = user
        self._branch = branch
        self._remote = remote
        self._ours = f"tapeout/{branch}"
        self._gh = Gh(transport.repository.root, self._address())

    def run(self, commit: str) -> Proposed:
        """As `propose`."""
        self._transport.begin(f"refs/heads/{self._branch}")
        theirs = self._transport.update(self._remote, self._branch)
        if self._brings_nothing(commit, theirs):
            return Proposed(commit)
        requests = self._gh.of_branch(self._ours)
        apart = self._merged_as_other_commits(requests, commit, theirs)
        if apart is not None:
            all_merged = apart.head == commit
            commit = self._bring_together(apart, commit)
            if all_merged:
                return Proposed(commit)
        current = next((one for one in requests if one.state == "OPEN"), None)
        closed = next((one for one in requests if one.state == "CLOSED" and one.head == commit), None)
        if current is None and closed is not None:
            raise EnvironmentProblem(
                f"pull request {closed.number} was closed: {closed.url}",
                hint="reopen it; else the next landing opens another one",
            )
        self._push(commit)
        point("publish.pushed")
        landed = self._landed(commit, theirs, requests)
        done = self._open(commit, current, title_of(landed), body_of(landed, branch=self._branch))
        point("publish.proposed")
        return done

    def _address(self) -> str:
        if self._remote not in list(self._user.remotes.names()):
            raise EnvironmentProblem(f"your repository has no remote {self._remote}")
        found = user_git(self._transport.repository.root, "remote", "get-url", "--push", "--", self._remote)
        if not succeeded(found):
            raise EnvironmentProblem(f"cannot find the address of {self._remote}: {complaint(found)}")
        return found.output.strip()

    def _brings_nothing(self, commit: str, theirs: str) -> bool:
        """Whether a pull request would have no difference to show."""
        base = self._user.merge_base(commit, theirs)
        if base is None:
            raise EnvironmentProblem(f"{self._branch} of {self._remote} has an unrelated history")
        trees = [self._user[one].peel(pygit2.Commit).tree_id for one in (str(base), commit)]
        return bool(trees[0] == trees[1])

    def _merged_as_other_commits(self, requests: Sequence[PullRequest], commit: str, theirs: str) -> PullRequest | None:
        """The newest merged pull request, if its commits are not in the target branch but others are, which the hub
        lacks: a squash or rebase merge."""
        merged = next((one for one in requests if one.state == "MERGED"), None)
        if merged is None or is_ancestor(self._user, merged.head, theirs):
            return None
        is_there = is_ancestor(self._user, merged.merged_as, theirs)
        return merged if is_there and not is_ancestor(self._user, merged.merged_as, commit) else None

    def _bring_together(self, apart: PullRequest, commit: str) -> str:
        """The hub's main after joining; as it is if all of it is merged.

        Raises:
            EnvironmentProblem: only a person can bring it together.
        """
        if is_ancestor(self._user, apart.head, commit) and has_same_files(self._user, apart):
            source, tracking = self._transport.repository.git_dir, f"refs/remotes/{self._remote}/{self._branch}"
            joined = join(self._hub, self._branch, commit, apart, source=source, tracking=tracking)
            self._transport.tracker.record("joined", {"commit": joined, "pull_request": apart.url})
            self._transport.begin(f"refs/heads/{self._branch}")
            return joined
        if apart.head == commit:
            return commit
        # Their common commit first: then what both sides have is no conflict.
        merge = f" && git merge --no-edit {apart.head}" if apart.head in self._user else ""
        raise EnvironmentProblem(
            f"pull request {apart.number} was merged as other commits, together with changes that the landed work"
            f" lacks: run `{pulls(self._branch, self._remote)}{merge}"
            f" && {pulls(self._branch, self._transport.paths.hub)}` on your {self._branch}, and it is adopted"
        )

    def _push(self, commit: str) -> None:
        pushed = self._transport.push(self._remote, commit, f"refs/heads/{self._ours}")
        if succeeded(pushed):
            return
        if was_rejected(pushed):
            raise EnvironmentProblem(
                f"{self._ours} of {self._remote} has commits that the landed work lacks: run"
                f" `{pulls(self._ours, self._remote)} && {pulls(self._branch, self._transport.paths.hub)}` on your"
                f" {self._branch}, and they are adopted; or delete it there"
            )
        raise EnvironmentProblem(f"cannot push to {self._remote}: {complaint(pushed)}")

    def _open(self, commit: str, current: PullRequest | None, title: str, body: str) -> Proposed:
        if current is None:
            try:
                return Proposed(commit, opened=True, url=self._gh.create(self._ours, self._branch, title, body))
            except EnvironmentProblem:  # another floor, or its answer was lost: then it is there
                current = next((one for one in self._gh.of_branch(self._ours) if one.state == "OPEN"), None)
                if current is None:
                    raise
        try:
            self._gh.edit(current.number, title, body)
        except EnvironmentProblem as error:  # the commits are in it all the same
            reason = f"the text of pull request {current.number} is not up to date: {error.message}"
            self._transport.tracker.record("publish-skipped", {"reason": reason})
            return Proposed(commit, opened=True, url=current.url, is_described=False)
        return Proposed(commit, opened=True, url=current.url)

    def _landed(self, commit: str, theirs: str, requests: Sequence[PullRequest]) -> list[Landed]:
        """What is proposed, newest first: main's own steps, and not what was merged before, under whatever id."""
        merged = next((one.head for one in requests if one.state == "MERGED" and one.head in self._user), theirs)
        there, found = (theirs, merged), list[Landed]()
        at: str | None = commit
        while at is not None and len(found) <= LISTED and not any(is_ancestor(self._user, at, one) for one in there):
            below = first_parent(self._user, at)
            if below is None or self._tree(at) != self._tree(below):  # else it joined two histories
                found.append(self._describe(at))
            at = below
        return found

    def _describe(self, commit: str) -> Landed:
        record = read_sealed(self._hub, commit)
        title = message_of(self._user[commit].peel(pygit2.Commit)).partition("\n")[0]
        if record is not None:
            with contextlib.suppress(NotFound):
                title = self._transport.tracker.issue(str(record.get("issue"))).title
        return Landed(commit, title, record)

    def _tree(self, commit: str) -> str:
        return str(self._user[commit].peel(pygit2.Commit).tree_id)
