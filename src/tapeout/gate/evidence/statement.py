"""A record as an in-toto Statement v1, and back. Pure. The fields: docs/reference/evidence.md."""

from collections.abc import Mapping
from typing import Any

from tapeout.gate.evidence.record import VERSION, Record

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:tapeout:evidence:v2"
VERIFIER = "urn:tapeout:gate"

_ORIGIN = ("change", "issue", "attempt")
_TAKEN = frozenset({"version", "tapeout", "at", "candidate", "base", "tree", "passed", "config_digest", *_ORIGIN})
"""Fields of a record that have another place in a statement; the others are in the predicate under their own name."""
_OWN = frozenset({"verifier", "timeVerified", "policy", "verificationResult", "base", "origin"})
"""Fields of the predicate that are no field of a record."""


def statement_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The statement that says what the record says."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": "commit", "digest": {"gitCommit": record.get("candidate", "")}},
            {"name": "tree", "digest": {"gitTree": record.get("tree", "")}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "verifier": {"id": VERIFIER, "version": {"tapeout": record.get("tapeout", "")}},
            "timeVerified": record.get("at", ""),
            "policy": {"uri": "tapeout.toml", "digest": {"sha256": record.get("config_digest", "")}},
            "verificationResult": "PASSED" if record.get("passed") is True else "FAILED",
            "base": {"digest": {"gitCommit": record.get("base", "")}},
            "origin": {name: record.get(name, "") for name in _ORIGIN},
            **{name: value for name, value in record.items() if name not in _TAKEN | _OWN},
        },
    }


def record_of_statement(statement: object) -> Record | None:
    """The record that a statement was made of; None if it is no statement of ours."""
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        return None
    predicate = statement.get("predicate")
    if statement.get("predicateType") != PREDICATE_TYPE or not isinstance(predicate, dict):
        return None
    return {
        "version": VERSION,
        "tapeout": _text(predicate, "verifier", "version", "tapeout"),
        "at": _text(predicate, "timeVerified"),
        "candidate": _subject(statement, "gitCommit"),
        "base": _text(predicate, "base", "digest", "gitCommit"),
        "tree": _subject(statement, "gitTree"),
        **{name: _text(predicate, "origin", name) for name in _ORIGIN},
        "passed": predicate.get("verificationResult") == "PASSED",
        "config_digest": _text(predicate, "policy", "digest", "sha256"),
        **{name: value for name, value in predicate.items() if name not in _TAKEN | _OWN},
    }


def _subject(statement: Mapping[str, Any], algorithm: str) -> str:
    """The one digest of this kind among the subjects; empty if there is none, or more than one."""
    subjects = statement.get("subject")
    found = [_text(one, "digest", algorithm) for one in subjects] if isinstance(subjects, list) else []
    named = [digest for digest in found if digest]
    return named[0] if len(named) == 1 else ""


def _text(value: object, *names: str) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
