"""Two lines of operations under one name, and how they are told apart.

An older index in the place of a newer one, such as a backup that was written into the same file, gives numbers out
again that git has already. What it wrote under them gets another name, and what git has is merged in: as if two clones
had worked side by side. After a power cut git can be ahead of the index too; then there is nothing to rename.

The new name is made from the first operation that gets it. So whoever is killed in the middle, or finds the same
operations again in a copy of the index, comes to the same ids, and nothing is there twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from tapeout.base.ids import ALPHABET
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.base.paths import StatePaths
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import bulk, fold, gitlog, knowledge, log, merge, schema
from tapeout.tracker.operations import Operation, encode, encode_data

if TYPE_CHECKING:
    from typing import Any


class Apart(NamedTuple):
    """Operations of our own that a log lacks."""

    following: list[Operation]
    """They follow what the log has, and keep their ids."""
    clashing: list[Operation]
    """The log has others under their ids, or under ids of operations that they were written after."""
    renamed: list[Operation]
    """What the log is to have in place of the clashing ones: who wrote them knew of what, and then each of them."""


def is_same(one: Operation | None, other: Operation | None) -> bool:
    """Whether two operations are one and the same, not only by their id."""
    if one is None or other is None:
        return False
    return one == other or encode(one) == encode(other)  # the text tells also where a number is NaN


def told_apart(
    own: Iterable[Operation], there: Mapping[str, Operation], knew: Callable[[Operation], dict[str, int]]
) -> Apart:
    """Find what a log lacks. Pure.

    Args:
        own: operations of our own, in the order in which they were written.
        there: the log, by id.
        knew: replica to the number up to which it was known when that operation was written.
    """
    newest = knowledge.newest_numbers(there.values())
    following: list[Operation] = []
    clashing: list[Operation] = []
    for operation in own:
        if is_same(operation, there.get(operation.id)):
            continue
        is_next = not clashing and operation.number > newest.get(operation.replica, 0)
        (following if is_next else clashing).append(operation)
    return Apart(following, clashing, _renamed(clashing, knew(clashing[0])) if clashing else [])


def _renamed(clashing: Sequence[Operation], knew: dict[str, int]) -> list[Operation]:
    first = clashing[0]
    name = _name_from(first)
    ids = {one.id: f"{name}.{number}" for number, one in enumerate(clashing, 2)}
    heard = Operation(f"{name}.1", first.clock, first.actor, "", knowledge.KIND, dict(knew), 1)
    acts: dict[str, int] = {}
    found = [heard]
    for number, one in enumerate(clashing, 2):
        act = acts.setdefault(one.act_id, number)
        found.append(one._replace(id=ids[one.id], act=act, data=_referring(one.data, ids)))
    return found


def _name_from(operation: Operation) -> str:
    from hashlib import sha256

    return "".join(ALPHABET[byte & 31] for byte in sha256(encode(operation).encode()).digest()[: schema.REPLICA_LENGTH])


_REFERENCES = ("comment", "attachment", "undoes")
"""Where the data of an operation names another operation."""


def _referring(data: dict[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    changed = {name: ids[data[name]] for name in _REFERENCES if isinstance(data.get(name), str) and data[name] in ids}
    return {**data, **changed}


def is_known(connection: sqlite3.Connection, newest: Operation) -> bool:
    """Whether the index has the newest operation of a log of ours, so that it can write on under that name. A log only
    grows: if its newest operation is the same here and there, so are all before it."""
    return is_same(newest, log.operation(connection, newest.id))


def reconcile(paths: StatePaths, connection: sqlite3.Connection) -> None:
    """Tell apart what the index and git have under the same ids, and merge what git has. Hold the flush lock.

    Raises:
        EnvironmentProblem: git cannot be read, or the index not be written.
    """
    there = {operation.id: operation for operation in gitlog.read_all(paths, own_only=True)}
    names = [(name,) for name in gitlog.replicas(paths)]
    with schema.transaction(connection, paths.tracker_db):
        connection.executemany("INSERT OR IGNORE INTO own_replicas VALUES (?)", names)
        own = log.own_operations(connection)
        known = {operation.id: operation for operation in own}
        apart = told_apart(own, there, lambda first: knowledge.known_numbers(connection, before=first.id))
        if apart.clashing:
            _rename(connection, apart)
        unknown = [one for one in there.values() if not is_same(one, known.get(one.id))]
        merge.merge(connection, unknown, time.time())
        if apart.clashing:
            _write_again(connection, apart)
        else:
            merge.leave_taken_name(connection, there.values())


def _rename(connection: sqlite3.Connection, apart: Apart) -> None:
    """Give the clashing operations their new ids, so that git's operations find theirs free."""
    rows = [
        (new.id, new.act, encode_data(new.data), old.id)
        for old, new in zip(apart.clashing, apart.renamed[1:], strict=True)
    ]
    connection.executemany("UPDATE operations SET id = ?, act = ?, data = ? WHERE id = ?", rows)


def _write_again(connection: sqlite3.Connection, apart: Apart) -> None:
    """Put the renamed operations at the end, where they are not in git and not searched yet, and go on under their
    name. Their issues are folded again: comments and attachments have the ids of their operations."""
    name = apart.renamed[0].replica
    log.store(connection, apart.renamed[:1])
    connection.executemany(
        "UPDATE operations SET sequence = (SELECT max(sequence) + 1 FROM operations) WHERE id = ?",
        ((operation.id,) for operation in apart.renamed),
    )
    issues = {operation.issue for operation in apart.renamed if operation.issue}
    for issue in issues:
        fold.refold(connection, issue)
    bulk.settle(connection, issues)
    connection.execute("INSERT OR IGNORE INTO own_replicas VALUES (?)", (name,))
    connection.execute("UPDATE replica SET name = ?, number = ?", (name, knowledge.known_numbers(connection)[name]))
