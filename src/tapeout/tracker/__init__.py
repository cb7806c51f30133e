"""The tracker: issues, leases, attempts and changes, as operations in an append-only log that lives in git.

Truth is the log of operations (`operations`); state is a deterministic fold of it (`fold`) into an SQLite index
(`schema`, `queries`). A write is one SQLite transaction that adds the operation and folds it, so a claim is atomic and
survives kill -9; the index is also the outbox, from which operations go to `refs/tapeout/log/<replica>` of the hub
(`gitlog`). Listeners are woken by named pipes (`doorbell`), never by polling.

What may go wrong: the index is deleted or damaged (it is made again from git), the disk is full (the write fails as a
whole, with one line), a worker comes back after its lease was taken over (its writes are refused by the fencing token).

    from tapeout.base.paths import find_repository, state_paths
    from tapeout.tracker import Draft, Tracker

    with Tracker.open(state_paths(find_repository()), actor="ada") as tracker:
        issue = tracker.create(Draft("Parse tags", acceptance="- `#tag` becomes a label"))
        lease = tracker.claim(issue.id, owner="ada")
"""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
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

if TYPE_CHECKING:
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
):
    """Everything that can be done to the tracker of one repository. Open it with `Tracker.open(paths, actor)`."""

    def sync(self, remote: Remote, *, repair: bool = False) -> SyncReport:
        """Exchange issues with other clones: see `tapeout.tracker.sync`."""
        from tapeout.tracker import sync

        return sync.sync(self, remote, repair=repair)


__all__ = ["Counts", "Draft", "Filter", "Tracker"]
