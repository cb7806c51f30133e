"""Source text that a person reads otherwise than the machine does. Pure.

Boucher and Anderson, "Trojan Source" (2021): control characters of bidirectional text, invisible characters, letters
that look like others.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import FileChange
from tapeout.gate.integrity.lookalikes import mixed_word

CHECK = "source-text"

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "(?<!^)\ufeff|[\u200b\u2060-\u2064\u180e\u00ad\u115f\u1160\u3164\uffa0]|(?<=[!-~])[\u200c\u200d](?=[!-~])"
    "|[\U000e0000-\U000e007f]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\u0085\u2028\u2029]")

_PROSE = (".md", ".rst", ".txt", ".adoc", ".html", ".po", ".pot", ".xliff", ".arb", ".csv", ".tsv", ".svg", ".json")
"""Files that hold other people's languages; only bidirectional control characters are looked for in them."""
_TRANSLATIONS = (".po", ".pot", ".xliff", ".arb", ".csv", ".tsv")
"""Files in which those are at home too."""


def text_alarms(files: Iterable[FileChange]) -> list[Alarm]:
    """Lines that the change adds and that are not what they seem."""
    alarms: list[Alarm] = []
    for file in files:
        if not file.new.isascii() or _CONTROL.search(file.new):
            alarms += _file_alarms(file)
    return alarms


def _file_alarms(file: FileChange) -> Iterator[Alarm]:
    known = Counter(file.old.split("\n"))
    for number, line in enumerate(file.new.split("\n"), start=1):
        known[line] -= 1
        if known[line] >= 0:
            continue
        reason = _reason(line, file.suffix)
        if reason:
            yield Alarm(CHECK, "text", file.path, number, reason)


def _reason(line: str, suffix: str) -> str:
    if suffix not in _TRANSLATIONS:
        found = _BIDI.search(line)
        if found:
            return f"holds U+{ord(found[0]):04X}, which changes the order in which a line is shown"
    if suffix in _PROSE or not suffix:
        return ""
    found = _INVISIBLE.search(line) or _CONTROL.search(line)
    if found:
        return f"holds U+{ord(found[0]):04X}, which cannot be seen"
    mixed = mixed_word(line)
    return f"holds {mixed[:40]!r}, a word of letters of several alphabets that look the same" if mixed else ""
