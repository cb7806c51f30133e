"""Reading the Markdown pages: code blocks and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

MARK = "sh test"
"""What a code block says of itself when `test_blocks` shall run it."""

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>.*)$")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$")


class Block(NamedTuple):
    """A fenced code block."""

    info: str
    line: int
    """Of the opening fence, from 1."""
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a page."""
    fence, info, start, kept = "", "", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if fence and line.strip() == fence:
            yield Block(info, start, "\n".join(kept) + "\n")
            fence = ""
        elif fence:
            kept.append(line)
        elif match := _FENCE.match(line):
            fence, info, start, kept = match["fence"], match["info"].strip(), number, []
    assert not fence, f"{page}:{start}: this block is not closed"


def prose(page: Path) -> str:
    """A page without its code."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        text = text.replace(block.text, "")
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """Where the links of a page lead."""
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may say after `#`, as GitHub makes it."""
    found = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if match := _HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", match["text"].lower())
            found.add(words.replace(" ", "-"))
    return found
