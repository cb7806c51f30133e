"""The tracker as Markdown pages, for people who browse a repository on a forge.

The same issues give the same bytes. What people and agents wrote is data: titles and labels are escaped, longer texts
stand in block quotes, out of which nothing in Markdown leads, and cannot open an HTML tag.
"""

from collections.abc import Iterable, Iterator, Sequence

from tapeout.tracker.model import Issue
from tapeout.tracker.transfer.record import Record, iso

INDEX = "README.md"
ISSUES = "issues"
"""Folder of the issues' pages, in folders by the first two characters of their ids."""
LISTS = "lists"
"""Folder of the tables that are too long for the index."""

MARK = "<!-- tapeout snapshot: written by a program, changes here are overwritten -->"
"""First line of every page: what has it may be overwritten and removed."""

INLINE = 200
"""Rows of a table on the index; longer ones have pages of their own."""
ROWS = 1_000
"""Rows of such a page: forges do not render large ones."""

STATES = ("leased", "ready", "needs-person", "blocked", "deferred", "not-needed")
"""In this order on the index; after them, how issues were closed."""

_SPECIAL = frozenset("\\`*_{}[]()#+-!|>~^@:.&=$%'\"")
_JOINER = "\u2060"
"""Invisible and of no width: behind a `<` it keeps that from opening a tag, in text and in code alike."""


class Heading:
    """What the tables say of an issue."""

    __slots__ = ("closed", "id", "labels", "order", "priority", "state", "title", "type")

    def __init__(self, issue: Issue, now: float) -> None:
        self.id = issue.id
        self.title = issue.title
        self.state = issue.state(now)
        self.closed = issue.status == "closed"
        self.type = issue.type
        self.priority = issue.priority
        self.labels = issue.labels
        self.order = (-(issue.closed_at or 0.0), issue.id) if self.closed else (issue.priority, issue.created_at)


def pages(issues: Iterable[Issue], records: Iterable[Record], now: float) -> Iterator[tuple[str, str]]:
    """All pages, as paths with `/` and their text.

    Args:
        issues: all issues, for the tables.
        records: the same ones, for their pages.
        now: unix time: what is leased or deferred at that moment.
    """
    headings = {issue.id: Heading(issue, now) for issue in issues}
    for record in records:
        if record.name in headings:
            yield page_of(record.name), issue_page(record, headings)
    yield from _tables(list(headings.values()))


def page_of(identity: str) -> str:
    """Path of an issue's page."""
    return f"{ISSUES}/{identity[:2]}/{identity}.md"


def _tables(headings: Sequence[Heading]) -> Iterator[tuple[str, str]]:
    by_state: dict[str, list[Heading]] = {}
    for heading in headings:
        by_state.setdefault(heading.state, []).append(heading)
    closed = sorted({heading.state for heading in headings if heading.closed})
    parts = [MARK, "# Issues", f"{sum(not h.closed for h in headings)} open, {sum(h.closed for h in headings)} closed."]
    for state in [*STATES, *closed]:
        found = sorted(by_state.get(state, ()), key=lambda heading: (heading.order, heading.id))
        if not found:
            continue
        parts.append(f"## {state} ({len(found)})")
        if len(found) <= INLINE:
            parts.append(_table(found, ""))
            continue
        links = []
        for number, start in enumerate(range(0, len(found), ROWS), 1):
            path, rows = f"{LISTS}/{state}-{number}.md", found[start : start + ROWS]
            links.append(f"[{start + 1} to {start + len(rows)}]({path})")
            yield path, _page([MARK, f"# {state}, page {number}", "[all issues](../README.md)", _table(rows, "../")])
        parts.append(" · ".join(links))
    yield INDEX, _page(parts)


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _table(headings: Iterable[Heading], up: str) -> str:
    lines = ["| issue | priority | type | title | labels |", "|---|---|---|---|---|"]
    for one in headings:
        labels = " ".join(escaped(label) for label in one.labels)
        lines.append(
            f"| [{one.id}]({up}{page_of(one.id)}) | {one.priority} | {escaped(one.type)} | {escaped(one.title)} |"
            f" {labels} |"
        )
    return "\n".join(lines)


def issue_page(record: Record, headings: dict[str, Heading]) -> str:
    """The page of one issue."""
    parts = [MARK, f"# {escaped(record.title)}", "\n".join(_facts(record, headings)), "[all issues](../../README.md)"]
    for title, text in (
        ("Description", record.body),
        ("Acceptance criteria", record.acceptance),
        ("Design", record.design),
    ):
        if text.strip():
            parts += [f"## {title}", quoted(text)]
    if record.attachments:
        parts.append("## Attachments")
        rows = [f"- {escaped(a.name)}, {a.size:,} bytes, blob {escaped(a.blob)}" for a in record.attachments]
        parts.append("\n".join(rows))
    if record.comments:
        parts.append("## Comments")
    for note in record.comments:
        parts += [f"**{escaped(note.actor or 'somebody')}**, {iso(note.at)[:19]}Z", quoted(note.text)]
    return _page(parts)


def _facts(record: Record, headings: dict[str, Heading]) -> Iterator[str]:
    yield f"- id: {record.name}"
    yield f"- state: {headings[record.name].state}"
    if record.needs_person:
        yield f"- needs a person: {escaped(record.needs_person)}"
    yield f"- type: {escaped(record.type)}, priority {record.priority}"
    yield f"- created by {escaped(record.created_by or 'somebody')}, {iso(record.created_at)[:10]}"
    for name, at in (
        ("changed", record.updated_at),
        ("closed", record.closed_at),
        ("deferred until", record.deferred_until),
        ("due", record.due_at),
    ):
        if at is not None:
            yield f"- {name}: {iso(at)[:10]}"
    for name, words in (
        ("landed as", [record.landed_commit] if record.landed_commit else []),
        ("labels", record.labels),
        ("scope", record.scope),
        ("assignee", [record.assignee] if record.assignee else []),
        ("agent", [record.agent] if record.agent else []),
        ("elsewhere", [record.external_ref] if record.external_ref else []),
    ):
        if words:
            yield f"- {name}: {', '.join(escaped(word) for word in words)}"
    if record.estimate_minutes is not None:
        yield f"- estimate: {record.estimate_minutes} minutes"
    if record.parent:
        yield f"- parent: {_link(record.parent, headings)}"
    for target, kind in sorted(record.dependencies):
        yield f"- {'waits for' if kind == 'blocks' else kind}: {_link(target, headings)}"


def _link(identity: str, headings: dict[str, Heading]) -> str:
    if identity not in headings:
        return escaped(identity)
    return f"[{identity}](../../{page_of(identity)}) {escaped(headings[identity].title)}"


def escaped(text: str) -> str:
    """Text of one line, in which nothing is Markdown or HTML."""
    line = " ".join(text.split())
    return "".join(
        "&lt;" if c == "<" else f"\\{c}" if c in _SPECIAL else c if c.isprintable() else "\ufffd" for c in line
    )


def quoted(text: str) -> str:
    """Markdown that somebody wrote, as a block quote."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("<", f"<{_JOINER}")
    lines = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text).strip("\n").split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)
