"""Title and description of a pull request. Pure, and of text that nobody vouches for.

The title matters as much as the description: it becomes the message of a squashed commit.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tapeout.gate.harmless import harmless

TITLE_CHARS = 120
LISTED = 50
"""Most changes that are described."""

BODY_CHARS = 50_000
"""About the longest description: GitHub takes 65,536 characters."""

_CHECKS = 20
_NAME_CHARS = 60


class Landed(NamedTuple):
    """One commit of what is proposed."""

    commit: str
    title: str
    record: dict[str, Any] | None
    """Its evidence; None for a commit that people put on their branch."""


def title_of(landed: Sequence[Landed]) -> str:
    """The title of a pull request, newest change first."""
    first = harmless(landed[0].title, TITLE_CHARS) if landed else ""
    if len(landed) < 2:
        return first or "Landed work"
    titles = "; ".join(harmless(one.title, TITLE_CHARS) for one in landed[:3])
    return harmless(f"{len(landed)} changes: {titles}", TITLE_CHARS)


def body_of(landed: Sequence[Landed], *, branch: str) -> str:
    """The description, as Markdown."""
    entries, chars = list[str](), 0
    for one in landed[:LISTED]:
        entry = "\n".join(_entry(one))
        chars += len(entry)
        if chars > BODY_CHARS:
            break
        entries.append(entry)
    if len(entries) < len(landed):
        entries.append("- and more")
    return "\n".join(
        [
            "Each change passed the gate on exactly the commit that is named with it, and landed in the hub.",
            "",
            *entries,
            "",
            f"To merge with a merge commit keeps these commits, and their evidence, in {_code(branch)}.",
            f"{_code('tapeout gate verify COMMIT')} checks the evidence.",
            "This text is written anew when more lands: comment rather than edit it.",
            "",
        ]
    )


def _entry(landed: Landed) -> list[str]:
    title, record = _code(landed.title or "(no title)", TITLE_CHARS), landed.record
    if record is None:
        return [f"- {title}", f"  - commit {_code(landed.commit)}: not gated, somebody put it on their branch"]
    given = record.get("checks")
    checks = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    said = [f"{_code(one.get('name'))} {'passed' if one.get('passed') is True else 'failed'}" for one in checks]
    if len(said) > _CHECKS:
        said[_CHECKS:] = [f"{len(said) - _CHECKS} more"]
    return [
        f"- {title}",
        f"  - issue {_code(record.get('issue'))}, commit {_code(landed.commit)}",
        f"  - run {_code(record.get('run'))}: {', '.join(said)}",
    ]


def _code(text: object, limit: int = _NAME_CHARS) -> str:
    """As code, in which a forge sees no Markdown, HTML, mention or reference."""
    return f"`{harmless(str(text), limit).replace('`', chr(39))}`"
