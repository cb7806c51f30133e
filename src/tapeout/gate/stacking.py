"""Candidates of several changes: merges stacked on main, made in memory and each made once.

What may go wrong: a change conflicts with main (it is told, and goes back to its issue), or only with a change below
it (a `Clash`: it waits until that one is decided); it is unrelated, empty or missing (it is refused).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pygit2

from tapeout.base.errors import NotFound
from tapeout.config import CONFIG_FILE
from tapeout.gate.candidate import Candidate, MergeConflict, Refused, make_candidate
from tapeout.gate.queue import Clash
from tapeout.tracker.model import Change

Made = Candidate | MergeConflict | Refused


@dataclass(frozen=True)
class Link:
    """One change of a combination, merged onto what is below it."""

    change: str
    commit: str
    """The merge commit."""


@dataclass(frozen=True)
class Unfit:
    """A change that cannot be merged with main at all."""

    change: str
    why: MergeConflict | Refused


class Stack:
    """Builds combinations on one commit of main, and remembers every merge."""

    def __init__(self, hub: pygit2.Repository, main: str, made: Mapping[tuple[str, str], Made] | None = None) -> None:
        self._hub = hub
        self._main = main
        self._made = dict(made or {})

    def on(self, main: str) -> "Stack":
        """The same merges, for a main that moved on to one of them."""
        return Stack(self._hub, main, self._made)

    def build(self, changes: Sequence[Change], messages: Mapping[str, str]) -> tuple[Link, ...] | Clash | Unfit:
        """Merge the changes onto main in this order.

        Args:
            messages: the message of each change's merge commit.

        Raises:
            GateUnavailable: it cannot be written.
        """
        below, links = self._main, list[Link]()
        for number, change in enumerate(changes):
            made = self._merge(below, change, messages[change.id])
            if not isinstance(made, Candidate):
                return self._blame(change, changes[:number], made, messages)
            links.append(Link(change.id, made.commit))
            below = made.commit
        return tuple(links)

    def _merge(self, below: str, change: Change, message: str) -> Made:
        key = (below, change.id)
        if key not in self._made:
            try:
                self._made[key] = make_candidate(self._hub, below, change.commit, message)
            except NotFound as error:
                return Refused(error.message)
        return self._made[key]

    def _blame(
        self, change: Change, below: Sequence[Change], made: MergeConflict | Refused, messages: Mapping[str, str]
    ) -> Clash | Unfit:
        """Whether the change does not fit main, or else the change below that is in its way."""
        alone = self._merge(self._main, change, messages[change.id])
        if not isinstance(alone, Candidate):
            return Unfit(change.id, alone)
        paths = set(made.paths) if isinstance(made, MergeConflict) else set()
        culprits = [one for one in below if paths & touched(self._hub, one)]
        return frozenset({change.id, (culprits or list(below))[-1].id})


def touched(hub: pygit2.Repository, change: Change) -> frozenset[str]:
    """Paths that a change adds, edits or removes since it left the target branch; none if its commits are missing."""
    try:
        trees = [hub[name].peel(pygit2.Tree) for name in (change.base, change.commit)]
        difference = trees[0].diff_to_tree(trees[1])
    except (KeyError, ValueError, pygit2.GitError):
        return frozenset()
    sides = ((delta.old_file.path, delta.new_file.path) for delta in difference.deltas)
    return frozenset(path for pair in sides for path in pair if path)


def judges_later_ones(hub: pygit2.Repository, main: str, change: Change) -> bool:
    """Whether the change edits what the gate is configured by, so that nothing may be judged on top of it.

    Main may have come to hold a part of it since it was begun, so that less or more of it is new.
    """
    try:
        base = hub.merge_base(main, change.commit)
    except (KeyError, ValueError, pygit2.GitError):
        return False  # it is refused for that
    begun = touched(hub, change)
    return CONFIG_FILE in begun or (base is not None and CONFIG_FILE in touched(hub, change._replace(base=str(base))))
