"""The tracker: issues, leases, attempts and changes, as operations in an append-only log that lives in git.

    from tapeout.tracker import Draft, Tracker

    with Tracker.at(".", actor="ada") as tracker:
        issue = tracker.create(Draft("Parse tags", acceptance="- `#tag` becomes a label"))
        lease = tracker.claim(issue.id, owner="ada")

Truth is the log; state is a deterministic fold of it into an SQLite index. A write is one SQLite transaction that adds
the operation and folds it, so a claim is atomic and survives kill -9. The index is also the outbox, from which
operations go to git. docs/explanation/storage.md tells it at length. A map of the room, in the order of a write:

    model        the words: Issue, Dependency, Lease, Attempt, Change, Event
    fields       which values of a field are valid; `Draft`, an issue that is not filed yet; `drafts`: from Markdown
    operations   one entry of the log, its clock, its line of JSON
    commands/    what can be done: the methods of `Tracker`, by subject
    store        the door for one process: transactions, appending, waking listeners, bringing to git
    schema       the index: its tables, making and opening it
    log          the log as the index holds it
    fold         operation to rows, of its own issue only; `bulk`: very many at once
    waiting      what follows for other issues: who waits for whom, circles; `digraph`: the algorithms
    queries      rows to the values of `model`
    outbox       what is not in git yet, and how it gets there; `gitlog`: the log in git; `blobs`: attached files
    overlap      an index and a log that went on under the same numbers, told apart
    rebuild      the index again from git
    doorbell     listeners are woken by named pipes, never by polling

Other clones:

    merge        operations of others into the index, in any order; `knowledge`: who could have known of what
    sharing/     sync through a git remote, audit of what comes, claims that all clones respect

What is built on that, imported only when it is called:

    query/       the query language and full-text search
    reports/     reasons, graphs, figures
    history/     history, blame, undo
    prime/       the plan for a fresh session and the digest for whoever steers, within a budget of tokens
    transfer/    import, export, snapshot

What may go wrong: the index is deleted or damaged (it is made again from git), the disk is full (the write fails as a
whole, with one line), a worker comes back after its lease was taken over (its writes are refused by the fencing token).
"""

from __future__ import annotations

import time

from tapeout.base import caller
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import find_repository, state_paths
from tapeout.tracker import queries
from tapeout.tracker.commands.attachments import AttachmentCommands
from tapeout.tracker.commands.changes import ChangeCommands
from tapeout.tracker.commands.control import ControlCommands
from tapeout.tracker.commands.edits import EditCommands
from tapeout.tracker.commands.failures import FailureCommands
from tapeout.tracker.commands.finding import FindCommands
from tapeout.tracker.commands.past import PastCommands
from tapeout.tracker.commands.permissions import PermissionCommands
from tapeout.tracker.commands.redmain import RedMainCommands
from tapeout.tracker.commands.reports import ReportCommands
from tapeout.tracker.commands.transfers import TransferCommands
from tapeout.tracker.fields import Draft
from tapeout.tracker.queries import Counts, Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from tapeout.tracker.model import Issue
    from tapeout.tracker.prime.digest import Digest
    from tapeout.tracker.prime.digest_facts import FloorNow
    from tapeout.tracker.prime.model import Reader
    from tapeout.tracker.prime.primer import Primer
    from tapeout.tracker.sharing.remote import Remote
    from tapeout.tracker.sharing.sync import SyncReport


class Tracker(
    RedMainCommands,
    ControlCommands,
    EditCommands,
    AttachmentCommands,
    PastCommands,
    ChangeCommands,
    PermissionCommands,
    FindCommands,
    FailureCommands,
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
        from tapeout.tracker.prime.facts import collect
        from tapeout.tracker.prime.model import Reader
        from tapeout.tracker.prime.primer import compile_primer

        with self._reading() as connection:
            identity = None if issue is None else queries.resolve(connection, issue)
            facts = collect(connection, time.time() if now is None else now, identity)
        return compile_primer(facts, budget, Reader() if reader is None else reader)

    def digest(
        self,
        budget: int = 2_000,
        *,
        now: float | None = None,
        floor: FloorNow | None = None,
        lane_of: Callable[[Issue], str] | None = None,
        held: Sequence[str] = (),
    ) -> Digest:
        """What whoever steers needs to know of everything, as text of at most `budget` estimated tokens.

        Args:
            now: the moment, unix time; default: the clock's.
            floor: the floor, if one runs.
            lane_of: names the lane of an issue, where there are lanes.
            held: why attempts are not started though issues are ready, a line each.

        Raises:
            UsageError: the budget is too small or too large.
        """
        from tapeout.tracker.prime.digest import compile_digest
        from tapeout.tracker.prime.digest_facts import collect_digest

        with self._reading() as connection:
            facts = collect_digest(connection, time.time() if now is None else now, floor, lane_of, held)
        return compile_digest(facts, budget)

    def sync(self, remote: Remote, *, repair: bool = False) -> SyncReport:
        """Exchange issues with other clones: see `tapeout.tracker.sharing.sync`."""
        from tapeout.tracker.sharing import sync

        return sync.sync(self, remote, repair=repair)


__all__ = ["Counts", "Draft", "Filter", "Tracker"]
