"""Bringing issues in and out: what the tracker offers for files of issues.

The formats are in `transfer`; everything that this needs is imported when it is called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import partial

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import blobs
from tapeout.tracker.store import Store

if TYPE_CHECKING:
    from typing import Any

    from tapeout.tracker.transfer.formats import Content
    from tapeout.tracker.transfer.imports import Report
    from tapeout.tracker.transfer.record import Record


class TransferCommands(Store):
    """Import and export."""

    def import_issues(self, content: Content, source: str, *, dry_run: bool = False) -> Report:
        """Bring in what a file holds, in one transaction: all of it or nothing.

        Issues that were imported before are told by their external reference, and get what changed in the file since.

        Args:
            content: what `transfer.formats.read` found in the file.
            source: its name, for errors.
            dry_run: only say what would be done.

        Raises:
            UsageError: an issue would be its own ancestor, or an attachment is not what its id says.
        """
        from tapeout.tracker.bulk import without_garbage_collection
        from tapeout.tracker.transfer.imports import Import

        if not dry_run:
            self._keep_attachments(content, source)
        with without_garbage_collection(), self.rehearsing() if dry_run else contextlib.nullcontext(), self._writing():
            work = Import(self._connection, content, source)
            self._append_many(work.entries())
            return work.report()

    def export_issues(self, to: str = "tapeout", wanted: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
        """Issues as another tool, or an import here, reads them: one JSON object each, oldest first.

        All are of the same moment. They are read as they are taken, so their number does not matter.

        Args:
            to: a format: beads, github or tapeout.
            wanted: ids of the issues; all by default.
        """
        from tapeout.tracker.transfer import beads, exports, github, native

        with self._one_moment() as connection:
            known = connection.execute("SELECT id, external_ref FROM issues ORDER BY created_clock, id").fetchall()
            chosen = None if wanted is None else set(wanted)
            ids = [identity for identity, _ in known if chosen is None or identity in chosen]
            if to == "tapeout":
                for record in exports.records(connection, ids, history=True, content=partial(blobs.read, self.paths)):
                    yield native.write(record)
            elif to == "beads":
                names = beads.names_of(known)
                for record in exports.records(connection, ids):
                    yield beads.write(record, names)
            elif to == "github":
                numbers = github.numbers_of(known)
                for record in exports.records(connection, ids):
                    yield github.write(record, numbers[record.name])
            else:
                raise UsageError(f"{to!r} is no format", hint="beads, github or tapeout")

    def records(self) -> Iterator[Record]:
        """All issues, oldest first, all of the same moment."""
        from tapeout.tracker.transfer import exports

        with self._one_moment() as connection:
            yield from exports.records(connection, exports.identities(connection))

    @contextlib.contextmanager
    def _one_moment(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with contextlib.suppress(sqlite3.Error):  # who stopped in the middle has closed the tracker already
                    connection.execute("ROLLBACK")

    def _keep_attachments(self, content: Content, source: str) -> None:
        """Put the content of attachments into the tracker's repository."""
        for record in content.records:
            for one in record.attachments:
                if one.content is None:
                    continue
                if blobs.name_of(one.content) != one.blob:
                    raise UsageError(
                        f"{source}, {record.where}, attachments: the content of {one.name!r} is not {one.blob}"
                    )
                blobs.write(self.paths, one.content)
