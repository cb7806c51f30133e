"""How big the change is, where it goes, and how its commits are told. Pure."""

import re
from collections.abc import Iterator, Sequence

from tapeout.gate.builtin.change import Change
from tapeout.gate.globs import matches
from tapeout.gate.reports.model import Diagnostic

LONGEST_SUBJECT = 120
"""Characters. Git's own advice is 50, and 72 is where most tools cut; this refuses only what nobody can read."""

_UNFINISHED = re.compile(r"(?:fixup|squash|amend)!|wip\b|(?:tmp|temp|todo|xxx)[\s.:!]*$", re.IGNORECASE)


def sizes(change: Change, largest: int, most_lines: int) -> Iterator[Diagnostic]:
    """Files of more than `largest` bytes, and a change that adds more than `most_lines` lines."""
    for file in change.files:
        if file.size > largest:
            message = f"has {_bytes(file.size)}, more than the {_bytes(largest)} that [gate] largest_file allows"
            yield Diagnostic("large-file", "error", file.path, 0, 0, message)
    lines = sum(len(file.added) for file in change.files)
    if lines > most_lines:
        message = (
            f"the change adds {lines:,} lines, more than the {most_lines:,} that [gate] most_lines allows: split it"
        )
        yield Diagnostic("large-change", "error", "", 0, 0, message)


def out_of_scope(change: Change, also: Sequence[str]) -> Iterator[Diagnostic]:
    """Files that the issue does not declare, nor `also` (globs); nothing if it declares none."""
    if not change.scope:
        return
    allowed = (*change.scope, *also)
    for file in change.files:
        for path in dict.fromkeys(path for path in (file.before, file.path) if path):
            if not matches(path, allowed):
                scope = ", ".join(change.scope)
                yield Diagnostic("out-of-scope", "error", path, 0, 0, f"is outside of what the issue declares: {scope}")


def messages(change: Change) -> Iterator[Diagnostic]:
    """Commits whose message helps nobody."""
    for commit in change.commits:
        subject, _, body = commit.message.strip("\n").partition("\n")
        problem = _problem(subject, body)
        if problem:
            yield Diagnostic(
                "commit-message", "error", "", 0, 0, f"commit {commit.id[:10]} {subject[:60]!r}: {problem}"
            )


def _problem(subject: str, body: str) -> str:
    if len(subject.strip()) < 3:
        return "the subject says nothing"
    if _UNFINISHED.match(subject):
        return "is unfinished work: squash it, or say what it does"
    if len(subject) > LONGEST_SUBJECT:
        return f"the subject has {len(subject)} characters, more than {LONGEST_SUBJECT}"
    if body and body.split("\n", 1)[0].strip():
        return "the second line should be empty"
    if any(ord(c) < 32 and c not in "\n\t\r" for c in subject + body):
        return "has control characters"
    return ""


def _bytes(number: int) -> str:
    return f"{number / 1_000_000:.1f} MB" if number >= 100_000 else f"{number:,} bytes"
