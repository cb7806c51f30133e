"""What a handoff says, and how it is read from an agent's answer or from the tracker. Pure; whatever is read, nothing
raises, and nothing is kept that is long or that steers a terminal or a reader."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HANDOFF = "handoff"
"""Topic of the note that holds it."""

MARK = "tapeout-handoff"
"""Info string of the code block that holds a handoff."""

MOST_LINES = 12
"""Entries of each list."""

LONGEST_LINE = 300
"""Characters of an entry."""

LONGEST_BLOCK = 32 * 1024
"""Characters of a code block that are read."""

# What an agent said before need not end with its line: some join their messages without anything in between.
_BLOCK = re.compile(
    rf"(?<![`~])(?P<fence>`{{3,}}|~{{3,}})[ \t]*(?:{MARK}|json)[ \t]*\r?\n(?P<body>.*?)^[ \t]*(?P=fence)",
    re.MULTILINE | re.DOTALL,
)


class FileNote(NamedTuple):
    """A file that matters."""

    path: str
    why: str = ""


class Handoff(NamedTuple):
    """What the next session should know."""

    goal: str
    done: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    dead_ends: tuple[str, ...] = ()
    files: tuple[FileNote, ...] = ()
    commits: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()

    def as_data(self) -> dict[str, object]:
        """Its JSON form, which `read_handoff` reads."""
        return {**self._asdict(), "files": [note._asdict() for note in self.files]}


def find_handoff(answer: str) -> Handoff | None:
    """The last handoff in what an agent said, or None."""
    for block in reversed(list(_BLOCK.finditer(answer[-2 * LONGEST_BLOCK :]))):
        if len(block["body"]) <= LONGEST_BLOCK:
            try:
                data = json.loads(block["body"])
            except (ValueError, RecursionError):
                continue
            handoff = read_handoff(data)
            if handoff is not None:
                return handoff
    return None


def read_handoff(data: object) -> Handoff | None:
    """A handoff of JSON data; None if it says nothing of what was done or is to be done."""
    if not isinstance(data, Mapping):
        return None
    handoff = Handoff(
        goal=plain(data.get("goal")),
        done=_lines(data.get("done")),
        next=_lines(data.get("next")),
        dead_ends=_lines(data.get("dead_ends")),
        files=tuple(_file(entry) for entry in _entries(data.get("files")) if _file(entry).path),
        commits=_lines(data.get("commits")),
        questions=_lines(data.get("questions")),
    )
    return handoff if handoff.done or handoff.next else None


def plain(value: object, longest: int = LONGEST_LINE) -> str:
    """A value as one line without characters that cannot be seen; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    text = value[: 8 * longest]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    words = " ".join(text.split())
    return words if len(words) <= longest else f"{words[: longest - 2].rsplit(' ', 1)[0]} …"


def _entries(value: object) -> Sequence[object]:
    if isinstance(value, (str, Mapping)):
        return [value]
    return value[:MOST_LINES] if isinstance(value, Sequence) else []


def _lines(value: object) -> tuple[str, ...]:
    return tuple(line for line in map(plain, _entries(value)) if line)


def _file(entry: object) -> FileNote:
    if isinstance(entry, Mapping):
        return FileNote(plain(entry.get("path")), plain(entry.get("why")))
    return FileNote(plain(entry))
