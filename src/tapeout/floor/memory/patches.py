"""What makes two changes the same one, and how alike two others are. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tapeout.floor.memory.model import Patch

MOST_BYTES = 1_000_000
"""Bytes of a file beyond which its lines are not looked at: what it was and is then counts as one line each."""

MOST_FILES = 20
"""Paths that are remembered of one change."""

GIST_LINES = 8
GIST_CHARS = 120

SKETCH = 64
"""Hashes of a sketch. Changes with no more features than that, which are most fixes, are compared exactly; for others
the similarity is an estimate with a standard error of at most 0.5 / sqrt(64) = 0.06 (bottom-k sketches: Cohen and
Kaplan, PODC 2007; Broder 1997)."""

_WORD = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|[^\w\s]")


class FileChange(NamedTuple):
    """What a change does to one file."""

    path: str
    removed: Sequence[str]
    added: Sequence[str]


def patch_of(files: Iterable[FileChange]) -> Patch | None:
    """What is remembered of a change; None if it changes nothing."""
    ordered = sorted((one for one in files if one.added or one.removed), key=lambda one: one.path)
    if not ordered:
        return None
    lines = [f"{sign}{line.rstrip()}"[:GIST_CHARS] for sign, line in _first_lines(ordered)]
    return Patch(
        id=_patch_id(ordered),
        files=tuple(one.path for one in ordered[:MOST_FILES]),
        added=sum(len(one.added) for one in ordered),
        removed=sum(len(one.removed) for one in ordered),
        sketch=sketch_of(_features(ordered)),
        gist=tuple("".join(char if char.isprintable() else " " for char in line) for line in lines),
    )


def sketch_of(features: Iterable[str]) -> tuple[int, ...]:
    """The `SKETCH` smallest of the features' hashes, in order."""
    return tuple(sorted({_hash(feature) for feature in features})[:SKETCH])


def similarity(one: Patch, other: Patch) -> float:
    """Between 0 and 1: the share of features that two changes have in common (Jaccard).

    Features are the words of added and removed lines, with their file and whether they came or went. Numbers count as
    one word, so that trying one constant after the other is nearly the same change.
    """
    if one.id == other.id:
        return 1.0
    union = sorted({*one.sketch, *other.sketch})
    # Beyond the smaller of two full sketches nobody knows what the other change has.
    known = [sketch[-1] for sketch in (one.sketch, other.sketch) if len(sketch) == SKETCH]
    sample = [value for value in union if not known or value <= min(known)]
    common = set(one.sketch).intersection(other.sketch, sample)
    return len(common) / len(sample) if sample else 0.0


def _patch_id(files: Sequence[FileChange]) -> str:
    """Like `git patch-id`, of the text without white space and line numbers; without context, too, so that it stays
    when the target branch moves on."""
    digest = hashlib.sha256()
    for one in files:
        digest.update(f"\0{one.path}\0".encode("utf-8", "surrogateescape"))
        for sign, lines in (("-", one.removed), ("+", one.added)):
            for line in lines:
                bare = "".join(line.split())
                if bare:
                    digest.update(f"{sign}{bare}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:40]


def _features(files: Sequence[FileChange]) -> Iterable[str]:
    for one in files:
        for sign, lines in (("-", one.removed), ("+", one.added)):
            for line in lines:
                for word in _WORD.findall(line):
                    yield f"{one.path}\0{sign}{'#' if word[0].isdigit() else word}"


def _first_lines(files: Sequence[FileChange]) -> list[tuple[str, str]]:
    """Of each file in turn, so that a large one does not hide the others."""
    per_file = [
        [("-", line) for line in one.removed if line.strip()][: GIST_LINES // 2]
        + [("+", line) for line in one.added if line.strip()]
        for one in files
    ]
    share = max(2, GIST_LINES // len(per_file))
    return [entry for entries in per_file for entry in entries[:share]][:GIST_LINES]


def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "surrogateescape"), digest_size=4).digest())
