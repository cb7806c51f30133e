"""Text that nobody vouches for, in messages that a forge reads: titles are an agent's or a stranger's. Pure.

What a forge acts upon is broken by a zero-width space, as other robots do: mentions, references to issues, which
`closes` would close, addresses, and words that switch off CI.
"""

import re

_BREAK = "\u200b"
_ACTED_UPON = re.compile(
    r"[@#!~](?=\w)|:(?=//)|\bGH-(?=\d)|\b(?:skip|no)[ -](?=ci\b)|\bci[ -](?=skip\b)|\bskip[ -](?=actions\b|checks\b)"
    r"|\bactions[ -](?=skip\b)",
    re.IGNORECASE,
)


def harmless(text: str, limit: int) -> str:
    """One line of at most `limit` characters, without control or invisible characters, that no forge acts upon."""
    visible = "".join(char if char.isprintable() else " " if char.isspace() else "" for char in text[: 10 * limit])
    line = _ACTED_UPON.sub(lambda found: f"{found[0]}{_BREAK}", " ".join(visible.split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
