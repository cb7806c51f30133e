"""Code that a change adds a second time. Pure.

Lines are compared without their indentation; blank lines and those of nothing but punctuation do not count. A tool that
compares tokens, such as jscpd, also sees copies with renamed variables: give the check a `run`.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tapeout.gate.builtin.change import Change, ChangedFile
from tapeout.gate.globs import matches
from tapeout.gate.reports.model import Diagnostic

LEAST_LINES = 12
"""Lines of a copy. PMD and SonarQube report from about 10 lines or 100 tokens."""

LEAST_CHARS = 300

_CODE = frozenset(
    {".c", ".cc", ".cpp", ".cs", ".css", ".go", ".h", ".hpp", ".java", ".js", ".jsx", ".kt", ".lua", ".mjs", ".php"}
    | {".py", ".rb", ".rs", ".scala", ".scss", ".sh", ".sql", ".swift", ".ts", ".tsx", ".vue", ".zig"}
)

Line = tuple[int, str]


def copies(change: Change, ignored: Sequence[str]) -> Iterator[Diagnostic]:
    """Added blocks that stand elsewhere too, but for files that fit `ignored` (globs)."""
    looked_at = [file for file in change.files if _is_code(file.path) and not matches(file.path, ignored)]
    added = {file.path: _blocks(file) for file in looked_at if len(file.added) >= LEAST_LINES}
    if not any(added.values()):
        return
    places = _places(change, added, ignored)
    for path, blocks in added.items():
        for block in blocks:
            yield from _found(path, block, places)


def _found(path: str, block: list[Line], places: dict[int, list[tuple[str, int]]]) -> Iterator[Diagnostic]:
    """The longest copies of one added block, each once."""
    position = 0
    while position + LEAST_LINES <= len(block):
        window = block[position : position + LEAST_LINES]
        own = range(window[0][0], window[-1][0] + 1)
        others = [place for place in places[_digest(window)] if place[0] != path or place[1] not in own]
        if not others or sum(len(text) for _, text in window) < LEAST_CHARS:
            position += 1
            continue
        where = f"{others[0][0]}:{others[0][1]}"
        message = f"{LEAST_LINES} or more lines stand in {where} too: use one for both"
        yield Diagnostic("copied-code", "error", path, window[0][0], 0, message)
        while position + LEAST_LINES <= len(block) and places[_digest(block[position : position + LEAST_LINES])]:
            if not _elsewhere(path, block[position : position + LEAST_LINES], places):
                break
            position += 1
        position += LEAST_LINES - 1


def _elsewhere(path: str, window: list[Line], places: dict[int, list[tuple[str, int]]]) -> bool:
    own = range(window[0][0], window[-1][0] + 1)
    return any(place[0] != path or place[1] not in own for place in places[_digest(window)])


def _places(
    change: Change, added: dict[str, list[list[Line]]], ignored: Sequence[str]
) -> dict[int, list[tuple[str, int]]]:
    """Digest of every window that was added to where it stands."""
    wanted = {_digest(window) for blocks in added.values() for block in blocks for window in _windows(block)}
    places: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for path, text in change.others():
        if _is_code(path) and not matches(path, ignored):
            for window in _windows(_telling(enumerate(text.split("\n"), start=1))):
                digest = _digest(window)
                if digest in wanted:
                    places[digest].append((path, window[0][0]))
    return places


def _blocks(file: ChangedFile) -> list[list[Line]]:
    """The added lines, cut where lines lie between that were there before."""
    blocks: list[list[Line]] = []
    last = -1
    for number, text in file.added:
        if number != last + 1:
            blocks.append([])
        blocks[-1].append((number, text))
        last = number
    return [block for block in map(_telling, blocks) if len(block) >= LEAST_LINES]


def _telling(lines: "Iterator[Line] | list[Line] | enumerate[str]") -> list[Line]:
    """Without indentation, and without lines that stand everywhere."""
    stripped = ((number, " ".join(text.split())) for number, text in lines)
    return [(number, text) for number, text in stripped if any(map(str.isalnum, text))]


def _windows(lines: list[Line]) -> Iterator[list[Line]]:
    for start in range(len(lines) - LEAST_LINES + 1):
        yield lines[start : start + LEAST_LINES]


def _digest(window: list[Line]) -> int:
    return hash(tuple(text for _, text in window))


def _is_code(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _CODE
