"""Looking at a log that came from another clone before anything of it is believed.

A log is a chain of commits by one replica, each a batch of operations whose numbers count up. One that was cut off is
behind what we have, one that was rewritten does not contain it, a damaged one has a commit that cannot be read: of such
a log the good beginning is used, and the rest is told of. No log can hurt another one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tapeout.base.ids import ALPHABET
from tapeout.tracker import gitlog
from tapeout.tracker.operations import Operation
from tapeout.tracker.schema import REPLICA_LENGTH

if TYPE_CHECKING:
    import pygit2


class Audit(NamedTuple):
    """What a log that came holds beyond the part that we know."""

    operations: list[Operation]
    tip: str | None
    """The newest commit that is sound; None if none is new and sound."""
    problem: str | None = None
    """What is wrong with the log, for people."""


def audit(repository: pygit2.Repository, replica: str, tip: str, known: str | None) -> Audit:
    """Judge a log.

    Args:
        replica: whose log it says it is.
        tip: its newest commit.
        known: the newest commit that we have of it, if any; everything below that was judged before.
    """
    import pygit2

    if len(replica) != REPLICA_LENGTH or not set(replica) <= set(ALPHABET):
        return Audit([], None, f"{replica!r} is not the name of a replica")
    try:
        if known is not None and tip != known and repository.descendant_of(known, tip):
            return Audit([], None)  # it was cut off, or not pushed to yet: we have more of it
        if known is not None and tip != known and not repository.descendant_of(tip, known):
            return Audit([], None, "its history was rewritten: it does not contain what is known of it")
        chain = _chain(repository, tip, known)
        last = gitlog.last_number(repository[known].peel(pygit2.Commit)) if known is not None else 0
    except (pygit2.GitError, KeyError, ValueError, gitlog.Damaged) as error:
        return Audit([], None, f"it cannot be read: {error}")
    return _read(replica, chain, last)


def _chain(repository: pygit2.Repository, tip: str, known: str | None) -> list[pygit2.Commit]:
    """The commits above `known`, oldest first."""
    import pygit2

    chain: list[pygit2.Commit] = []
    commit = repository[tip].peel(pygit2.Commit)
    while str(commit.id) != known:
        chain.append(commit)
        if not commit.parent_ids:
            break
        commit = commit.parents[0]
    return chain[::-1]


def _read(replica: str, chain: list[pygit2.Commit], last: int) -> Audit:
    operations: list[Operation] = []
    sound: str | None = None
    for commit in chain:
        try:
            batch = gitlog.read_batch(commit)
        except gitlog.Damaged as error:
            return Audit(operations, sound, error.message)
        numbers = [last, *(operation.number for operation in batch)]
        in_order = all(one < following for one, following in pairwise(numbers))
        if len(commit.parent_ids) > 1 or not in_order or any(operation.replica != replica for operation in batch):
            return Audit(operations, sound, f"log commit {commit.id} is not by the replica that it says it is by")
        operations += batch
        last, sound = numbers[-1], str(commit.id)
    return Audit(operations, sound)
