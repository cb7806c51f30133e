"""What follows a move of main, once the slots are busy again: the notes of the stacked merges, the tracker, publishing.

What may go wrong: the process is killed before it came to that. Main contains the changes, the tracker says `passed`:
`reconcile` finishes it from what git says.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pygit2

from tapeout.base.faults import point
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import Config
from tapeout.gate.evidence import Record, attach
from tapeout.gate.publish import publish
from tapeout.gate.stacking import Link
from tapeout.tracker import Tracker
from tapeout.tracker.model import Change


class _Landing(NamedTuple):
    link: Link
    change: Change
    record: Record
    noted: bool


def record_for(record: Record, change: Change) -> Record:
    """The record of a combination as the note of one of its changes."""
    return {**record, "change": change.id, "issue": change.issue, "attempt": change.attempt}


class Aftermath:
    """What is still to be done about changes that main contains."""

    def __init__(self, paths: StatePaths, repository: Repository, tracker: Tracker) -> None:
        self._paths = paths
        self._repository = repository
        self._tracker = tracker
        self._landings: list[_Landing] = []

    def add(self, links: Sequence[Link], changes: Mapping[str, Change], record: Record) -> None:
        """Main has moved to the last of these merges, which has its note already."""
        self._landings += [_Landing(link, changes[link.change], record, link is links[-1]) for link in links]

    def changes(self) -> set[str]:
        """Ids of changes of which the tracker does not know yet that they landed."""
        return {one.change.id for one in self._landings}

    def finish(self, hub: pygit2.Repository, config: Config) -> bool:
        """Do it; whether there was anything to do."""
        if not self._landings:
            return False
        while self._landings:
            link, change, record, noted = self._landings[0]
            if not noted:
                attach(hub, link.commit, record_for(record, change))
            self._tracker.record_landed(change.id, link.commit)
            self._landings.pop(0)
            point("landing.recorded")
        publish(self._paths, self._repository, config, self._tracker)
        point("landing.published")
        return True
