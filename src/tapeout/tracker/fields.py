"""Values of an issue's fields: what is valid, and the draft of an issue that is not filed yet. Pure."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.base.moments import seconds_of
from tapeout.tracker.model import (
    DEPENDENCY_KINDS,
    ISSUE_TYPES,
    LAST_MOMENT,
    MAX_ESTIMATE,
    PRIORITIES,
    DependencyKind,
    IssueType,
)
from tapeout.tracker.store import checked_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

MAX_TITLE = 300
"""Longest title or name, in characters."""

MAX_LABEL = 80
"""Longest label, in characters."""


class Draft(NamedTuple):
    """An issue that is not filed yet."""

    title: str
    body: str = ""
    acceptance: str = ""
    type: IssueType = "task"
    priority: int = 2
    labels: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    parent: str | None = None
    agent: str | None = None
    assignee: str | None = None
    deferred_until: float | None = None
    design: str = ""
    due_at: float | None = None
    estimate_minutes: int | None = None
    external_ref: str | None = None
    depends_on: tuple[str, ...] = ()
    """Issues that must close first: ids, or local names of other drafts filed together with this one."""
    links: tuple[tuple[str, DependencyKind], ...] = ()
    """Other dependencies: what they are on, as in `depends_on`, and their kind."""
    name: str | None = None
    """Local name, by which other drafts filed together can refer to this one."""


SPARSE = (
    "body", "acceptance", "design", "agent", "assignee", "deferred_until", "due_at", "estimate_minutes", "external_ref",
)  # fmt: skip
"""Fields that most issues do not have."""


def checked_draft(draft: Draft) -> Draft:
    """The draft as it can be filed.

    Raises:
        UsageError: a field is not valid.
    """
    checked = {
        name: checked_field(name, getattr(draft, name)) for name in ("title", "type", "priority", "scope", *SPARSE)
    }
    labels = tuple(checked_label(label) for label in draft.labels)
    return draft._replace(**checked, labels=labels)


def checked_label(label: str) -> str:
    """The label, if it is one.

    Raises:
        UsageError: it is empty, too long, or holds spaces, commas or control characters.
    """
    odd = any(character in ", " or not character.isprintable() for character in label)
    if odd or not 1 <= len(label) <= MAX_LABEL:
        raise UsageError(f"{label!r} is not a label: 1 to 80 characters, without spaces and commas")
    return label


def checked_kind(kind: str) -> DependencyKind:
    """The kind of dependency that is called so.

    Raises:
        UsageError: none is.
    """
    for known in DEPENDENCY_KINDS:
        if kind == known:
            return known
    raise UsageError(f"{kind!r} is not one of {', '.join(DEPENDENCY_KINDS)}")


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields and their new values, as an operation holds them.

    Raises:
        UsageError: there is no such field, or a value is not valid.
    """
    unknown = [name for name in fields if name not in _CHECKS]
    if unknown:
        raise UsageError(f"issues have no field {unknown[0]!r}", hint=f"fields are {', '.join(_CHECKS)}")
    return {name: checked_field(name, value) for name, value in fields.items()}


def checked_field(name: str, value: Any) -> Any:
    """A field's value as an operation holds it; an empty text clears a field that can be missing.

    Raises:
        UsageError: it is not valid.
    """
    return _CHECKS[name](name, value)


def is_control(character: str) -> bool:
    """Whether it is a control character, of which no line may hold any."""
    return ord(character) < 32 or 127 <= ord(character) < 160


def parse_minutes(text: str) -> int:
    """Minutes from a number of them, or from a length of time such as `90m`, `4h`, `2d` or `1w` (days of 24 hours).

    Raises:
        UsageError: it is neither.
    """
    text = text.strip()
    seconds = seconds_of(text if text[-1:].isalpha() else f"{text}m")
    if seconds is None:
        raise UsageError(f"{text!r} is not an estimate: use 90m, 4h or 2d")
    return seconds // 60


def _checked_title(name: str, value: Any) -> str:
    title = _one_line(name, value)
    if not title:
        raise UsageError("the title is empty")
    return title


def _checked_name(name: str, value: Any) -> str | None:
    """Something else's name, in one line; None for an empty one."""
    return None if value is None else _one_line(_words(name), value) or None


def _one_line(what: str, value: Any) -> str:
    line = _without_control_characters(what, " ".join(_text(what, value).split()))
    if len(line) > MAX_TITLE:
        raise UsageError(f"the {what} is {len(line)} characters long, {MAX_TITLE} is the most")
    return line


def _without_control_characters(what: str, line: str) -> str:
    if any(is_control(character) for character in line.replace("\0", "")):
        raise UsageError(f"the {what} holds control characters")
    return checked_text(line, what)


def _checked_prose(name: str, value: Any) -> str:
    return checked_text(_text(name, value), name)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"the {what} should be text, not {value!r}")
    return value


def _checked_type(_name: str, value: Any) -> str:
    if value not in ISSUE_TYPES:
        raise UsageError(f"{value!r} is not an issue type: {', '.join(ISSUE_TYPES)}")
    return str(value)


def _checked_priority(_name: str, value: Any) -> int:
    if type(value) is not int or value not in PRIORITIES:
        raise UsageError(f"{value!r} is not a priority: 0 (most urgent) to 4")
    return value


def _checked_scope(_name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        raise UsageError("the scope should be a list of globs")
    return [_without_control_characters("scope", _text("scope", glob)) for glob in value]


def _checked_moment(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not (isinstance(value, int | float) and 0 <= value <= LAST_MOMENT):  # NaN neither
        raise UsageError(f"{value!r} is no date that {_words(name)} can be: from 1970 to 9999, in Unix seconds")
    return value


def _checked_estimate(_name: str, value: Any) -> int | None:
    if value is not None and not (type(value) is int and 0 <= value <= MAX_ESTIMATE):
        raise UsageError(f"{value!r} is not an estimate: a number of minutes, at most {MAX_ESTIMATE:,}")
    return value


def _words(name: str) -> str:
    return name.replace("_", " ")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "title": _checked_title,
    "body": _checked_prose,
    "acceptance": _checked_prose,
    "design": _checked_prose,
    "type": _checked_type,
    "priority": _checked_priority,
    "scope": _checked_scope,
    "parent": _checked_name,
    "agent": _checked_name,
    "assignee": _checked_name,
    "deferred_until": _checked_moment,
    "due_at": _checked_moment,
    "estimate_minutes": _checked_estimate,
    "external_ref": _checked_name,
}
"""Every field that people can set, and what makes a value of it valid."""
