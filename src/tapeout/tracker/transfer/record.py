"""An issue outside of the tracker, whatever format it comes from or goes to."""

from typing import Any, NamedTuple

from tapeout.base.errors import UsageError
from tapeout.tracker import values
from tapeout.tracker.fields import MAX_LABEL, MAX_TITLE, is_control
from tapeout.tracker.model import ISSUE_TYPES, LAST_MOMENT, MAX_ESTIMATE, PRIORITIES
from tapeout.tracker.store import checked_text


class Note(NamedTuple):
    """A comment on its way."""

    actor: str | None
    """None if the file does not say who wrote it."""
    at: float
    """Unix time, seconds."""
    text: str


class Attachment(NamedTuple):
    """An attached file on its way."""

    name: str
    blob: str
    """Object id of the content."""
    size: int
    """Bytes."""
    actor: str | None
    at: float
    content: bytes | None
    """None where the file does not hold it."""


class Record(NamedTuple):
    """An issue as a file says it. Other issues are named as in the file, not by our ids."""

    where: str
    """Place in the file, for people: `line 12`."""
    name: str
    """What it is called there: `bd-a1b2`, `gh-12`, `owner/name#12`, or our own id."""
    title: str
    created_at: float
    """Unix time, seconds, as all times here."""
    updated_at: float
    body: str = ""
    acceptance: str = ""
    design: str = ""
    type: str = "task"
    priority: int = 2
    resolution: str | None = None
    """None while it is open."""
    closed_at: float | None = None
    closed_by: str | None = None
    landed_commit: str | None = None
    labels: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    parent: str | None = None
    agent: str | None = None
    assignee: str | None = None
    needs_person: str | None = None
    deferred_until: float | None = None
    due_at: float | None = None
    estimate_minutes: int | None = None
    external_ref: str | None = None
    """Names elsewhere, separated by spaces; without `name`."""
    created_by: str | None = None
    dependencies: tuple[tuple[str, str], ...] = ()
    """What it depends on, and the kind."""
    comments: tuple[Note, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    deleted: bool = False
    """It was deleted there."""
    history: dict[str, Any] | None = None
    """Attempts, changes and lease: told by an export, not brought in by an import."""


FIELDS = tuple(values.FIELDS)
"""Fields that a record and an issue of the tracker share, and that an operation can set."""


class Remark(NamedTuple):
    """Something about an item of a file that its reader should know."""

    where: str
    text: str


class Item:
    """One object of a file while it is read: fetches fields, and says where it is when one is not valid."""

    def __init__(self, where: str, data: dict[str, Any], source: str) -> None:
        """
        Args:
            where: place in the file, for people.
            source: name of the file.
        """
        self.where = where
        self.data = data
        self.source = source
        self.remarks: list[Remark] = []

    def note(self, text: str) -> None:
        """Something that the reader should know."""
        self.remarks.append(Remark(self.where, text))

    def error(self, field: str, problem: str) -> UsageError:
        """The error for a field."""
        return UsageError(
            f"{self.source}, {self.where}, {field}: {problem}", hint="nothing was imported; mend it and try again"
        )

    def text(self, field: str, value: Any = None) -> str:
        """A text that may be missing; with `value`, that one instead of the field's."""
        value = self.data.get(field) if value is None else value
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.error(field, f"{value!r:.60} is no text")
        try:
            return checked_text(value, "text")
        except UsageError as error:
            raise self.error(field, error.message) from error

    def word(self, field: str, value: Any = None) -> str | None:
        """A text that may be missing, or None if it is empty."""
        text = self.text(field, value)
        return text if text.strip() else None

    def line(self, field: str, value: Any = None) -> str | None:
        """A name in one line, as we can keep it, or None if it is empty."""
        whole = " ".join(self.text(field, value).split())
        name = _without_control_characters(whole)
        if name != whole:
            self.note(f"control characters in {field} were replaced")
        if len(name) > MAX_TITLE:
            raise self.error(field, f"it is {len(name)} characters long, {MAX_TITLE} is the most")
        return name or None

    def texts(self, field: str) -> list[str]:
        """A list of texts that may be missing."""
        value = self.data.get(field) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(field, "expected a list of texts")
        return [self.text(field, one) for one in value]

    def globs(self, field: str, value: Any) -> tuple[str, ...]:
        """The scope: a list of globs that may be missing."""
        if not isinstance(value or [], list):
            raise self.error(field, "expected a list of texts")
        return tuple(_without_control_characters(self.text(field, glob)) for glob in value or [] if glob is not None)

    def plannable(self, field: str, at: float | None) -> float | None:
        """A moment for which something can be planned.

        Raises:
            UsageError: it is before 1970 or after the year 9999.
        """
        if at is not None and not 0 <= at <= LAST_MOMENT:
            raise self.error(field, "it is before 1970 or after 9999")
        return at

    def integer(self, field: str, allowed: range, default: int | None = None) -> int | None:
        """A whole number."""
        value = self.data.get(field)
        if value is None:
            return default
        if type(value) is not int or value not in allowed:
            raise self.error(field, f"{value!r:.60} is no whole number from {allowed.start} to {allowed.stop - 1}")
        return value

    def priority(self) -> int:
        """0 to 4; 2 if it is missing."""
        priority = self.integer("priority", PRIORITIES, 2)
        assert priority is not None
        return priority

    def estimate(self, field: str) -> int | None:
        """Minutes."""
        return self.integer(field, range(MAX_ESTIMATE + 1))

    def moment(self, field: str, value: Any = None) -> float | None:
        """A moment as ISO 8601 text (RFC 3339), in unix seconds; Go's zero time is none."""
        from datetime import UTC, datetime

        value = self.data.get(field) if value is None else value
        if value is None or value == "":
            return None
        try:
            moment = datetime.fromisoformat(value)
        except (ValueError, TypeError) as error:
            raise self.error(field, f"{value!r:.60} is no time; expected one like 2027-01-31T12:00:00Z") from error
        if moment.year == 1:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def items(self, field: str) -> list[dict[str, Any]]:
        """A list of objects that may be missing."""
        value = self.data.get(field)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(field, "expected a list of objects")
        return value

    def title(self) -> tuple[str, str]:
        """The title as we can keep it, and what of it belongs at the top of the body, because it is too long."""
        whole = " ".join(self.text("title").split())
        title = _without_control_characters(whole)
        if title != whole:
            self.note("control characters in the title were replaced")
        if not title:
            raise self.error("title", "it is empty")
        if len(title) <= MAX_TITLE:
            return title, ""
        self.note(f"the title has {len(title)} characters; the whole of it is in the body")
        return title[: MAX_TITLE - 1] + "…", title + "\n\n"

    def labels(self, names: list[str]) -> list[str]:
        """Labels as we can keep them: without spaces, commas and control characters."""
        found = []
        for name in names:
            label = clean_label(name)
            if label != name:
                self.note(f"label {name!r:.100} became {label!r}" if label else f"label {name!r:.100} was left out")
            if label:
                found.append(label)
        return found

    def type(self, name: str | None, labels: list[str]) -> str:
        """The type if it is one of ours; otherwise `task` and a label that says what it was."""
        if name is None or name in ISSUE_TYPES:
            return name or "task"
        label = clean_label(f"type:{name}")
        labels.append(label)
        self.note(f"type {name!r:.60} became task with the label {label}")
        return "task"


def _without_control_characters(text: str) -> str:
    return "".join("\ufffd" if is_control(c) else c for c in text)


def clean_label(name: str) -> str:
    """The nearest label that the tracker accepts, or nothing."""
    if name.isprintable() and " " not in name and "," not in name:
        return name[:MAX_LABEL]
    words = "".join(" " if c in ", \t\n" else c if c.isprintable() else "" for c in name).split()
    return "-".join(words)[:MAX_LABEL]


def iso(at: float) -> str:
    """A moment as ISO 8601 text in UTC, to the microsecond; the nearest that such a text can say."""
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(min(max(at, -62_000_000_000.0), LAST_MOMENT), UTC)
    return moment.isoformat().replace("+00:00", "Z")
