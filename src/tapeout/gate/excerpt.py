"""The part of a check's output that an agent needs: the lines around errors, within a bound.

Pure. A model that gets 5,000 lines of passing tests does not find the failing one; a model that gets a cut-off tail
does not see the first compiler error.
"""

import re

MAX_LINES = 60
MAX_CHARS = 4_000
LINE_CHARS = 400
"""A longer line is cut, and says so."""

_TAIL = 8
"""Last lines, which most tools use for their summary, come first in the choice."""
_BEFORE, _AFTER = 2, 3
_CONSIDERED = 400
"""Places considered: what lies behind would not fit anyway."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")
_INTERESTING = re.compile(
    r"\bFAIL(?:ED|URE|URES)?\b|\b\w*(?:Error|Exception)\b|\berror\b|\bERROR\b|\bassert|^Traceback|panicked at"
    r"|^E\s|^\s*[●✕✗]|^not ok\b|--- FAIL|[\w./\\-]+\.\w+[:(]\d+"
)


def plain(text: str) -> str:
    """Without colours, control characters, and what a progress bar overwrote."""
    text = _ANSI.sub("", text.replace("\r\n", "\n"))
    lines = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return "\n".join(_CONTROL.sub("", line) for line in lines).strip("\n")


def excerpt(output: str) -> str:
    """At most `MAX_LINES` lines and `MAX_CHARS` characters of `output`: those around errors, else the last ones.

    Whole lines; left-out ones and a cut line are marked.
    """
    lines = [_cut(line) for line in plain(output).split("\n")]
    everything = "\n".join(lines)
    if len(lines) <= MAX_LINES and len(everything) <= MAX_CHARS:
        return everything
    chosen: set[int] = set()
    shown = ""
    for group in _by_importance(lines):
        wider = chosen.union(group)
        if wider == chosen:
            continue
        text = _render(lines, wider)
        if text.count("\n") >= MAX_LINES or len(text) > MAX_CHARS:
            break
        chosen, shown = wider, text
    return shown


def _by_importance(lines: list[str]) -> list[range]:
    """Groups of line numbers, the most wanted first."""
    count = len(lines)
    places = [number for number, line in enumerate(lines) if _INTERESTING.search(line)]
    if len(places) > _CONSIDERED:
        places = places[: _CONSIDERED // 2] + places[-_CONSIDERED // 2 :]
    groups = [range(max(0, count - 1 - back), count) for back in range(_TAIL)]
    groups += [range(max(0, number - _BEFORE), min(count, number + _AFTER + 1)) for number in places]
    groups += [range(max(0, count - 1 - back), count) for back in range(_TAIL, MAX_LINES)]
    return groups


def _render(lines: list[str], chosen: set[int]) -> str:
    parts: list[str] = []
    previous = -1
    for number in sorted(chosen):
        if number > previous + 1:
            parts.append(_gap(number - previous - 1))
        parts.append(lines[number])
        previous = number
    if previous < len(lines) - 1:
        parts.append(_gap(len(lines) - 1 - previous))
    return "\n".join(parts)


def _gap(count: int) -> str:
    return f"… {count} {'line' if count == 1 else 'lines'} left out …"


def _cut(line: str) -> str:
    if len(line) <= LINE_CHARS:
        return line
    return f"{line[:LINE_CHARS]} … [{len(line) - LINE_CHARS} more characters]"
