"""The tracker: issues, leases, attempts and changes, as operations in an append-only log that lives in git.

Truth is the log of operations (`operations`); state is a deterministic fold of it (`fold`) into an SQLite index
(`schema`, `queries`). A write is one SQLite transaction that adds the operation and folds it, so a claim is atomic and
survives kill -9; the index is also the outbox, from which operations go to `refs/tapeout/log/<replica>` of the hub
(`gitlog`). Listeners are woken by named pipes (`doorbell`), never by polling.

What may go wrong: the index is deleted or damaged (it is made again from git), the disk is full (the write fails as a
whole, with one line), a worker comes back after its lease was taken over (its writes are refused by the fencing token).

    from tapeout.tracker import Draft, Tracker

    with Tracker.at(".", actor="ada") as tracker:
        issue = tracker.create(Draft("Parse tags", acceptance="- `#tag` becomes a label"))
        lease = tracker.claim(issue.id, owner="ada")
"""

from __future__ import annotations

import time

from tapeout.base import caller
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import find_repository, state_paths
from tapeout.tracker import queries
from tapeout.tracker.attachments import AttachmentCommands
from tapeout.tracker.attempts import AttemptCommands
from tapeout.tracker.changes import ChangeCommands
from tapeout.tracker.edits import EditCommands
from tapeout.tracker.fields import Draft
from tapeout.tracker.finding import FindCommands
from tapeout.tracker.issues import IssueCommands
from tapeout.tracker.past import PastCommands
from tapeout.tracker.queries import Counts, Filter
from tapeout.tracker.reports import ReportCommands
from tapeout.tracker.transfers import TransferCommands

if TYPE_CHECKING:
    from typing import Self

    from tapeout.tracker.prime import Primer
    from tapeout.tracker.prime_model import Reader
    from tapeout.tracker.remote import Remote
    from tapeout.tracker.sync import SyncReport


class Tracker(
    IssueCommands,
    EditCommands,
    AttachmentCommands,
    PastCommands,
    AttemptCommands,
    ChangeCommands,
    FindCommands,
    ReportCommands,
    TransferCommands,
):
    """Everything that can be done to the tracker of one repository. Open it with `Tracker.at(folder, actor)`.

    Every method that changes something is one transaction, and its changes go to git when the tracker is closed.
    One connection, not for use by several threads at once; any number of processes may have one.
    """

    @classmethod
    def at(cls, folder: str | None = None, actor: str | None = None) -> Self:
        """Open the tracker of the git repository that `folder` lies in, creating it on first use.

        Args:
            folder: default: `$TAPEOUT_REPOSITORY`, else the current folder.
            actor: who writes; default: `$TAPEOUT_ACTOR`, else the user, or the attempt inside a worker.

        Raises:
            EnvironmentProblem: there is no git repository, or the state directory cannot be written.
        """
        return cls.open(state_paths(find_repository(folder)), actor or caller.actor())

    def prime(
        self,
        budget: int = 1_500,
        issue: str | None = None,
        *,
        now: float | None = None,
        reader: Reader | None = None,
    ) -> Primer:
        """What a fresh session needs to know of the plan, as text of at most `budget` estimated tokens.

        Args:
            issue: an issue, by id or by the start of its id, around which all is centred.
            now: the moment, unix time; default: the clock's.
            reader: for whom it is.

        Raises:
            UsageError: the budget is too small or too large.
        """
        from tapeout.tracker.prime import compile_primer
        from tapeout.tracker.prime_facts import collect
        from tapeout.tracker.prime_model import Reader

        with self._reading() as connection:
            identity = None if issue is None else queries.resolve(connection, issue)
            facts = collect(connection, time.time() if now is None else now, identity)
        return compile_primer(facts, budget, Reader() if reader is None else reader)

    def sync(self, remote: Remote, *, repair: bool = False) -> SyncReport:
        """Exchange issues with other clones: see `tapeout.tracker.sync`."""
        from tapeout.tracker import sync

        return sync.sync(self, remote, repair=repair)


__all__ = ["Counts", "Draft", "Filter", "Tracker"]
