"""Globs over paths in a tree, where `**` means any number of folders, and nothing else crosses a slash. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache

_TOKEN = re.compile(r"(?P<folders>\*\*/)|(?P<rest>\*\*)|(?P<name>\*)|(?P<one>\?)|(?P<set>\[!?[^\]/]+\])")


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    for match in _TOKEN.finditer(glob):
        parts.append(re.escape(glob[position : match.start()]))
        parts.append(_translate(match))
        position = match.end()
    parts.append(re.escape(glob[position:]))
    return re.compile("".join(parts), re.DOTALL)


def _translate(match: re.Match[str]) -> str:
    if match.lastgroup == "set":
        content = match["set"][1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^/{content[1:]}]" if content.startswith("!") else f"[{content.replace('^', chr(92) + '^')}]"
    return {"folders": "(?:.*/)?", "rest": ".*", "name": "[^/]*", "one": "[^/]"}[match.lastgroup or "rest"]


def matches(path: str, globs: Sequence[str]) -> bool:
    """Whether a path relative to the top of the tree fits one of the globs."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)
