"""Leaves the handoff of an attempt that was cut off: the one that its agent wrote if it can be believed, else one that
is compiled from what is on record."""

from tapeout.base.paths import StatePaths
from tapeout.floor.handoff.compiling import compile_handoff
from tapeout.floor.handoff.model import HANDOFF, find_handoff
from tapeout.floor.handoff.reading import known_of, ledger_of
from tapeout.floor.handoff.verifying import verify
from tapeout.tracker import Tracker
from tapeout.tracker.model import Lease


def leave_handoff(
    tracker: Tracker, paths: StatePaths, attempt: str, head: str | None, *, said: str = "", lease: Lease | None = None
) -> None:
    """Note the handoff of an attempt whose work is saved.

    One that was noted for the same work before is kept: a worker may be killed between that and the end of its attempt.

    Args:
        head: the commit of all its work; None if it has none.
        said: what the agent answered when it was asked for one.
        lease: the attempt's, while it runs.

    Raises:
        Conflict: the lease was lost.
    """
    earlier = tracker.attempt_notes(attempt).get(HANDOFF)
    if earlier is not None and earlier.get("head") == head and not said:
        return
    base = tracker.attempt(attempt).base
    written = find_handoff(said)
    dropped: tuple[str, ...] = ()
    if written is not None and head is not None and base is not None:
        written, dropped = verify(written, known_of(paths, written, head, base))
    handoff = written or compile_handoff(ledger_of(tracker, paths, attempt, head))
    note = {
        **handoff.as_data(),
        "kind": "written" if written is not None else "compiled",
        "head": head,
        "dropped": list(dropped),
    }
    tracker.note_attempt(attempt, HANDOFF, note, lease=lease)
