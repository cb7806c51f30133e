"""Places in a text. Pure, and in time that grows with the text only: a change may hold any text."""

import re
from bisect import bisect_right
from collections.abc import Iterator


class Lines:
    """Tells the lines of positions in one text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, position: int) -> int:
        """The number of the line, from 1."""
        return bisect_right(self._starts, position)


def spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """The matches, each with where the next one begins, or the text ends."""
    previous: re.Match[str] | None = None
    for match in pattern.finditer(text):
        if previous is not None:
            yield previous, match.start()
        previous = match
    if previous is not None:
        yield previous, len(text)
