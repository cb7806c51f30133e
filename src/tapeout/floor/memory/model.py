"""What is remembered of the rounds of an attempt, and how it is written as its note. Pure data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_ROUNDS = 12
"""Rounds that the note of an attempt holds: the first and the newest ones. More are only counted."""


@dataclass(frozen=True)
class Signature:
    """What makes two failures the same one."""

    id: str
    """16 hexadecimal digits."""
    check: str
    test: str
    """The test that failed, or the file that a finding is in; empty if nobody says."""
    error: str
    """The kind of error, such as `AssertionError`, or the rule of a linter; empty if nobody says."""
    message: str
    """Its normal form."""

    @property
    def line(self) -> str:
        """For people."""
        what = ": ".join(part for part in (self.test, self.error, self.message) if part)
        return f"{self.check}: {what}" if what else self.check


@dataclass(frozen=True)
class Patch:
    """A change, as far as it takes to tell whether another one is the same or nearly so."""

    id: str
    """The same for the same lines added and removed in the same files, wherever in them and however indented."""
    files: tuple[str, ...]
    """Paths; at most `patches.MOST_FILES`."""
    added: int
    removed: int
    sketch: tuple[int, ...]
    """The smallest hashes of its features: see `patches.similarity`."""
    gist: tuple[str, ...]
    """Its first changed lines, with `+` or `-`."""


@dataclass(frozen=True)
class Round:
    """A turn that was judged, or that left nothing to judge."""

    attempt: int
    """Number of the attempt."""
    agent: str
    number: int
    """Which prompt of the session it was, from 1."""
    commit: str
    tree: str
    patch: Patch | None
    """None: there was no change."""
    passed: bool
    """Whether the gate passed it."""
    reason: str
    """Why it was refused, one line."""
    signatures: tuple[Signature, ...] = ()
    failing: int | None = None
    """Tests and findings that failed; None if the checks do not say."""
    tokens: int | None = None
    """Tokens in the agent's context at its end; None if it does not say."""
    seconds: float = 0.0

    @property
    def failures(self) -> frozenset[str]:
        """Ids of its signatures."""
        return frozenset(one.id for one in self.signatures)


def as_note(rounds: Sequence[Round]) -> dict[str, Any]:
    """The note of an attempt."""
    half = MOST_ROUNDS // 2
    kept = rounds if len(rounds) <= MOST_ROUNDS else [*rounds[:half], *rounds[-half:]]
    return {"rounds": [_packed(one) for one in kept], "count": len(rounds), "signatures": signature_ids(rounds)}


def signature_ids(rounds: Iterable[Round]) -> list[str]:
    """Ids of all their signatures, by which the tracker finds the attempt again."""
    return sorted({one.id for each in rounds for one in each.signatures})


def from_note(note: Mapping[str, Any]) -> tuple[Round, ...]:
    """The rounds of a note; those that another version wrote otherwise are left out."""
    listed = note.get("rounds")
    found = (_unpacked(one) for one in listed) if isinstance(listed, list) else ()
    return tuple(one for one in found if one is not None)


def _packed(one: Round) -> dict[str, Any]:
    fields = asdict(one)
    if one.patch is not None:
        fields["patch"]["sketch"] = "".join(f"{value:08x}" for value in one.patch.sketch)
    return fields


def _unpacked(fields: object) -> Round | None:
    try:
        assert isinstance(fields, dict)
        signatures = tuple(Signature(**{k: str(v) for k, v in one.items()}) for one in fields["signatures"])
        return Round(**{**fields, "patch": _patch(fields["patch"]), "signatures": signatures})
    except (AssertionError, TypeError, ValueError, KeyError, AttributeError):
        return None


def _patch(fields: dict[str, Any] | None) -> Patch | None:
    if fields is None:
        return None
    text = fields["sketch"]
    sketch = tuple(int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    return Patch(**{**fields, "files": tuple(fields["files"]), "gist": tuple(fields["gist"]), "sketch": sketch})
