"""Reading what compilers and linters print for people: `file:line:column: level: message [rule]` and its kin."""

import re
from collections.abc import Iterator
from typing import cast

from tapeout.gate.excerpt import plain
from tapeout.gate.reports.model import Diagnostic, Level, Report, bounded, text_of
from tapeout.gate.reports.paths import repository_path

_LONGEST = 4_000
"""Characters. A longer line is no finding that anybody wrote for people."""

_LINE = re.compile(
    r"(?P<path>[^\s:()][^:()]*?)"
    r"(?::(?P<line>\d+)(?::(?P<column>\d+))?(?:-\d+(?::\d+)?)?|\((?P<line2>\d+)(?:,(?P<column2>\d+))?\))\s*:\s+"
    r"(?P<text>\S.*)"
)  # mypy, ruff, flake8, gcc, clang, go vet, shellcheck -f gcc; with parentheses: tsc
_LEVEL = re.compile(
    r"(?P<level>fatal error|error|warning|note|info|hint)\b\s*(?P<rule>[A-Z]+\d+)?\s*:\s*", re.IGNORECASE
)
_CODE = re.compile(r"(?P<rule>[A-Z]{1,6}\d{1,6})\b:?\s+(?:\[\*\]\s*)?")
_BRACKET = re.compile(r"\s+[\[(](?P<rule>-?[\w./@:=-]+)[\])]$")

_LEVELS = {"note": "note", "info": "note", "hint": "note", "warning": "warning"}


def read_lines(text: str, root: str) -> Report:
    """A diagnostic for each line that names a file and a line. One that names no level is an error."""
    return Report(bounded(list(_diagnostics(text, root))))


def _diagnostics(text: str, root: str) -> Iterator[Diagnostic]:
    for line in plain(text).split("\n"):
        found = _LINE.fullmatch(line.strip()) if len(line) <= _LONGEST else None
        if found is not None:
            level, rule, message = _parts(found["text"])
            at, column = found["line"] or found["line2"], found["column"] or found["column2"] or "0"
            path = repository_path(found["path"], root)
            yield Diagnostic(rule, level, path, int(at[:9]), int(column[:9]), text_of(message))


def _parts(text: str) -> tuple[Level, str, str]:
    """Level, rule and message."""
    level, rule, text = "error", "", " ".join(text.split())
    if marked := _LEVEL.match(text):
        level = _LEVELS.get(marked["level"].lower(), "error")
        rule, text = marked["rule"] or "", text[marked.end() :]
    if not rule and (code := _CODE.match(text)):
        rule, text = code["rule"], text[code.end() :]
    if not rule and (bracket := _BRACKET.search(text)):
        rule, text = bracket["rule"], text[: bracket.start()]
    return cast("Level", level), rule, text
