"""Issues from Markdown files: front matter (YAML between `---` lines), then the body; one issue a file, or many.

A file without front matter is one issue: its first heading is the title, the rest the body. Values are taken as they
are written: `title: no` is a title and not a truth value.

What may go wrong: a front matter, a field or a value is not valid; the error names the file and the line.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import yaml

from tapeout.base.errors import UsageError
from tapeout.tracker.fields import Draft, checked_draft, parse_minutes
from tapeout.tracker.model import DependencyKind, IssueType

_FENCE = re.compile(r" {0,3}(?:(`{3,})[^`]*$|(~{3,}))")
_KEY = re.compile(r"[A-Za-z][\w-]*\s*:")

FIELDS = (
    "id", "title", "type", "priority", "labels", "scope", "parent", "agent", "assignee", "depends-on", "acceptance",
    "design", "defer", "due", "estimate", "external-ref", "conditional-on", "related", "discovered-from", "duplicates",
    "supersedes",
)  # fmt: skip
"""Keys of the front matter. `id` is a local name that other issues of the same file can use in `depends-on` and
`parent`; the tracker makes the real id."""


class _Section(NamedTuple):
    line: int
    """Line of the opening `---`, from 1."""
    matter: str
    body: str


def parse_drafts(text: str, source: str) -> list[Draft]:
    """All issues of a Markdown text.

    Raises:
        UsageError: names `source`, the line and what is wrong.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    sections = list(_sections(lines, source))
    if not sections:
        return [_checked(_headed(lines, source), f"{source}:1")]
    _refuse_preamble(lines[: sections[0].line - 1], source)
    return [_checked(_draft(section, source), f"{source}:{section.line}") for section in sections]


def _checked(draft: Draft, where: str) -> Draft:
    try:
        return checked_draft(draft)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error


def _refuse_preamble(lines: list[str], source: str) -> None:
    number = next((n for n, line in enumerate(lines, start=1) if line.strip()), None)
    if number is not None:
        raise UsageError(
            f"{source}:{number}: this text is before the first front matter, so it belongs to no issue",
            hint="an issue begins with `---`, `title: ...` and `---`; its body follows",
        )


def _sections(lines: list[str], source: str) -> Iterator[_Section]:
    starts = list(_front_matters(lines, source))
    for index, (start, end) in enumerate(starts):
        stop = starts[index + 1][0] if index + 1 < len(starts) else len(lines)
        yield _Section(start + 1, "\n".join(lines[start + 1 : end]), "\n".join(lines[end + 1 : stop]).strip())


def _front_matters(lines: list[str], source: str) -> Iterator[tuple[int, int]]:
    """Indexes of the `---` lines that open and close each front matter; fenced code is skipped."""
    fence, after = "", 0
    for number, line in enumerate(lines):
        if number < after:
            continue
        was_fenced, fence = bool(fence), _fence_after(fence, line)
        if was_fenced or fence or not _opens(lines, number):
            continue
        end = next((n for n in range(number + 1, len(lines)) if lines[n].rstrip() == "---"), None)
        if end is not None:
            yield number, end
            after = end + 1
        elif lines[number + 1].partition(":")[0].strip() in FIELDS:
            raise UsageError(f"{source}:{number + 1}: this front matter is not closed by a line `---`")


def _fence_after(fence: str, line: str) -> str:
    """The fence of the code block that we are in after this line, or nothing; `fence` is the one before it."""
    mark = _FENCE.match(line)
    if mark is None:
        return fence
    ticks = mark[1] or mark[2]
    if not fence:
        return str(ticks)
    return "" if line.strip() == ticks and ticks.startswith(fence) else fence


def _opens(lines: list[str], number: int) -> bool:
    return lines[number].rstrip() == "---" and number + 1 < len(lines) and bool(_KEY.match(lines[number + 1]))


def _headed(lines: list[str], source: str) -> Draft:
    lines = "\n".join(lines).strip().split("\n")
    if not lines[0].startswith("# "):
        raise UsageError(
            f"{source}:1: no issue found: it has neither front matter nor a first line `# Title`",
            hint="see docs/reference/issue-files.md",
        )
    return Draft(lines[0].removeprefix("# ").strip(), body="\n".join(lines[1:]).strip())


def _draft(section: _Section, source: str) -> Draft:
    where = f"{source}:{section.line}"
    try:
        matter = yaml.load(section.matter, Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but text and lists
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = section.line + (mark.line + 1 if mark else 0)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise UsageError(f"{source}:{line}: front matter: {problem}") from error
    if not isinstance(matter, dict):
        raise UsageError(f"{where}: the front matter is not a list of `key: value` lines")
    for key in matter:
        if key not in FIELDS:
            line = section.line + 1 + _line_of(section.matter, str(key))
            raise UsageError(f"{source}:{line}: unknown field {key!r}", hint=f"known: {', '.join(FIELDS)}")
    title = _text(matter, "title", where)
    if not title:
        raise UsageError(f"{where}: this issue has no title")
    return Draft(
        title=title,
        body=section.body,
        acceptance=_text(matter, "acceptance", where) or "",
        type=cast("IssueType", _text(matter, "type", where) or "task"),
        priority=_priority(_text(matter, "priority", where), where),
        labels=_names(matter, "labels", where),
        scope=_names(matter, "scope", where),
        parent=_text(matter, "parent", where),
        agent=_text(matter, "agent", where),
        assignee=_text(matter, "assignee", where),
        deferred_until=_moment(matter, "defer", where),
        design=_text(matter, "design", where) or "",
        due_at=_moment(matter, "due", where),
        estimate_minutes=_estimate(_text(matter, "estimate", where), where),
        external_ref=_text(matter, "external-ref", where),
        depends_on=_names(matter, "depends-on", where),
        links=tuple((name, kind) for key, kind in _LINKS.items() for name in _names(matter, key, where)),
        name=_text(matter, "id", where),
    )


_LINKS: dict[str, DependencyKind] = {
    "conditional-on": "conditional",
    "related": "related",
    "discovered-from": "discovered-from",
    "duplicates": "duplicates",
    "supersedes": "supersedes",
}
"""Key of the front matter to the kind of dependency."""


def _text(matter: dict[str, Any], key: str, where: str) -> str | None:
    """The text of a field; None if it is missing or empty."""
    value = matter.get(key)
    if key == "acceptance" and isinstance(value, list) and _all_text(value):
        return "\n".join(f"- {line}" for line in value)
    if isinstance(value, dict | list):
        raise UsageError(f"{where}: {key} should be text")
    return str(value or "").strip() or None


def _names(matter: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = matter.get(key) or ""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and _all_text(value):
        return tuple(value)
    raise UsageError(f"{where}: {key} should be a list such as [one, two]")


def _all_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _priority(value: str | None, where: str) -> int:
    if value is None:
        return 2
    if not (value.isascii() and value.isdecimal()):
        raise UsageError(f"{where}: {value!r} is not a priority: 0 (most urgent) to 4")
    return int(value[:9])


def _estimate(value: str | None, where: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_minutes(value)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}") from error


def _moment(matter: dict[str, Any], key: str, where: str) -> float | None:
    """Unix time of an ISO date or time, in UTC unless it says otherwise."""
    value = _text(matter, key, where)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: {value!r} is no date: {key} should be one such as 2027-01-31") from error


def _line_of(matter: str, key: str) -> int:
    found = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*:")
    return next((n for n, line in enumerate(matter.split("\n")) if found.match(line)), 0)
