"""Issues from Markdown files: front matter (YAML between `---` lines), then the body; one issue a file, or many.

A file without front matter is one issue: its first heading is the title, the rest the body.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import yaml

from tapeout.base.errors import UsageError
from tapeout.tracker.issues import Draft

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_KEY = re.compile(r"[A-Za-z][\w-]*\s*:")

FIELDS = (
    "id", "title", "type", "priority", "labels", "scope", "parent", "agent", "assignee", "depends-on", "acceptance",
    "defer",
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
    sections = list(_sections(text.splitlines()))
    if not sections:
        return [_headed(text, source)]
    return [_draft(section, source) for section in sections]


def _sections(lines: list[str]) -> Iterator[_Section]:
    starts = list(_front_matters(lines))
    for index, (start, end) in enumerate(starts):
        stop = starts[index + 1][0] if index + 1 < len(starts) else len(lines)
        yield _Section(start + 1, "\n".join(lines[start + 1 : end]), "\n".join(lines[end + 1 : stop]).strip())


def _front_matters(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Indexes of the `---` lines that open and close each front matter; fenced code is skipped."""
    fence, number = "", 0
    while number < len(lines):
        line = lines[number]
        mark = _FENCE.match(line)
        if fence:
            if mark and line.strip() == mark[1] and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        elif line.rstrip() == "---" and number + 1 < len(lines) and _KEY.match(lines[number + 1]):
            end = next((n for n in range(number + 1, len(lines)) if lines[n].rstrip() == "---"), None)
            if end is not None:
                yield number, end
                number = end
        number += 1


def _headed(text: str, source: str) -> Draft:
    lines = text.strip().splitlines()
    if not lines or not lines[0].startswith("# "):
        raise UsageError(
            f"{source}:1: no issue found: it has neither front matter nor a first line `# Title`",
            hint="see docs/reference/issue-files.md",
        )
    return Draft(lines[0].removeprefix("# ").strip(), body="\n".join(lines[1:]).strip())


def _draft(section: _Section, source: str) -> Draft:
    where = f"{source}:{section.line}"
    try:
        matter = yaml.safe_load(section.matter)
    except yaml.YAMLError as error:
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
    if not matter.get("title"):
        raise UsageError(f"{where}: this issue has no title")
    return Draft(
        title=str(matter["title"]),
        body=section.body,
        acceptance=_text(matter, "acceptance", where) or "",
        type=matter.get("type", "task"),
        priority=matter.get("priority", 2),
        labels=_names(matter, "labels", where),
        scope=_names(matter, "scope", where),
        parent=_text(matter, "parent", where),
        agent=_text(matter, "agent", where),
        assignee=_text(matter, "assignee", where),
        deferred_until=_moment(matter.get("defer"), where),
        depends_on=_names(matter, "depends-on", where),
        name=_text(matter, "id", where),
    )


def _text(matter: dict[str, Any], key: str, where: str) -> str | None:
    value = matter.get(key)
    if key == "acceptance" and isinstance(value, list):
        return "\n".join(f"- {line}" for line in value)
    if isinstance(value, dict | list):
        raise UsageError(f"{where}: {key} should be text")
    return None if value is None else str(value).strip()


def _names(matter: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = matter.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and not any(isinstance(part, dict | list) for part in value):
        return tuple(str(part) for part in value)
    raise UsageError(f"{where}: {key} should be a list such as [one, two]")


def _moment(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise UsageError(f"{where}: defer should be a date such as 2027-01-31")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _line_of(matter: str, key: str) -> int:
    return next((n for n, line in enumerate(matter.splitlines()) if line.startswith(key)), 0)
