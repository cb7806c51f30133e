"""After a crash: what git says became of the changes that were on their way, and what dead runs left behind."""

import contextlib
import itertools
import re
from collections.abc import Iterator

import pygit2

from tapeout.base.errors import NotAllowed, NotFound
from tapeout.base.git import is_ancestor, move_ref, resolve
from tapeout.base.paths import StatePaths
from tapeout.gate.aftermath import record_for
from tapeout.gate.candidate import CHANGE_TRAILER
from tapeout.gate.evidence import attach, read_sealed
from tapeout.gate.landing import LONGEST
from tapeout.gate.runs import sweep
from tapeout.tracker import Tracker
from tapeout.tracker.model import Change

RECONCILED = "refs/tapeout/reconciled"
"""Where main was when the tracker last agreed with it."""

MOST_COMMITS = 10_000
"""So far back is looked: some 50 ms."""

_TRAILER = re.compile(rb"^" + CHANGE_TRAILER.encode() + rb": ([!-~]+)$", re.MULTILINE)


def reconcile(paths: StatePaths, tracker: Tracker, hub: pygit2.Repository, main: str) -> list[str]:
    """Bring the tracker in line with git; returns the changes that were on their way and had not landed.

    Only for the holder of the queue's lock: nobody else gates or lands meanwhile.
    """
    sweep(paths)
    waiting = [change.id for change in tracker.changes() if not settle(tracker, hub, main, change)]
    for change in _landed_unnoticed(tracker, hub, main):
        settle(tracker, hub, main, change)
    known = resolve(hub, RECONCILED)
    if known != main:
        move_ref(hub, RECONCILED, main, known)
    return waiting


def _landed_unnoticed(tracker: Tracker, hub: pygit2.Repository, main: str) -> list[Change]:
    """Changes that main contains since it was last looked at, and that the tracker calls withdrawn: their issues were
    closed between the move of main and its record."""
    found: list[Change] = []
    for commit in _new_commits(hub, main):
        for identity in _TRAILER.findall(commit.raw_message):
            with contextlib.suppress(NotFound):  # somebody else's words
                change = tracker.change(identity.decode())
                if change.state == "withdrawn" and change.candidate == str(commit.id):
                    found.append(change)
    return found[::-1]


def _new_commits(hub: pygit2.Repository, main: str) -> Iterator[pygit2.Commit]:
    """What main got since it was last looked at, the newest first, as far back as it matters."""
    walker = hub.walk(main, pygit2.enums.SortMode.NONE)  # any other reads all history before it gives the first
    known = resolve(hub, RECONCILED)
    if known is not None and known in hub:
        walker.hide(known)
    return itertools.islice(walker, MOST_COMMITS)


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
