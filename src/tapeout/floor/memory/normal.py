"""What stays the same of a failure's message when it happens again: not its numbers, paths, addresses and names of
temporary files. Pure."""

import re

MESSAGE_CHARS = 160
"""Longest normal form; what tells two failures apart comes first in all tools that we know."""

READ_CHARS = 2_000
"""Characters of a message that are looked at."""

_QUOTES = str.maketrans(dict.fromkeys('"`\u00b4\u2018\u2019\u201c\u201d\u00ab\u00bb', "'"))

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\x1b\[[0-9;?]*[ -/]*[@-~]", ""),
        (r"\b(?:tmp|temp)[A-Za-z]*[-_.]?[A-Za-z0-9_]*\d[A-Za-z0-9_]*", "<tmp>"),
        (r"(?<![\w/.])(?:[A-Za-z]:\\|/)(?:[^\s/\\'\":,;()\[\]{}<>]+[/\\])+(?=[^\s/\\])", "<path>/"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<id>"),
        (r"\b0[xX][0-9a-fA-F]+\b", "<#>"),
        (r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{7,64}\b", "<#>"),
        (r"(?<![\w.])[-+]?\d+(?:[.,:_]\d+)*(?:[eE][-+]?\d+)?(?:\s?(?:ns|us|µs|ms|s|sec|seconds?|m|min|h)\b)?", "<#>"),
        (r"(?:<#>[\s,.:/x-]*){2,}", "<#> "),
    )
)
"""In the order in which they are applied: what holds numbers before numbers."""


def normal(text: str) -> str:
    """One line in which numbers, durations, hexadecimal names, addresses, folders of absolute paths and temporary
    names are marks, quotes are alike and spaces single; at most `MESSAGE_CHARS` characters. Names that hold digits,
    such as `v2` or `test_3`, stay: they tell things apart. The normal form of a normal form is itself."""
    line = " ".join(text[:READ_CHARS].translate(_QUOTES).split())
    for _ in range(_PASSES):
        before = line
        for pattern, replacement in _RULES:
            line = pattern.sub(replacement, line)
        line = "".join(char for char in " ".join(line.split())[:MESSAGE_CHARS] if char.isprintable()).strip()
        if line == before:
            break
    return line


_PASSES = 4
"""A mark can bring two numbers together, or cutting can leave half a name: then once more."""
