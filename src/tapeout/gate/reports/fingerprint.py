"""What makes a finding the same one in another version of a file, and which findings are new. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tapeout.gate.reports.model import Diagnostic

Lines = Callable[[str], Sequence[str]]
"""The lines of a file, by its path; none for one that does not exist or is no text."""

_NUMBER = re.compile(r"\d+")


def fingerprint(found: Diagnostic, lines: Sequence[str], path: str | None = None) -> str:
    """16 hexadecimal digits that stay when the line moves: numbers in the message (other lines, counts) do not count.

    Args:
        found: the finding.
        lines: those of its file.
        path: the name under which the file is known; by default the finding's own.
    """
    text = lines[found.line - 1] if 0 < found.line <= len(lines) else ""
    parts = (found.rule, found.path if path is None else path, _NUMBER.sub("#", found.message), " ".join(text.split()))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def fingerprinted(found: Iterable[Diagnostic], lines: Lines) -> tuple[Diagnostic, ...]:
    """The findings with their fingerprints."""
    known: dict[str, Sequence[str]] = {}
    result = []
    for one in found:
        if one.path not in known:
            known[one.path] = lines(one.path) if one.path and one.line else ()
        result.append(replace(one, fingerprint=fingerprint(one, known[one.path])))
    return tuple(result)


def new_findings(
    found: Iterable[Diagnostic], before: Mapping[str, int], lines: Lines, renamed: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Those findings that the base does not have. Of several that look the same, as many as it has are old.

    Args:
        found: the candidate's.
        before: how often the base has each fingerprint.
        lines: of the candidate's files.
        renamed: new path to old path, of files that moved.
    """
    left = Counter(before)
    new = []
    for one in found:
        names = [one.fingerprint]
        if one.path in renamed:
            names.append(fingerprint(one, lines(one.path), renamed[one.path]))
        old = next((name for name in names if left[name] > 0), None)
        if old is None:
            new.append(one)
        else:
            left[old] -= 1
    return tuple(new)


def counts(found: Iterable[Diagnostic]) -> dict[str, int]:
    """How often each fingerprint occurs."""
    return dict(Counter(one.fingerprint for one in found))
