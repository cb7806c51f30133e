"""What earlier gate runs found out, in one SQLite file of the state directory, where checks cannot write.

Three tables: passes (and the findings of bases), by a key that names everything they depend on; how long each check
takes and how often it fails; which tests were seen flaky. All are bounded. Losing the file costs time and no verdict:
a damaged one is put aside, and whatever cannot be read or written counts as not known.

What may go wrong: several gates use it at once (SQLite locks), it is damaged, the disk is full.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tapeout.gate.order import Measured

MOST_ENTRIES = 5_000
LARGEST_ENTRY = 1_000_000
"""Bytes, compressed. Larger ones are not kept."""
LONGEST_LIFE = 14 * 86_400.0
"""Seconds. What a key cannot know (the system, the network) has changed often enough by then."""
MOST_SIGHTINGS = 2_000
IN_MEMORY = ":memory:"
"""Path of a cache that begins empty and is forgotten."""

_SWEEP_EVERY = 100
_DECAY = 0.95
"""A run weighs half as much as the one 14 runs later."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS result(
    key TEXT PRIMARY KEY, name TEXT NOT NULL, value BLOB NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_by_age ON result(made);
CREATE TABLE IF NOT EXISTS measured(
    name TEXT PRIMARY KEY, runs REAL NOT NULL, failures REAL NOT NULL, seconds REAL NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tests(name TEXT, tree TEXT, ran INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY(name, tree));
CREATE TABLE IF NOT EXISTS flaky(
    name TEXT, test TEXT, issue TEXT, tree TEXT, at REAL NOT NULL, PRIMARY KEY(name, test, issue, tree));
"""


@dataclass(frozen=True)
class Sighting:
    """A test was seen flaky."""

    test: str
    issue: str
    """The issues whose changes were gated together, with spaces between; empty for a run that a person asked for."""
    tree: str


def key_of(**parts: object) -> str:
    """The key of a result that depends on nothing but these parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Cache:
    """The file, opened at the first use."""

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._opened: sqlite3.Connection | None = None
        self._stored = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def get(self, key: str) -> Any:
        """What is stored under a key, as JSON can say it; None if nothing is."""
        row = self._row("SELECT value FROM result WHERE key = ? AND made > ?", key, self._now() - LONGEST_LIFE)
        if row is None:
            return None
        try:
            return json.loads(zlib.decompress(row[0]))
        except (ValueError, TypeError, zlib.error, RecursionError):
            return None

    def put(self, key: str, name: str, value: object) -> None:
        """Store what was found out by the check of that name."""
        packed = zlib.compress(json.dumps(value).encode(), 1)
        if len(packed) > LARGEST_ENTRY:
            return
        self._write("INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?)", key, name, packed, self._now())
        self._stored += 1
        if self._stored % _SWEEP_EVERY == 1:
            self.sweep()

    def sweep(self) -> None:
        """Forget what is too old or too much."""
        now = self._now()
        self._write("DELETE FROM result WHERE made <= ?", now - LONGEST_LIFE)
        self._write(
            "DELETE FROM result WHERE key IN (SELECT key FROM result ORDER BY made DESC LIMIT -1 OFFSET ?)",
            MOST_ENTRIES,
        )
        for table in ("tests", "flaky"):
            self._write(
                f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY at DESC LIMIT -1 OFFSET ?)",
                MOST_SIGHTINGS,
            )
        self._write("DELETE FROM measured WHERE at <= ?", now - 10 * LONGEST_LIFE)

    def measured(self) -> dict[str, Measured]:
        """Past runs by name of the check."""
        rows = self._rows("SELECT name, runs, failures, seconds FROM measured WHERE runs > 0")
        return {name: Measured(runs, failures, seconds / runs) for name, runs, failures, seconds in rows}

    def measure(self, name: str, seconds: float, *, failed: bool) -> None:
        """Note a run of a check."""
        self._write(
            "INSERT INTO measured VALUES (?1, 1, ?2, ?3, ?4) ON CONFLICT(name) DO UPDATE SET"
            " runs = runs * ?5 + 1, failures = failures * ?5 + ?2, seconds = seconds * ?5 + ?3, at = ?4",
            name, float(failed), seconds, self._now(), _DECAY,
        )  # fmt: skip

    def tests_ran(self, name: str, trees: Sequence[str]) -> int | None:
        """How many tests a check ran on the first of these trees on which it has passed; None if nobody knows."""
        known: dict[str, int] = dict(self._rows("SELECT tree, ran FROM tests WHERE name = ?", name))
        return next((known[tree] for tree in trees if tree in known), None)

    def note_tests(self, name: str, tree: str, ran: int) -> None:
        """Note how many tests a check ran on a tree on which it passed."""
        self._write("INSERT OR REPLACE INTO tests VALUES (?, ?, ?, ?)", name, tree, ran, self._now())

    def sightings(self, name: str) -> list[Sighting]:
        """Where tests of a check were seen flaky."""
        return [Sighting(*row) for row in self._rows("SELECT test, issue, tree FROM flaky WHERE name = ?", name)]

    def note_flaky(self, name: str, sighting: Sighting) -> None:
        """Note that a test of a check was seen flaky."""
        self._write(
            "INSERT OR REPLACE INTO flaky VALUES (?, ?, ?, ?, ?)",
            name, sighting.test, sighting.issue, sighting.tree, self._now(),
        )  # fmt: skip

    def _row(self, sql: str, *values: object) -> Any:
        return next(iter(self._rows(sql, *values)), None)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._try(lambda connection: connection.execute(sql, values).fetchall()) or []

    def _write(self, sql: str, *values: object) -> None:
        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute(sql, values)

        self._try(write)

    def _try(self, use: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `use` gives; None if it cannot, which counts as not known and is never wrong."""
        try:
            if self._opened is None:
                self._opened = _open(self._path)
            return use(self._opened)
        except sqlite3.OperationalError:  # locked for long, read-only, a full disk
            return None
        except (sqlite3.DatabaseError, OSError):
            self.close()
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(OSError):
                    os.replace(self._path + suffix, f"{self._path}.damaged{suffix}")
            return None


def _open(path: str) -> sqlite3.Connection:
    if path != IN_MEMORY:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
