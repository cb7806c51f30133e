"""Text of issues made safe and short for the eyes of an agent: quoted as data, cut between words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapeout.base.tokens import estimate

ELLIPSIS = "…"

_UNITS = re.compile(r"(?:(?<!`)(`+)(?!`)(?:(?!\1).){1,400}?\1(?!`)|\S)+")
"""What is never cut: a word, with the spans of inline code that stick to it. Nobody reads a longer span as inline code,
and looking for its end would take hostile text through all of itself again and again."""
_QUOTES = str.maketrans("«»", "\u2039\u203a")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,47}")


def clip(line: str, tokens: int) -> str:
    """One line within an estimated number of tokens, cut between words and never inside inline code; what was cut ends
    with an ellipsis."""
    if estimate(line) <= tokens:
        return line
    kept, used = 0, 1
    for unit in _UNITS.finditer(line):
        used += estimate(line[kept : unit.end()])
        if used > tokens:
            break
        kept = unit.end()
    return f"{line[:kept]} {ELLIPSIS}".lstrip()


def quoted(text: str, tokens: int) -> str:
    """Text of others as one line between guillemets, which it cannot close itself."""
    return f"«{clip(' '.join(visible(text).translate(_QUOTES).split()), tokens - 2)}»"


def block(text: str, tokens: int) -> str:
    """Text of others as lines that begin with `> `, cut between lines or words; says that something was left out."""
    lines = [line.rstrip() for line in visible(text).strip().splitlines()]
    return "\n".join(_kept(lines, tokens))


def _kept(lines: list[str], tokens: int) -> Iterator[str]:
    used = 0
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        cost = estimate(f"> {line}\n")
        if used + cost > tokens - (0 if last else 4):
            cut = clip(line, max(tokens - used - 4, 1))
            yield f"> {cut if cut != line else f'{cut} {ELLIPSIS}'.lstrip()}"
            return
        used += cost
        yield f"> {line}".rstrip()


def name(text: str) -> str:
    """An id or the name of somebody: as it is if it is plain, else quoted and short. Ids and names come from other
    clones, too, where anything may have been written."""
    return text if _PLAIN.fullmatch(text) and estimate(text) <= MAX_NAME_TOKENS else quoted(text, MAX_NAME_TOKENS)


MAX_NAME_TOKENS = 14


def visible(text: str) -> str:
    """`text` without characters that cannot be seen or that steer a terminal or a reader, but for line breaks and
    tabs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " if c.isspace() else "\ufffd" for c in text)
