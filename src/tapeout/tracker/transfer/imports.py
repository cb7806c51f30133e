"""Bringing records into the tracker: one transaction, all of them or none."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tapeout.base.ids import new_id
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import fold, log, schema
from tapeout.tracker.bulk import Entry
from tapeout.tracker.operations import Operation
from tapeout.tracker.transfer import exports, plan
from tapeout.tracker.transfer.formats import Content
from tapeout.tracker.transfer.record import Record, Remark

_TOGETHER = 1_000
"""Known issues that are looked at together."""


class Report(NamedTuple):
    """What an import did."""

    format: str
    created: int
    updated: int
    unchanged: int
    skipped: list[Remark]
    """Items that were left out, and why."""
    remarks: list[Remark]
    """What was changed so that it could be kept, and what could not be kept."""
    issues: dict[str, str]
    """Names in the file to ids of issues, for all that are in the tracker now."""


class Import:
    """One import, while its transaction is open."""

    def __init__(self, connection: sqlite3.Connection, content: Content, source: str) -> None:
        """
        Args:
            source: name of the file, for errors.
        """
        self._connection = connection
        self._format = content.format
        self._source = source
        known = [
            plan.Known(*row)
            for row in connection.execute("SELECT id, external_ref, updated_at FROM issues ORDER BY created_clock, id")
        ]
        self._matches = plan.Matches(content.records, known, content.format, _fresh(known))
        self._records = [record for record in content.records if record.name in self._matches.ids]
        self._skipped = [
            *content.skipped,
            *(
                Remark(r.where, f"{r.name} was deleted there")
                for r in content.records
                if r.name not in self._matches.ids
            ),
        ]
        self._remarks = list(content.remarks)
        self._created = self._updated = self._unchanged = 0

    def entries(self) -> Iterator[Entry]:
        """The operations to write; new issues first, in the order of the file."""
        wanted = [plan.resolved(record, self._matches, self._remarks) for record in self._records]
        old = [record for record in wanted if self._matches.ids[record.name] in self._matches.known]
        new = [record for record in wanted if self._matches.ids[record.name] not in self._matches.known]
        self._refuse_parent_circles(wanted)
        for record in new:
            self._created += 1
            identity = self._matches.ids[record.name]
            for kind, data in plan.creation(record, self._format):
                yield identity, kind, data
        for start in range(0, len(old), _TOGETHER):
            yield from self._updates(old[start : start + _TOGETHER])

    def _updates(self, records: Sequence[Record]) -> Iterator[Entry]:
        ids = [self._matches.ids[record.name] for record in records]
        bases, imported = _bases(self._connection, ids)
        for record, identity in zip(records, ids, strict=True):
            base, current = bases[identity], self._matches.known[identity]
            wanted = record
            if record.deleted:
                wanted = base._replace(resolution="invalid", closed_at=record.closed_at, updated_at=record.updated_at)
            changes = plan.update(base, wanted, current, self._format)
            older = record.updated_at < base.updated_at - 1e-5
            if changes and older:
                why = "than the file that was imported before" if identity in imported else "than the issue here"
                self._skipped.append(Remark(record.where, f"{record.name} is older {why}"))
            elif changes:
                self._updated += 1
                for kind, data in changes:
                    yield identity, kind, data
            else:
                self._unchanged += 1

    def _refuse_parent_circles(self, records: Sequence[Record]) -> None:
        parents = {self._matches.ids[r.name]: (r.parent, r.where) for r in records if r.parent}
        if parents:
            above = dict(self._connection.execute("SELECT id, parent FROM issues WHERE parent IS NOT NULL"))
            plan.refuse_parent_circles(parents, above, self._source)

    def report(self) -> Report:
        """What was done, after all entries were written."""
        circles = self._connection.execute(
            "SELECT issue, target FROM dependencies WHERE ignored ORDER BY issue, target"
        ).fetchall()
        names = {self._matches.ids[record.name]: (record.where, record.name) for record in self._records}
        for issue, target in circles:
            if issue in names:
                where, name = names[issue]
                called = names[target][1] if target in names else target
                self._remarks.append(Remark(where, f"{name} waiting for {called} would close a circle: nobody waits"))
        return Report(
            self._format, self._created, self._updated, self._unchanged, self._skipped, self._remarks, self._matches.ids
        )


def _fresh(known: Sequence[plan.Known]) -> Callable[[int], list[str]]:
    taken = {one.id for one in known}

    def make(count: int) -> list[str]:
        made: set[str] = set()
        while len(made) < count:
            identity = new_id()
            if identity not in taken:
                made.add(identity)
        return sorted(made)  # rows that are written one after the other lie next to each other

    return make


def _bases(connection: sqlite3.Connection, ids: Sequence[str]) -> tuple[dict[str, Record], set[str]]:
    """Issues as the last import left them, and which of them were imported before; the others as they are."""
    imported: set[str] = set()
    with contextlib.closing(schema.in_memory()) as scratch:
        for identity in ids:
            for operation in _operations_of_imports(log.operations_of(connection, identity), imported):
                fold.apply_logged(scratch, operation)
        return {record.name: record for record in exports.records(scratch, ids)}, imported


def _operations_of_imports(operations: Sequence[Operation], imported: set[str]) -> Iterator[Operation]:
    """All operations before the first import of an issue, and those of imports."""
    for operation in operations:
        if "source" in operation.data:
            imported.add(operation.issue)
            yield operation
        elif operation.issue not in imported:
            yield operation
