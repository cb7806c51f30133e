"""Looking back: history, blame, and undo."""

from __future__ import annotations

from itertools import islice

from tapeout.base.errors import Conflict, NotAllowed, NotFound, TapeoutError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import log, queries, waiting
from tapeout.tracker.model import WAITING_KINDS
from tapeout.tracker.store import Store, storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from tapeout.tracker.history.entries import Blame, Entry
    from tapeout.tracker.history.undo import Act, Compensation
    from tapeout.tracker.operations import Operation

UNDO_LISTED = 20
"""Acts that a list of what can be undone shows by default."""


class PastCommands(Store):
    """What happened, and taking it back."""

    def history(self, prefix: str) -> list[Entry]:
        """Everything that happened to an issue, one entry an operation, in the order of the fold."""
        from tapeout.tracker.history.entries import entries
        from tapeout.tracker.history.replay import replay

        with self._reading() as connection:
            operations = log.operations_of(connection, queries.resolve(connection, prefix))
            return entries(replay(operations), _knowledge(connection, operations))

    def blame(self, prefix: str, field: str) -> Blame:
        """Who set a field of an issue to what it is.

        Raises:
            UsageError: there is no such field.
        """
        from tapeout.tracker.history.entries import blame
        from tapeout.tracker.history.replay import replay

        with self._reading() as connection:
            identity = queries.resolve(connection, prefix)
            operations = log.operations_of(connection, identity)
            return blame(identity, replay(operations), _knowledge(connection, operations), field)

    def undo(self, act: str | None = None) -> Act:
        """Undo the last act of this actor in this clone that is not undone yet, or the one that is named, in one
        transaction. A second call goes one act further back.

        Args:
            act: id of the act's first operation, as `acts` gives it.

        Raises:
            NotFound: there is nothing to undo.
            NotAllowed: it cannot be undone.
            Conflict: somebody changed since what it did.
        """
        with self._writing():
            chosen = self._to_undo(act)
            for issue, kind, data in chosen.undo:
                self._append(issue, kind, {**data, "undoes": chosen.id})
            return chosen

    def acts(self, limit: int = UNDO_LISTED) -> list[Act]:
        """What this actor could undo in this clone, newest first; with the obstacle where there is one."""
        with self._reading():
            return list(islice(self._acts(), limit if limit >= 0 else None))

    def _to_undo(self, wanted: str | None) -> Act:
        for act in self._acts():
            if wanted in (None, act.id):
                self._raise_obstacle(act)
                return act
        if wanted is None:
            raise NotFound(f"there is nothing that {self.actor} could undo")
        raise NotFound(
            f"{wanted!r} is nothing that {self.actor} could undo", hint="`tapeout issue undo --list` shows it"
        )

    def _raise_obstacle(self, act: Act) -> None:
        """The obstacle as the error that it was."""
        if act.obstacle is not None:
            self._compensations(self._operations_of_act(act.id))

    def _acts(self) -> Iterator[Act]:
        """Acts of this actor in this clone that are neither undone nor undoings, newest first."""
        from tapeout.tracker.history.entries import undoes
        from tapeout.tracker.history.undo import Act

        own = log.own_replicas(self._connection)
        # What this actor did elsewhere counts only if it undid something: it may be very much, so it is not read.
        rows = self._connection.execute(
            f"SELECT {log.COLUMNS} FROM operations WHERE actor = ? AND (rtrim(id, '0123456789') IN"
            " (SELECT name || '.' FROM own_replicas) OR instr(data, '\"undoes\"')) ORDER BY sequence DESC",
            (storable(self.actor),),
        )
        passed: set[str] = set()
        for row in rows:
            operation = log.from_row(row)
            undone = undoes(operation)
            if undone:
                passed.update((undone, operation.act_id))
            if operation.replica not in own or operation.act_id in passed:
                continue
            passed.add(operation.act_id)
            operations = self._operations_of_act(operation.act_id)
            undo, obstacle = self._attempted(operations)
            if undo or obstacle:
                yield Act(
                    id=operation.act_id,
                    at=operation.at,
                    issues=tuple(dict.fromkeys(one.issue for one in operations if one.issue)),
                    kinds=tuple(dict.fromkeys(one.kind for one in operations)),
                    undo=tuple(undo),
                    obstacle=obstacle,
                )

    def _operations_of_act(self, act: str) -> list[Operation]:
        """The operations of an act: numbered one after the other on their replica."""
        replica, _, first = act.rpartition(".")
        found: list[Operation] = []
        while True:
            row = self._connection.execute(
                f"SELECT {log.COLUMNS} FROM operations WHERE id = ?",
                (f"{replica}.{int(first) + len(found)}",),
            ).fetchone()
            if row is None or (operation := log.from_row(row)).act_id != act:
                return found
            found.append(operation)

    def _attempted(self, act: list[Operation]) -> tuple[list[Compensation], str | None]:
        try:
            return self._compensations(act), None
        except TapeoutError as error:
            return [], error.message

    def _compensations(self, act: list[Operation]) -> list[Compensation]:
        from tapeout.tracker.history.undo import compensations

        issues = {operation.issue for operation in act if operation.issue}
        found = compensations(act, {issue: log.operations_of(self._connection, issue) for issue in issues})
        for one in found:
            self._refuse_circle_again(one.issue, one.kind, one.data)
        return found

    def _refuse_circle_again(self, issue: str, kind: str, data: dict[str, Any]) -> None:
        """What was undone meanwhile may have made room for the opposite."""
        waits = kind == "dependency-added" and data["kind"] in WAITING_KINDS
        if waits and waiting.would_cycle(self._connection, issue, data["target"]):
            raise Conflict(f"{data['target']} waits for {issue} now: that would be a cycle")
        parent = data.get("parent") if kind == "fields-set" else None
        if parent and issue in queries.ancestors(self._connection, parent):
            raise NotAllowed(f"{parent} is below {issue} now, so it cannot be its parent")


def _knowledge(
    connection: sqlite3.Connection, operations: Sequence[Operation]
) -> Callable[[Operation, Operation], bool]:
    """Whether the author of one of these operations knew of another one."""
    if len({operation.replica for operation in operations}) < 2:
        return lambda _later, _earlier: True
    from tapeout.tracker.knowledge import Knowledge

    return Knowledge(connection).knew
