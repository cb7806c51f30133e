"""The tools: what each is for, what it takes, what it does. Names, descriptions and schemas together cost every session
that connects at most 2,500 tokens."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tapeout.base.caller import refuse_agents
from tapeout.cli.claims import under_lease
from tapeout.cli.context import open_tracker, parse_moment
from tapeout.cli.listing import as_data
from tapeout.cli.parser import parse
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import DEPENDENCY_KINDS, ISSUE_TYPES, PERSON_RESOLUTIONS
from tapeout.tracker.prime.primer import MAX_BUDGET, MIN_BUDGET

Schema = dict[str, Any]
Arguments = Mapping[str, Any]

LIST_LIMIT = 20
"""Issues that a listing shows unless told otherwise: a session pays for every one of them."""


class Tool(NamedTuple):
    """One tool of the server."""

    name: str
    description: str
    properties: dict[str, Schema]
    required: tuple[str, ...]
    run: Callable[[Arguments], Any]
    """Makes the data of the envelope."""
    writes: bool = True

    @property
    def schema(self) -> Schema:
        """JSON Schema of its arguments."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }


def _command(*words: str) -> Any:
    """The data of a command; what is for people only is refused to an agent at work, as on the command line."""
    arguments = parse(words)
    if getattr(arguments, "for_people", False):
        refuse_agents()
    data = arguments.run(arguments).data
    return list(data) if isinstance(data, Iterator) else data


@contextlib.contextmanager
def _open(given: Arguments) -> Iterator[Tracker]:
    """The tracker, for writes that are refused once the caller has lost his claim."""
    with open_tracker() as tracker, under_lease(tracker, given.get("token")):
        yield tracker


def _prime(given: Arguments) -> Any:
    return _command("prime", *(f"--{name}={given[name]}" for name in ("budget", "issue") if name in given))


def _list(given: Arguments) -> Any:
    limit = str(given.get("limit", LIST_LIMIT))
    words = ("ready",) if given.get("ready") else ("issue", "list")
    return _command(*words, "--limit", limit, "--", given.get("query", ""))


def _show(given: Arguments) -> Any:
    return _command("issue", "show", "--", given["issue"])


def _create(given: Arguments) -> Any:
    drafts = [_draft(one) for one in given["issues"]]
    with open_tracker() as tracker:
        return [as_data(issue) for issue in tracker.create_many(drafts)]


_DRAFT_FIELDS = ("title", "body", "acceptance", "design", "type", "priority", "parent", "name")


def _draft(given: Arguments) -> Draft:
    fields = {field: given[field] for field in _DRAFT_FIELDS if field in given}
    links = tuple((one["on"], one["kind"]) for one in given.get("links", ()))
    return Draft(
        **fields,
        labels=tuple(given.get("labels", ())),
        scope=tuple(given.get("scope", ())),
        depends_on=tuple(given.get("depends_on", ())),
        links=links,
        deferred_until=parse_moment(given["defer"]) if "defer" in given else None,
    )


_EDITED = ("title", "body", "acceptance", "design", "type", "priority", "parent", "assignee", "scope")


def _update(given: Arguments) -> Any:
    fields = {field: given[field] for field in _EDITED if field in given}
    if "defer" in given:
        fields["deferred_until"] = parse_moment(given["defer"])
    with _open(given) as tracker:
        issue = tracker.edit(
            given["issue"],
            fields,
            add_labels=given.get("add_labels", ()),
            remove_labels=given.get("remove_labels", ()),
            add_dependencies=_targets(given.get("add_dependencies", ())),
            remove_dependencies=_targets(given.get("remove_dependencies", ())),
        )
        return as_data(issue)


def _targets(dependencies: Any) -> list[tuple[str, str]]:
    return [(one["on"], one.get("kind", "blocks")) for one in dependencies]


def _comment(given: Arguments) -> Any:
    with _open(given) as tracker:
        return tracker.comment(given["issue"], given["text"])._asdict()


def _claim(given: Arguments) -> Any:
    seconds = [f"--lease={given['seconds']}"] if "seconds" in given else []
    if given.get("renew"):
        return _command("renew", *seconds, "--", given.get("issue", ""))
    if "issue" in given:
        return _command("claim", *seconds, "--", given["issue"])
    return _command("claim", "--next", *seconds, *(f"--label={label}" for label in given.get("labels", ())))


def _release(given: Arguments) -> Any:
    return _command("release", "--", given["issue"])


def _close(given: Arguments) -> Any:
    refuse_agents()
    with _open(given) as tracker:
        return as_data(tracker.close_issue(given["issue"], given.get("as", "done"), given.get("note", "")))


def _history(given: Arguments) -> Any:
    with open_tracker() as tracker:
        issue = tracker.resolve(given["issue"]) if "issue" in given else None
        return [event._asdict() for event in tracker.events(issue=issue, limit=given.get("limit", LIST_LIMIT))]


_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ID: Schema = {"type": "string", "description": "id or its start"}
_TYPE: Schema = {"enum": list(ISSUE_TYPES)}
_PRIORITY: Schema = {"type": "integer", "minimum": 0, "maximum": 4, "description": "0 is most urgent"}
_TOKEN: Schema = {"type": "integer", "description": "of your claim: refused once you have lost it"}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 1000, "default": LIST_LIMIT}
_KIND: Schema = {"enum": list(DEPENDENCY_KINDS)}


QUERY = "status:closed is:blocked label:api -type:epic priority:<=1 parent:ID updated:<7d sort:updated-desc words OR"
"""What the query language looks like, by example; a wrong field is answered with the list of all."""


def _link(*required: str) -> Schema:
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"on": _ID, "kind": _KIND},
            "required": list(required),
            "additionalProperties": False,
        },
    }


_FIELDS: dict[str, Schema] = {
    "title": _TEXT,
    "body": {"type": "string", "description": "Markdown"},
    "acceptance": {"type": "string", "description": "criteria, Markdown"},
    "design": _TEXT,
    "type": _TYPE,
    "priority": _PRIORITY,
    "parent": _ID,
    "scope": {**_TEXTS, "description": "globs of paths it may touch"},
    "defer": {"type": "string", "description": "not ready before: 2027-01-31, 2d, 3h"},
}

TOOLS = (
    Tool(
        "prime",
        "Start here: the plan in few tokens. Goal, who works on what, ready, blocked, what failed and why, last notes,"
        " rules. With issue: all about that one.",
        {"issue": _ID, "budget": {"type": "integer", "minimum": MIN_BUDGET, "maximum": MAX_BUDGET}},
        (),
        _prime,
        writes=False,
    ),
    Tool(
        "list_issues",
        "Issues that fit, most urgent first; open ones unless the query says otherwise. ready: only those that can be"
        " started now.",
        {"query": {"type": "string", "description": QUERY}, "ready": {"type": "boolean"}, "limit": _LIMIT},
        (),
        _list,
        writes=False,
    ),
    Tool(
        "show_issue",
        "One issue whole: fields, dependencies, comments, attempts, changes with verdicts.",
        {"issue": _ID},
        ("issue",),
        _show,
        writes=False,
    ),
    Tool(
        "create_issues",
        "File one issue or many at once, all or none. depends_on: what must close first, by id or by the name of"
        " another issue in the same call.",
        {
            "issues": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        **_FIELDS,
                        "name": {"type": "string", "description": "local name for depends_on, parent, links"},
                        "labels": _TEXTS,
                        "depends_on": _TEXTS,
                        "links": {**_link("on", "kind"), "description": "other dependencies"},
                    },
                    "required": ["title"],
                    "additionalProperties": False,
                },
            }
        },
        ("issues",),
        _create,
    ),
    Tool(
        "update_issue",
        "Change fields, labels and dependencies of an issue.",
        {
            "issue": _ID,
            **_FIELDS,
            "assignee": _TEXT,
            "add_labels": _TEXTS,
            "remove_labels": _TEXTS,
            "add_dependencies": {**_link("on"), "description": "kind blocks (default): on must close first"},
            "remove_dependencies": _link("on"),
            "token": _TOKEN,
        },
        ("issue",),
        _update,
    ),
    Tool(
        "comment",
        "Leave a note for the next session: what you tried, what failed and how, what is left.",
        {"issue": _ID, "text": {"type": "string", "description": "Markdown"}, "token": _TOKEN},
        ("issue", "text"),
        _comment,
    ),
    Tool(
        "claim",
        "Take an issue before you work on it; without issue the most urgent ready one. Error lost-claim tells who holds"
        " it until when. renew: extend your own claim.",
        {
            "issue": _ID,
            "labels": {**_TEXTS, "description": "without issue: only one that has them"},
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 86400, "default": 3600},
            "renew": {"type": "boolean"},
        },
        (),
        _claim,
    ),
    Tool("release", "Give a claimed issue back unfinished; comment first.", {"issue": _ID}, ("issue",), _release),
    Tool(
        "close_issue",
        "Close an issue. Never as landed: only the gate does that.",
        {"issue": _ID, "as": {"enum": list(PERSON_RESOLUTIONS), "default": "done"}, "note": _TEXT, "token": _TOKEN},
        ("issue",),
        _close,
    ),
    Tool(
        "history",
        "What happened, oldest first: to one issue, or to all.",
        {"issue": _ID, "limit": _LIMIT},
        (),
        _history,
        writes=False,
    ),
)

BY_NAME = {tool.name: tool for tool in TOOLS}
