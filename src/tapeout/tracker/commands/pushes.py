"""A change that somebody pushed to the hub: queued for an issue without a worker."""

from __future__ import annotations

import os
import time

from tapeout.base.errors import NotAllowed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import queries
from tapeout.tracker.commands.attempts import AttemptCommands
from tapeout.tracker.commands.issues import IssueCommands
from tapeout.tracker.commands.leases import refuse_held
from tapeout.tracker.model import OPEN_CHANGE_STATES, Lease

if TYPE_CHECKING:
    from tapeout.tracker.fields import Draft
    from tapeout.tracker.model import Change, Issue

PUSH_LEASE_SECONDS = 86_400.0
"""How long an issue that was filed for a push stays the pusher's: no agent takes it up when its change fails."""

AGENT = "push"


class PushCommands(AttemptCommands, IssueCommands):
    """Pushed changes."""

    def check_push(self, prefix: str, owner: str) -> Issue:
        """The issue that a push of `owner` names.

        Raises:
            NotFound: there is none.
            NotAllowed: it is closed.
            LostClaim: somebody else holds it.
        """
        with self._reading() as connection:
            return _checked(queries.issue(connection, queries.resolve(connection, prefix)), owner)

    def submit_push(
        self, attempt: str, owner: str, *, commit: str, base: str, issue: str | None, draft: Draft
    ) -> Change:
        """Put a pushed commit into the queue, all in one transaction. A commit that is in it already is not put there
        again: the answer is its change, of another attempt.

        A lease that `owner` has on the issue stays; one on an issue that is filed for the push lasts a day.

        Args:
            attempt: a new id; it names the push, which begins and ends at once.
            issue: by id or by the start of its id; None files `draft`.

        Raises:
            TapeoutError: as `check_push`.
        """
        import socket  # loaded by nobody else who writes to the tracker

        with self._writing():
            queued = queries.changes(self._connection, states=OPEN_CHANGE_STATES)
            for change in queued:
                if change.commit == commit and (issue is None or change.issue.startswith(issue)):
                    return change
            identity = self._create([draft])[0] if issue is None else queries.resolve(self._connection, issue)
            found = _checked(queries.issue(self._connection, identity), owner)
            held = found.is_leased(time.time())
            lease = self._held(found) if held else self._grant(found, owner, PUSH_LEASE_SECONDS)
            identity_of_process = {"agent": AGENT, "host": socket.gethostname(), "pid": os.getpid(), "pid_started": 0.0}
            self._begin(found.id, attempt, **identity_of_process)
            change = self._submit(found.id, attempt, commit=commit, base=base)
            ended = {"attempt": attempt, "outcome": "stopped", "detail": f"pushed by {owner}", "head": None}
            self._append(found.id, "attempt-ended", ended)
            if not held and issue is not None:
                self._append(found.id, "released", {"token": lease.token, "owner": owner})
            return change

    @staticmethod
    def _held(issue: Issue) -> Lease:
        return Lease(issue.id, issue.lease_owner or "", issue.lease_token, issue.lease_expires or 0)


def _checked(issue: Issue, owner: str) -> Issue:
    if issue.status == "closed":
        raise NotAllowed(f"{issue.id} is closed ({issue.resolution})", hint="`tapeout issue reopen` opens it again")
    if issue.lease_owner != owner:
        refuse_held(issue, owner)
    return issue
