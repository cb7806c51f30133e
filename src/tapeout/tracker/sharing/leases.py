"""Claims between floors that share only a git remote: a ref a claimed issue, made by compare-and-swap.

`refs/tapeout/leases/<issue>` on the remote points to a commit whose message says who holds the issue until when.
Creating it with the expectation that it does not exist is atomic on every git server, so of many who try one wins. A
lease that has run out is taken over by replacing exactly the commit that was seen. Within one clone the tracker's own
lease decides, so what another attempt of the same clone holds on the remote is simply taken over.

What may go wrong: the remote cannot be reached (`Unreachable`: nobody may claim then; who holds a lease may go on until
it runs out), clocks of machines differ (by less than the length of a lease that harms nobody: a holder stops at the end
of its own lease).
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple, Self

import pygit2

from tapeout.base import git
from tapeout.base.errors import LostClaim
from tapeout.base.moments import utc
from tapeout.base.paths import Repository
from tapeout.tracker.model import LAST_MOMENT
from tapeout.tracker.sharing.remote import Push, Remote, Unreachable
from tapeout.tracker.store import Store

LEASE_REFS = "refs/tapeout/leases/"
_SEEN_REFS = "refs/tapeout/leases-seen/"

SETTING = "shared-claims"
"""Setting of the index: the remote that claims by hand are shared through; not set if they are not shared."""

SHARED_SECONDS = 900.0
"""How long a lease on a remote lives: renewing it costs a push, so it is longer than a local one."""


_TRIES = 5
"""How often a push is tried again that was refused although nobody else moved the ref: two that come at the same
moment can both be in the way of each other."""


class SharedLease(NamedTuple):
    """What a lease's ref says."""

    issue: str
    owner: str
    expires: float
    """Unix time."""
    replicas: tuple[str, ...]
    """Names of the holder's clone: it may take over from itself."""
    commit: str


class HeldElsewhere(LostClaim):
    """Another clone holds the issue (exit code 9)."""

    def __init__(self, lease: SharedLease) -> None:
        super().__init__(
            f"{lease.issue} is held by {lease.owner} in another clone until {utc(lease.expires)}",
            details={"issue": lease.issue, "owner": lease.owner, "expires": lease.expires},
        )
        self.lease = lease


class SharedLeases:
    """The leases of one clone on one remote."""

    def __init__(self, store: Store, remote: Remote) -> None:
        self._store = store
        self._remote = remote
        self._repository = git.ensure_bare(store.paths.tracker_git)
        self._replicas = tuple(store.own_replicas())

    @classmethod
    def through(cls, store: Store, repository: Repository, remote: str) -> Self:
        """The leases on a remote, by its name."""
        return cls(store, Remote(store.paths, repository, remote))

    def take(self, issue: str, owner: str, expires: float | None = None) -> SharedLease:
        """Take the lease of an issue, or renew or take over one that is ours or has run out.

        Args:
            expires: until when, unix time; by default for `SHARED_SECONDS`.

        Raises:
            HeldElsewhere: another clone holds it.
            Unreachable: the remote cannot be reached, or takes no leases.
        """
        name = LEASE_REFS + issue
        before, tries = None, 0
        while True:
            there = self._remote.refs(name).get(name, "")
            held = self._read(issue, there) if there else None
            if held is not None and held.expires > time.time() and not set(held.replicas) & set(self._replicas):
                raise HeldElsewhere(held)
            lease = self._draft(issue, owner, expires or time.time() + SHARED_SECONDS)
            refused = self._remote.push([Push(name, lease.commit, expected=there)])
            if not refused:
                return lease
            tries = tries + 1 if there == before else 0
            if tries == _TRIES:
                raise self._refused(issue, refused[name])
            before = there

    def release(self, lease: SharedLease) -> bool:
        """Give a lease back; False if it was not ours any more.

        Raises:
            Unreachable: the remote cannot be reached, or does not let it go; the lease runs out by itself.
        """
        return self._replace(lease, "")

    def give_back(self, issue: str) -> None:
        """Give back whatever lease this clone has on an issue.

        Raises:
            Unreachable: the remote cannot be reached; the lease runs out by itself.
        """
        name = LEASE_REFS + issue
        there = self._remote.refs(name).get(name)
        held = self._read(issue, there) if there else None
        if held is not None and set(held.replicas) & set(self._replicas):
            self.release(held)

    def renew(self, lease: SharedLease, seconds: float = SHARED_SECONDS) -> SharedLease:
        """Extend a lease.

        Raises:
            LostClaim: somebody else has taken it over, or it was given back.
            Unreachable: the remote cannot be reached, or does not take it: the lease is still ours.
        """
        renewed = self._draft(lease.issue, lease.owner, time.time() + seconds)
        if self._replace(lease, renewed.commit):
            return renewed
        there = self._remote.refs(LEASE_REFS + lease.issue).get(LEASE_REFS + lease.issue)
        if there is None:
            raise LostClaim(f"the lease of {lease.owner} on {lease.issue} was given back: it is not ours any more")
        held = self._read(lease.issue, there)
        if held is not None and held.owner == lease.owner and set(held.replicas) & set(self._replicas):
            return self.renew(held, seconds)  # a push of ours went through, and its answer was lost
        raise LostClaim(f"the lease of {lease.owner} on {lease.issue} was taken over by another clone")

    def _replace(self, lease: SharedLease, commit: str) -> bool:
        """Put another commit, or none, in the place of a lease; False if it is not there any more. A push can be
        refused for other reasons too, so what is there is asked for and not guessed."""
        name = LEASE_REFS + lease.issue
        for _ in range(_TRIES):
            refused = self._remote.push([Push(name, commit, expected=lease.commit)])
            there = self._remote.refs(name).get(name, "") if refused else commit
            if there != lease.commit:
                return there == commit
        raise self._refused(lease.issue, refused[name])

    def _refused(self, issue: str, reason: str) -> Unreachable:
        return Unreachable(
            f"{self._remote.name} does not take the lease of {issue}: {reason}",
            hint=f"whoever looks after it has to allow pushes to {LEASE_REFS}*",
        )

    def exchange(self) -> None:
        """Exchange logs with the remote: before giving a lease back, so that others know what was done under it, and
        after taking one, so as to know what others did.

        Raises:
            Unreachable: the remote cannot be reached.
        """
        from tapeout.tracker.sharing.sync import sync

        sync(self._store, self._remote)

    def all(self) -> list[SharedLease]:
        """Every lease on the remote that can be read.

        Raises:
            Unreachable: the remote cannot be reached.
        """
        there = self._remote.refs(f"{LEASE_REFS}*")
        found = (self._read(name.removeprefix(LEASE_REFS), commit) for name, commit in sorted(there.items()))
        return [lease for lease in found if lease is not None]

    def _draft(self, issue: str, owner: str, expires: float) -> SharedLease:
        """A commit that says so. Two for the same holder differ, so that a swap can tell them apart."""
        text = json.dumps(
            {"issue": issue, "owner": owner, "expires": expires, "replicas": self._replicas, "granted": time.time_ns()}
        )
        who = git.signature()
        empty = self._repository.TreeBuilder().write()
        commit = self._repository.create_commit(None, who, who, text, empty, [])
        return SharedLease(issue, owner, expires, self._replicas, str(commit))

    def _read(self, issue: str, commit: str) -> SharedLease | None:
        """A lease as its commit tells it; None if it is none of ours, which holds nobody off."""
        if commit not in self._repository:
            self._remote.fetch([f"+{LEASE_REFS}{issue}:{_SEEN_REFS}{issue}"])
        try:
            said = json.loads(self._repository[commit].peel(pygit2.Commit).message)
            expires, replicas = float(said["expires"]), tuple(said["replicas"])
            makes_sense = 0 <= expires <= LAST_MOMENT and all(isinstance(one, str) for one in replicas)
            return SharedLease(issue, str(said["owner"]), expires, replicas, commit) if makes_sense else None
        except (LookupError, ValueError, TypeError, RecursionError, pygit2.GitError):
            return None
