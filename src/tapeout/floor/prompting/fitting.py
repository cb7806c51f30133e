"""Text made to fit a number of tokens, and text of others kept apart from ours. Pure.

Nothing is cut in the middle of a word or of code: lines of prose are kept or left out, a fenced code block is kept
whole or left out whole, and where something is missing a line says how much and where the whole is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapeout.base.tokens import estimate
from tapeout.tracker.prime.clipping import clip

SCRIPT = "tapeout-script"
"""Mark of a code block that an agent needs whole: of the scripted agent."""

LONGEST_FENCE = 64
"""Characters. Text that needs a longer fence to be kept apart was made to do harm, and is left out."""

SHORTEST_CUT = 16
"""Tokens: a line of prose is not cut to less."""

_OPENING = re.compile(r"[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]+)*(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
_RULERS = {mark: re.compile(rf"^[ \t]*({re.escape(mark)}{{3,}})", re.MULTILINE) for mark in "~`"}


class Fitted(NamedTuple):
    """A text within its room."""

    text: str
    left_out: int = 0
    """Estimated tokens of what is missing."""


class _Piece(NamedTuple):
    """Lines that are kept or left out together."""

    text: str
    cost: int
    is_code: bool = False
    is_script: bool = False


def fit(text: str, tokens: int, more: str) -> Fitted:
    """`text` within an estimated number of tokens.

    The first lines are kept, whole; a code block that does not fit is passed over; the first script block is kept
    before anything else is.

    Args:
        more: where the whole is, such as a command.
    """
    text = text.strip("\n")
    if estimate(text) <= tokens:
        return Fitted(text)
    pieces = list(_pieces(text.split("\n")))
    kept = _choose(pieces, tokens, estimate(f"{_note(10**7, 10**7, more)}\n"))
    left_out = sum(_missing(piece, kept.get(place)) for place, piece in enumerate(pieces))
    return Fitted("\n".join(_assembled(pieces, kept, more)), left_out)


def fence_of(text: str) -> str | None:
    """Characters that keep a text apart from what is around it: no line of it begins with so many. Tildes, or else
    backticks; None if it would take more than `LONGEST_FENCE`."""
    text = text.replace("\r", "\n")  # which Markdown takes for the end of a line
    fences = (mark * (1 + max((2, *map(len, ruler.findall(text))))) for mark, ruler in _RULERS.items())
    return next((fence for fence in fences if len(fence) <= LONGEST_FENCE), None)


def _pieces(lines: Sequence[str]) -> Iterator[_Piece]:
    start = 0
    while start < len(lines):
        opening = _OPENING.match(lines[start])
        end = start + 1
        if opening:
            closing = re.compile(rf"[ \t>]*{re.escape(opening['fence'])}{re.escape(opening['fence'][0])}*[ \t]*\r?")
            while end < len(lines) and not closing.fullmatch(lines[end]):
                end += 1
            end += 1
        text = "\n".join(lines[start:end])
        info = opening["info"].strip() if opening else ""
        yield _Piece(text, estimate(f"{text}\n"), bool(opening), info == SCRIPT)
        start = end


def _choose(pieces: Sequence[_Piece], tokens: int, note: int) -> dict[int, str]:
    """Which pieces are kept, by their place, and how: one of prose may be cut.

    Args:
        note: tokens of a line that says what is left out.
    """
    kept: dict[int, str] = {}
    room = tokens - note
    script = next((place for place, piece in enumerate(pieces) if piece.is_script), None)
    if script is not None and pieces[script].cost + note <= room:
        kept[script] = pieces[script].text
        room -= pieces[script].cost + note
    for place, piece in enumerate(pieces):
        if place in kept:
            continue
        if piece.cost <= room:
            kept[place] = piece.text
            room -= piece.cost
        elif piece.is_code and note <= room:
            room -= note
        else:
            return kept | _cut(place, piece, room)
    return kept


def _cut(place: int, piece: _Piece, room: int) -> dict[int, str]:
    """The first words of a line that is too long, if it is prose and they are worth showing."""
    return {} if piece.is_code or room < SHORTEST_CUT else {place: clip(piece.text, room - 2)}


def _assembled(pieces: Sequence[_Piece], kept: dict[int, str], more: str) -> Iterator[str]:
    """The pieces in their order, with a line wherever some are missing."""
    lines = tokens = 0
    for place, piece in enumerate(pieces):
        shown = kept.get(place)
        if shown is not None and lines:
            yield _note(lines, tokens, more)
            lines = tokens = 0
        if shown is not None:
            yield shown
        if shown != piece.text:
            lines += piece.text.count("\n") + 1
            tokens += _missing(piece, shown)
    if lines:
        yield _note(lines, tokens, more)


def _missing(piece: _Piece, shown: str | None) -> int:
    """Tokens of a piece that are not shown."""
    if shown == piece.text:
        return 0
    return max(1, piece.cost - (0 if shown is None else estimate(shown)))


def _note(lines: int, tokens: int, more: str) -> str:
    return f"[left out here: {lines:,} line{'' if lines == 1 else 's'}, about {tokens:,} tokens. The whole: {more}]"
