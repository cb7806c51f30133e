"""Evidence as git notes: whoever reads `git log --notes=tapeout` sees why a commit landed."""

import json
from dataclasses import dataclass
from typing import Any

import pygit2

from tapeout.base.git import signature
from tapeout.gate.evidence.record import Record
from tapeout.gate.evidence.seal import SealedBy, is_envelope, seal, sealed_by
from tapeout.gate.evidence.statement import record_of_statement, statement_of
from tapeout.gate.evidence.trust import Trust

NOTES_REF = "refs/notes/tapeout"


@dataclass(frozen=True)
class Note:
    """What is attached to a commit, whoever wrote it."""

    record: Record
    sealed_by: SealedBy
    envelope: dict[str, Any] | None
    """None for a record of the first version, which had none."""


def attach(hub: pygit2.Repository, commit: str, record: Record) -> None:
    """Attach the record to a commit as a git note signed by this hub, replacing one that is there.

    Raises:
        EnvironmentProblem: the hub's key cannot be read or made.
    """
    author = signature()
    envelope = seal(statement_of(record), Trust.of(hub).make_key())
    hub.create_note(json.dumps(envelope, indent=1) + "\n", author, author, commit, NOTES_REF, True)


def read_note(hub: pygit2.Repository, commit: str) -> Note | None:
    """What is attached to a commit; None if there is nothing that can be read.

    Raises:
        EnvironmentProblem: the hub's key is damaged.
    """
    try:
        found = json.loads(hub.lookup_note(commit, NOTES_REF).message)
    except (KeyError, ValueError, RecursionError, pygit2.GitError):
        return None
    if not is_envelope(found):
        return Note(found, "nobody", None) if isinstance(found, dict) else None
    record = record_of_statement(found["payload"])
    return Note(record, sealed_by(found, Trust.of(hub).key()), found) if record is not None else None


def read_evidence(hub: pygit2.Repository, commit: str) -> Record | None:
    """The record that is attached to a commit, whoever wrote it; None if there is none that can be read."""
    note = read_note(hub, commit)
    return note.record if note is not None else None


def read_sealed(hub: pygit2.Repository, commit: str) -> Record | None:
    """The record that this hub itself attached to a commit; None if there is none."""
    note = read_note(hub, commit)
    return note.record if note is not None and note.sealed_by == "this hub" else None
