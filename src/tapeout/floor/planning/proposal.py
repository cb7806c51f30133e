"""From the bytes that a planner wrote to issues that could be filed, or all that is wrong with them. Pure.

The format is that of issue files (docs/reference/issue-files.md), with less allowed: a planner says what is to be done,
not who does it nor when.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from tapeout.base.errors import UsageError
from tapeout.tracker.drafts import parse_drafts
from tapeout.tracker.fields import Draft

MOST_BYTES = 200_000
MOST_ISSUES = 40
"""Issues of one plan: what a person can look through before approving it."""

MOST_GLOBS = 20
MOST_LABELS = 10
MOST_PROBLEMS = 20
"""Problems that are told at once."""

REFUSED = ("agent", "assignee", "deferred_until", "due_at", "external_ref")
"""Fields of a draft that a plan may not set."""

_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make text look other than it is."""


def read_proposal(content: bytes, source: str) -> list[Draft]:
    """The issues of a plan.

    Args:
        source: what the file is called in messages.

    Raises:
        UsageError: something is wrong with it; `details` is the list of all that was found.
    """
    if len(content) > MOST_BYTES:
        _refuse(source, [f"it is longer than {MOST_BYTES:,} bytes"])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        _refuse(source, [f"it is not valid UTF-8 at byte {error.start:,}"])
    text = text.replace("\r\n", "\n")
    if problems := list(_characters(text)):
        _refuse(source, problems)
    if not text.strip():
        _refuse(source, ["it is empty"])
    try:
        drafts = parse_drafts(text, source)
    except UsageError as error:
        _refuse(source, [f"{error.message}{f' ({error.hint})' if error.hint else ''}"])
    if problems := list(_problems(drafts)):
        _refuse(source, problems)
    return drafts


def _refuse(source: str, problems: Sequence[str]) -> None:
    told = list(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        told.append(f"and {len(problems) - MOST_PROBLEMS} problems more")
    raise UsageError(f"{source} is no plan that could be filed: {told[0]}", details=told)


def _characters(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        odd = next((c for c in line if c != "\t" and (unicodedata.category(c) == "Cc" or c in _BIDIRECTIONAL)), None)
        if odd is not None:
            yield f"line {number} holds the invisible character U+{ord(odd):04X}"


def _problems(drafts: Sequence[Draft]) -> Iterator[str]:
    if len(drafts) > MOST_ISSUES:
        yield f"it has {len(drafts)} issues, {MOST_ISSUES} are the most: plan the first ones"
    names = Counter(draft.name for draft in drafts if draft.name)
    yield from (f"two issues have the id {name!r}" for name, count in names.items() if count > 1)
    titles = Counter(_same(draft.title) for draft in drafts)
    yield from (f"two issues have the title {title!r}" for title, count in titles.items() if count > 1)
    for draft in drafts:
        yield from (f"{draft.title!r}: {problem}" for problem in _problems_of(draft))


def _problems_of(draft: Draft) -> Iterator[str]:
    if not draft.acceptance.strip():
        yield "it has no acceptance criteria: say how anybody can see that it is done"
    if not draft.body.strip():
        yield "it has no body: whoever works on it knows nothing but the issue"
    for field in REFUSED:
        if getattr(draft, field) is not None:
            yield f"a plan does not set {field.replace('_', ' ')}"
    if draft.links:
        yield f"a plan has no dependencies but depends-on and parent, this one has {draft.links[0][1]}"
    for glob in draft.scope:
        if glob.startswith(("/", "~")) or ".." in glob.split("/"):
            yield f"the scope {glob!r} leads out of the repository"
    if len(draft.scope) > MOST_GLOBS:
        yield f"its scope has {len(draft.scope)} globs, {MOST_GLOBS} are the most"
    if len(draft.labels) > MOST_LABELS:
        yield f"it has {len(draft.labels)} labels, {MOST_LABELS} are the most"


def _same(title: str) -> str:
    """Equal for titles that people would take for the same."""
    return " ".join(title.casefold().split())
