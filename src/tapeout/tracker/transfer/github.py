"""GitHub issues: the objects of `GET /repos/OWNER/NAME/issues` and of `gh issue list --json ...`.

GitHub has no word for type, priority, acceptance criteria and design: labels `type:bug` and `priority:1` and sections
at the end of the body say them, and are read from there. A label `bug` or `enhancement` says the type too. There is no
place for dependencies, parents, dates and estimates: an export leaves them out.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tapeout.tracker.model import ISSUE_TYPES
from tapeout.tracker.transfer import sections
from tapeout.tracker.transfer.names import OWN_PREFIX, Named, unique_names
from tapeout.tracker.transfer.record import Item, Note, Record, iso

_ADDRESS = re.compile(r"https?://[^/]+/(?:api/v3/)?(?:repos/)?([\w.-]+/[\w.-]+)/(?:issues|pull)/\d+\Z")
_NAME = re.compile(r"(?:gh-|[\w.-]+/[\w.-]+#)(\d{1,15})\Z")

_RESOLUTIONS = {"completed": "done", "not_planned": "wontfix", "duplicate": "duplicate"}
_REASONS = {
    "done": "completed", "landed": "completed", "duplicate": "duplicate",
    "wontfix": "not_planned", "failed": "not_planned", "invalid": "not_planned",
}  # fmt: skip
_TYPES_BY_LABEL = {"bug": "bug", "enhancement": "feature"}
_TYPE, _MILESTONE, _ALSO = "type:", "milestone:", "assignee:"
_TYPE_LABELS = tuple(f"{_TYPE}{name}" for name in ISSUE_TYPES)
_PRIORITY_LABELS = tuple(f"priority:{number}" for number in (0, 1, 3, 4))


def looks_like(item: Mapping[str, Any]) -> bool:
    """Whether an object is an issue of GitHub."""
    return "number" in item


def read(item: Item) -> Record | None:
    """An issue of GitHub; None for a pull request."""
    data = {_snake(key): value for key, value in item.data.items()}
    item = _Renamed(item, data)
    number = item.integer("number", range(1, 10**15))
    if number is None:
        raise item.error("number", "it is missing")
    address = item.word("html_url") or item.word("url") or ""
    if data.get("pull_request") or "/pull/" in address:
        item.note("skipped: a pull request")
        return None
    created = item.moment("created_at")
    updated = item.moment("updated_at") or created
    if created is None or updated is None:
        raise item.error("created_at", "it is missing")
    closed = (item.word("state") or "open").lower() == "closed"
    title, more = item.title()
    rest, acceptance = sections.split(_lines(item.text("body")), "Acceptance criteria")
    body, design = sections.split(rest, "Design")
    labels, kind, priority = _labels(item)
    assignee = _people(item, labels)
    own = item.word("node_id") or ""
    return Record(
        where=item.where,
        name=own if own.startswith(OWN_PREFIX) else _name(number, address),
        title=title,
        created_at=created,
        updated_at=updated,
        body=more + body,
        acceptance=acceptance,
        design=design,
        type=kind,
        priority=priority,
        resolution=_resolution(item) if closed else None,
        closed_at=(item.moment("closed_at") or updated) if closed else None,
        closed_by=_login(item, "closed_by", data.get("closed_by")),
        labels=tuple(dict.fromkeys(labels)),
        assignee=assignee,
        created_by=_login(item, "user", data.get("user") or data.get("author")),
        comments=tuple(_comments(item, updated)),
    )


class _Renamed(Item):
    """An item whose keys are spelt as the REST interface does; what is said of it is said of the original."""

    def __init__(self, item: Item, data: dict[str, Any]) -> None:
        super().__init__(item.where, data, item.source)
        self.remarks = item.remarks


def _snake(key: str) -> str:
    """`gh` writes `createdAt` where the REST interface writes `created_at`."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower()


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _name(number: int, address: str) -> str:
    """With the repository if it is known: two repositories have the same numbers."""
    found = _ADDRESS.match(address)
    return f"{found[1]}#{number}" if found else f"gh-{number}"


def _resolution(item: Item) -> str:
    reason = (item.word("state_reason") or "completed").lower()
    if reason not in _RESOLUTIONS:
        item.note(f"reason {reason!r:.60} became done")
    return _RESOLUTIONS.get(reason, "done")


def _labels(item: Item) -> tuple[list[str], str, int]:
    """Labels, and the type and priority that some of them say."""
    clean = item.labels(_label_names(item))
    implied = _implied_type(clean)
    typed = next((label for label in clean if label in _TYPE_LABELS and label != f"{_TYPE}{implied}"), None)
    urgent = next((label for label in clean if label in _PRIORITY_LABELS), None)
    labels = [label for label in dict.fromkeys(clean) if label not in (typed, urgent)]
    milestone = item.data.get("milestone")
    if isinstance(milestone, dict) and milestone.get("title"):
        labels += item.labels([_MILESTONE + item.text("milestone.title", milestone["title"])])
    return labels, typed.removeprefix(_TYPE) if typed else implied, int(urgent[-1]) if urgent else 2


def _label_names(item: Item) -> list[str]:
    value = item.data.get("labels") or []
    if not isinstance(value, list):
        raise item.error("labels", "expected a list")
    names = [one.get("name") if isinstance(one, dict) else one for one in value]
    return [item.text(f"labels[{number}]", name) for number, name in enumerate(names)]


def _implied_type(labels: list[str]) -> str:
    return next((_TYPES_BY_LABEL[label] for label in labels if label in _TYPES_BY_LABEL), "task")


def _people(item: Item, labels: list[str]) -> str | None:
    """The first assignee; a label for each other one."""
    people = [_login(item, f"assignees[{number}]", one) for number, one in enumerate(item.items("assignees"))]
    people = [login for login in people if login] or [_login(item, "assignee", item.data.get("assignee"))]
    for other in people[1:]:
        labels += item.labels([f"{_ALSO}{other}"])
        item.note(f"assignee {other!r:.60} is kept as a label")
    return people[0]


def _login(item: Item, field: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise item.error(field, "expected an object with a login")
    return item.line(f"{field}.login", value.get("login"))


def _comments(item: Item, updated: float) -> Iterator[Note]:
    if isinstance(item.data.get("comments"), int):  # the REST interface only says how many
        return
    for number, comment in enumerate(item.items("comments")):
        field = f"comments[{number}]"
        text = _lines(item.text(f"{field}.body", comment.get("body")))
        at = item.moment(f"{field}.created_at", comment.get("created_at") or comment.get("createdAt"))
        author = _login(item, f"{field}.user", comment.get("user") or comment.get("author"))
        if text.strip():
            yield Note(author, updated if at is None else at, text)


def write(record: Record, number: "Number") -> dict[str, Any]:
    """An issue as the REST interface gives it, with its comments."""
    labels, people, milestone = _said_by_labels(record)
    body = sections.join(_lines(record.body), "Design", _lines(record.design))
    item: dict[str, Any] = {
        "number": number.number,
        "title": record.title,
        "body": sections.join(body, "Acceptance criteria", _lines(record.acceptance)),
        "state": "closed" if record.resolution else "open",
        "state_reason": _REASONS.get(record.resolution, "completed") if record.resolution else None,
        "labels": [{"name": label} for label in labels],
        "milestone": {"title": milestone} if milestone else None,
        "assignees": [{"login": login} for login in people],
        "user": {"login": record.created_by},
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
        "closed_at": None if record.closed_at is None else iso(record.closed_at),
        "comments": [
            {"user": {"login": note.actor}, "created_at": iso(note.at), "body": _lines(note.text)}
            for note in record.comments
        ],
    }
    if number.repository:
        item["html_url"] = f"https://github.com/{number.repository}/issues/{number.number}"
    if number.own_name:
        item["node_id"] = number.own_name
    return item


def _said_by_labels(record: Record) -> tuple[list[str], list[str], str | None]:
    """Labels with those for type and priority, assignees, and the milestone: what of our labels came from those."""
    names = set(record.labels)
    milestones = sorted(label for label in names if label.startswith(_MILESTONE) and label != _MILESTONE)
    people = []
    if record.assignee:
        others = sorted(label for label in names if label.startswith(_ALSO) and label != _ALSO)
        names -= set(others)
        people = [record.assignee, *(label.removeprefix(_ALSO) for label in others)]
    names -= set(milestones[:1])
    if record.type != _implied_type(sorted(names)):
        names.add(f"{_TYPE}{record.type}")
    if record.priority != 2:
        names.add(f"priority:{record.priority}")
    return sorted(names), people, milestones[0].removeprefix(_MILESTONE) if milestones else None


class Number(NamedTuple):
    """Number of an issue on GitHub."""

    number: int
    repository: str | None = None
    """`OWNER/NAME`, if it is known."""
    own_name: str | None = None
    """What we call it, if GitHub did not give the number, so that the number alone says nothing."""


def numbers_of(identities: Named) -> dict[str, Number]:
    """Our ids to numbers on GitHub: the one it came with, or one above all of those.

    Args:
        identities: ids and external references of all issues, always in the same order.
    """
    names = unique_names(identities, lambda word: _numbered(word) is not None)
    own_names = unique_names(identities, lambda word: word.startswith(OWN_PREFIX))
    given = {identity: number for identity, name in names.items() if (number := _numbered(name)) is not None}
    free = itertools.count(1 + max((one.number for one in given.values()), default=0))
    return {one: given.get(one) or Number(next(free), own_name=own_names[one]) for one, _ in identities}


def _numbered(name: str) -> Number | None:
    """The number that a name says."""
    found = _NAME.match(name)
    if not found or int(found[1]) == 0:
        return None
    return Number(int(found[1]), None if name.startswith("gh-") else name.partition("#")[0])


def closed_alike(one: str | None, other: str | None) -> bool:
    """Whether GitHub would say the same of two resolutions."""
    return one is not None and other is not None and _REASONS.get(one) == _REASONS.get(other)
