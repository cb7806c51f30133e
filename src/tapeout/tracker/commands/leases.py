"""Claims: one live lease an issue. The identity of a holder is its attempt, and its writes carry a fencing token."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from tapeout.base.errors import LostClaim, NotAllowed, NotFound, UsageError
from tapeout.base.moments import utc
from tapeout.tracker import queries
from tapeout.tracker.model import Issue, Lease
from tapeout.tracker.store import Store

DEFAULT_LEASE_SECONDS = 60.0
MAX_LEASE_SECONDS = 1e8


class LeaseCommands(Store):
    """Claim, renew, release."""

    def claim(self, prefix: str, owner: str, seconds: float = DEFAULT_LEASE_SECONDS) -> Lease:
        """Take an issue. A lease that ran out can be taken over.

        Raises:
            LostClaim: somebody else holds it; says who and until when.
            NotAllowed: it is closed.
        """
        with self._writing():
            issue = queries.issue(self._connection, queries.resolve(self._connection, prefix))
            if issue.status == "closed":
                raise NotAllowed(f"{issue.id} is closed ({issue.resolution})")
            refuse_held(issue, owner)
            return self._grant(issue, owner, seconds)

    def claim_next(self, owner: str, seconds: float = DEFAULT_LEASE_SECONDS, labels: Sequence[str] = ()) -> Lease:
        """Take the most urgent ready issue that has all these labels.

        Raises:
            NotFound: nothing is ready.
        """
        with self._writing():
            ready = queries.ready(self._connection, time.time(), 1, labels)
            if not ready:
                raise NotFound(f"no issue with {' and '.join(labels)} is ready" if labels else "no issue is ready")
            return self._grant(ready[0], owner, seconds)

    def renew(self, lease: Lease, seconds: float = DEFAULT_LEASE_SECONDS) -> Lease:
        """Extend a lease. Renewals stay in the index: they are of no interest to anybody later.

        Raises:
            LostClaim: it was taken over or released.
        """
        with self._writing():
            self._fence(lease)
            now = time.time()
            expires = _expiry(seconds, now)
            self._connection.execute(
                "UPDATE issues SET lease_expires = ?, lease_granted = ? WHERE id = ? AND lease_owner IS NOT NULL",
                (expires, now, lease.issue),
            )
            return lease._replace(expires=expires)

    def held_lease(self, prefix: str, owner: str) -> Lease:
        """The lease that `owner` holds on an issue, also one that has run out and that nobody took over.

        Raises:
            LostClaim: somebody else holds it, or nobody.
        """
        with self._reading() as connection:
            issue = queries.issue(connection, queries.resolve(connection, prefix))
        if issue.lease_owner != owner:
            raise _lost(issue, hint="`tapeout claim` takes an issue that nobody holds")
        return Lease(issue.id, owner, issue.lease_token, issue.lease_expires or 0)

    def release(self, lease: Lease) -> None:
        """Give an issue back.

        Raises:
            LostClaim: it was taken over.
        """
        with self._writing():
            self._fence(lease)
            self._append(lease.issue, "released", {"token": lease.token, "owner": lease.owner})

    def release_issue(self, prefix: str, owner: str, *, force: bool = False) -> Issue:
        """Release the lease that `owner` holds, or anybody's with `force`: that holder's later writes are refused."""
        with self._writing():
            issue = queries.issue(self._connection, queries.resolve(self._connection, prefix))
            if issue.lease_owner is None:
                raise NotAllowed(f"{issue.id} is not claimed")
            token = issue.lease_token
            if issue.lease_owner != owner:
                if not force:
                    raise _lost(issue, hint="--force releases it all the same")
                token = self._grant(issue, owner, 0).token
            self._append(issue.id, "released", {"token": token, "owner": owner})
            return queries.issue(self._connection, issue.id)

    def note_held_elsewhere(self, issue: str, owner: str, expires: float) -> None:
        """Another clone holds an issue, as the remote says: until then it is not ready here. That is in the index only:
        the other clone's claim reaches the log when it is exchanged."""
        with self._writing():
            self._connection.execute(
                "UPDATE issues SET lease_owner = ?, lease_expires = ?, lease_granted = ? WHERE id = ?"
                " AND (lease_owner IS NULL OR lease_expires <= ?)",
                (owner, expires, time.time(), issue, time.time()),
            )

    @contextlib.contextmanager
    def under_lease(self, owner: str, token: int) -> Iterator[None]:
        """Within this, nothing is written about an issue whose newest lease is not this one: who comes back after his
        lease was taken over or given back changes nothing.

        Args:
            owner: who took the lease.
            token: its fencing token.

        Raises:
            LostClaim: by the writes, when the lease is stale; says who holds the issue until when.
        """

        def guard(issue: str) -> None:
            if queries.exists(self._connection, issue):  # an issue that is being filed is nobody's
                self._fence(Lease(issue, owner, token, 0))

        self._guard = guard
        try:
            yield
        finally:
            self._guard = None

    def _grant(self, issue: Issue, owner: str, seconds: float) -> Lease:
        now = time.time()
        lease = Lease(issue.id, owner, issue.lease_token + 1, _expiry(seconds, now))
        data = {"owner": lease.owner, "token": lease.token, "expires": lease.expires, "granted": now}
        self._append(issue.id, "claimed", data)
        return lease

    def _fence(self, lease: Lease) -> Issue:
        """The leased issue, if the lease still counts: no newer one was given, and it was not released. Closing an
        issue ends its lease without making the holder stale.

        Raises:
            LostClaim: this lease is stale.
        """
        issue = queries.issue(self._connection, lease.issue)
        holder = issue.lease_owner
        if issue.lease_token != lease.token or holder not in (lease.owner, None):
            raise _lost(issue, f"the lease of {lease.owner} on {lease.issue} was taken over: ")
        if holder is None and issue.status == "open":
            raise _lost(issue, f"the lease of {lease.owner} on {lease.issue} was released: ")
        return issue


def _expiry(seconds: float, now: float) -> float:
    if not 0 <= seconds <= MAX_LEASE_SECONDS:  # also refuses NaN
        raise UsageError(f"a lease of {seconds} seconds: it should be between 0 and {MAX_LEASE_SECONDS:.0f}")
    return now + seconds


def refuse_held(issue: Issue, owner: str) -> None:
    """Refuse an issue that is held, also by `owner`.

    Raises:
        LostClaim: it is; says by whom until when.
    """
    if issue.is_leased(time.time()):
        hint = "you hold it already" if issue.lease_owner == owner else None
        raise _lost(issue, hint=hint)


def _lost(issue: Issue, before: str = "", *, hint: str | None = None) -> LostClaim:
    """The error that says who holds the issue now, until when."""
    details = {"issue": issue.id, "owner": issue.lease_owner, "expires": issue.lease_expires}
    return LostClaim(before + _held(issue), hint=hint, details=details)


def _held(issue: Issue) -> str:
    if issue.lease_owner is None:
        return f"{issue.id} is held by nobody now"
    return f"{issue.id} is held by {issue.lease_owner} until {utc(issue.lease_expires or 0)}"
