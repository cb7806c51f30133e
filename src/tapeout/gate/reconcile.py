"""After a crash: what git says became of the changes that were on their way, and what dead runs left behind."""

import contextlib

import pygit2

from tapeout.base.errors import NotAllowed
from tapeout.base.git import is_ancestor
from tapeout.base.paths import StatePaths
from tapeout.gate.aftermath import record_for
from tapeout.gate.evidence import attach, read_sealed
from tapeout.gate.landing import LONGEST
from tapeout.gate.runs import sweep
from tapeout.tracker import Tracker
from tapeout.tracker.model import Change


def reconcile(paths: StatePaths, tracker: Tracker, hub: pygit2.Repository, main: str) -> list[str]:
    """Bring the tracker in line with git; returns the changes that were on their way and had not landed.

    Only for the holder of the queue's lock: nobody else gates or lands meanwhile.
    """
    sweep(paths)
    return [change.id for change in tracker.changes() if not settle(tracker, hub, main, change)]


def settle(tracker: Tracker, hub: pygit2.Repository, main: str, change: Change) -> bool:
    """Whether the change waits or has landed; one that was on its way goes back into the queue, unless main contains
    it."""
    if change.candidate and is_ancestor(hub, change.candidate, main):
        _note(hub, main, change)
        tracker.record_landed(change.id, change.candidate)
        return True
    if change.state == "queued":
        return True
    with contextlib.suppress(NotAllowed):  # withdrawn meanwhile
        tracker.requeue(change.id)
    return False


def _note(hub: pygit2.Repository, main: str, change: Change) -> None:
    """Give the merge of a change that landed in a combination its note, if there was no time for that."""
    if change.candidate is None or read_sealed(hub, change.candidate) is not None:
        return
    commit = hub[main].peel(pygit2.Commit)
    for _ in range(LONGEST):
        found = read_sealed(hub, str(commit.id))
        if found and change.id in found.get("combination", ()):
            attach(hub, change.candidate, record_for(found, change))
            return
        if not commit.parents:
            return
        commit = commit.parents[0]
