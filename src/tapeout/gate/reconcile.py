"""After a crash: what git says became of the changes that were on their way, and what dead runs left behind."""

import pygit2

from tapeout.base.git import is_ancestor
from tapeout.base.paths import StatePaths
from tapeout.gate.runs import sweep
from tapeout.tracker import Tracker


def reconcile(paths: StatePaths, tracker: Tracker, hub: pygit2.Repository, main: str) -> list[str]:
    """Bring the tracker in line with git; returns the changes that were on their way and had not landed.

    Only for the holder of the queue's lock: nobody else gates or lands meanwhile.
    """
    sweep(paths)
    interrupted = []
    for change in tracker.changes():
        if change.candidate and is_ancestor(hub, change.candidate, main):
            tracker.record_landed(change.id, change.candidate)
        elif change.state != "queued":
            tracker.requeue(change.id)
            interrupted.append(change.id)
    return interrupted
