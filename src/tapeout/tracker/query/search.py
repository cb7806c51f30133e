"""Full-text search: an FTS5 table in the index, made and brought up to date by whoever searches.

Writing and rebuilding pay nothing for it. The mark `searched` says up to which operation of this index the table is
current; every operation that comes in, written here or merged, has a number past all before it, so the issues that it
touched are found again. A rebuilt index is a new file: its table is made anew.

User text never reaches SQLite as an expression: each word goes in as a quoted string.
"""

from __future__ import annotations

import contextlib

from tapeout.base.errors import UsageError
from tapeout.base.lean import NamedTuple
from tapeout.base.sqlite import sqlite3
from tapeout.tracker import schema

COLUMNS = ("title", "body", "acceptance", "design", "comments")
_WEIGHTS = "8.0, 2.0, 2.0, 1.0, 1.0"
"""A hit in the title counts most: it says what the issue is about."""

BATCH = 5_000
"""Operations indexed in one transaction: about a tenth of a second, in which other writers wait."""

MAX_WORDS = 50
SNIPPET_WORDS = 14
SNIPPET_LENGTH = 240
"""Longest snippet, in characters: a word can be a megabyte long."""

_SILENT = (
    "claimed", "released", "attempt-started", "attempt-updated", "attempt-noted", "attempt-ended", "change-submitted",
    "change-moved", "noted",
)  # fmt: skip
"""Kinds of operations that never change what is searched, and most there are."""

# A table of another shape needs a new schema version: then it is made anew with the index.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS searched_issues(number INTEGER PRIMARY KEY, issue TEXT NOT NULL UNIQUE)",
    f"CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5({', '.join(COLUMNS)},"
    " tokenize = 'porter unicode61 remove_diacritics 2')",
    "INSERT INTO meta VALUES ('searched', 0)",
)

_TOUCHED = (
    "WITH touched(issue) AS (SELECT DISTINCT issue FROM operations o WHERE sequence > :after AND sequence <= :upto"
    f" AND kind NOT IN ({', '.join(repr(kind) for kind in _SILENT)}))"
)

_TEXTS = (
    "i.title, i.body, i.acceptance, i.design,"
    " (SELECT group_concat(text, char(10)) FROM (SELECT text FROM comments WHERE issue = i.id ORDER BY clock, id))"
)


class Found(NamedTuple):
    """An issue that holds the words."""

    issue: str
    snippet: str
    """The place where they stand, with `**` around each."""
    score: float
    """How well it fits; higher is better, comparable within one search only."""


def refresh(connection: sqlite3.Connection, path: str) -> None:
    """Bring the table up to date with the index, which `connection` has open at `path`.

    Raises:
        EnvironmentProblem: this SQLite has no FTS5, or the index cannot be written.
    """
    while not _is_current(connection):
        with contextlib.nullcontext() if connection.in_transaction else schema.transaction(connection, path):
            _advance(connection)


def _is_current(connection: sqlite3.Connection) -> bool:
    row = connection.execute(
        "SELECT (SELECT value FROM meta WHERE key = 'searched') = (SELECT coalesce(max(sequence), 0) FROM operations)"
    ).fetchone()
    return bool(row[0])


def _advance(connection: sqlite3.Connection) -> None:
    """Index what the next operations touched, inside a transaction."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'searched'").fetchone()
    if row is None:
        for statement in _TABLES:
            connection.execute(statement)
    after = row[0] if row else 0
    upto = connection.execute(
        "SELECT max(sequence) FROM (SELECT sequence FROM operations WHERE sequence > ? ORDER BY sequence LIMIT ?)",
        (after, BATCH),
    ).fetchone()[0]
    if upto is None:
        return
    values = {"after": after, "upto": upto}
    connection.execute(
        f"{_TOUCHED} INSERT OR IGNORE INTO searched_issues(issue)"
        " SELECT issue FROM touched WHERE issue IN (SELECT id FROM issues)",
        values,
    )
    connection.execute(
        f"{_TOUCHED} INSERT OR REPLACE INTO search(rowid, {', '.join(COLUMNS)}) SELECT s.number, {_TEXTS}"
        " FROM touched JOIN searched_issues s USING (issue) JOIN issues i ON i.id = s.issue",
        values,
    )
    connection.execute("UPDATE meta SET value = ? WHERE key = 'searched'", (upto,))


def phrase(text: str, *, begins: bool = False, column: str | None = None) -> str:
    """An FTS5 expression for these words in this order.

    Args:
        begins: the last of them may go on.
        column: where they must stand; anywhere otherwise.
    """
    quoted = '"' + text.replace("\0", " ").replace('"', '""') + '"' + (" *" if begins else "")
    return f"{column} : {quoted}" if column else quoted


def expression(text: str) -> str:
    """An FTS5 expression for all words of a text that a person typed, whatever it holds; `word*` may go on.

    Raises:
        UsageError: there is no word in it.
    """
    words = [word for word in text.split() if any(character.isalnum() for character in word)]
    if not words:
        raise UsageError("there is no word to search for", hint="give letters or digits")
    if len(words) > MAX_WORDS:
        raise UsageError(f"{len(words)} words to search for, {MAX_WORDS} are the most")
    return " AND ".join(phrase(word.rstrip("*"), begins=word.endswith("*")) for word in words)


def search(
    connection: sqlite3.Connection, match: str, limit: int, where: str = "1", values: dict[str, object] | None = None
) -> list[Found]:
    """Issues that fit an FTS5 expression, best first; `refresh` comes before it.

    Args:
        limit: how many; negative means all.
        where: a condition over the table `issues` with `values` bound to it.
    """
    # The + keeps SQLite from asking the table of words once for each issue of the condition.
    narrowed = "" if where == "1" else (
        " AND +rowid IN (SELECT number FROM searched_issues WHERE issue IN"
        f" (SELECT issues.id FROM issues WHERE {where}))"
    )  # fmt: skip
    rows = connection.execute(
        "SELECT (SELECT issue FROM searched_issues WHERE number = search.rowid),"
        f" snippet(search, -1, '**', '**', '…', {SNIPPET_WORDS}), -bm25(search, {_WEIGHTS})"
        f" FROM search WHERE search MATCH :match AND rank MATCH 'bm25({_WEIGHTS})'{narrowed}"
        " ORDER BY rank LIMIT :limit",
        {**(values or {}), "match": match, "limit": limit},
    )
    return [Found(issue, _shortened(snippet), score) for issue, snippet, score in rows]


def _shortened(snippet: str) -> str:
    """One line around the first hit."""
    line = " ".join(snippet.split())
    start = max(0, line.find("**") - SNIPPET_LENGTH // 2) if len(line) > SNIPPET_LENGTH else 0
    cut = line[start : start + SNIPPET_LENGTH]
    return ("…" if start else "") + cut + ("…" if start + SNIPPET_LENGTH < len(line) else "")
