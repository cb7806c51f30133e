"""`tapeout issue show`: one issue with everything that hangs on it."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.moments import clock
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker
from tapeout.cli.listing import as_data
from tapeout.cli.output import Result, duration
from tapeout.tracker import Filter, Tracker

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker.model import Issue

CHILDREN_SHOWN = 20
"""Children that the page for people lists; JSON has all."""


def add_show(parser: Describes) -> None:
    """Arguments of `issue show`."""
    parser.add_argument("issue", metavar="ID")
    add_json(parser)
    parser.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        data = page_data(tracker, tracker.issue(arguments.issue))
    return Result(data, lambda: _page(data))


def page_data(tracker: Tracker, issue: Issue) -> dict[str, Any]:
    """An issue with what hangs on it, as JSON has it."""
    now = time.time()
    children = tracker.issues(Filter(parent=issue.id))
    closed = sum(child.status == "closed" for child in children)
    return {
        **as_data(issue),
        "dependencies": [one._asdict() for one in tracker.dependencies(issue.id)],
        "children": [{"id": child.id, "title": child.title, "state": child.state(now)} for child in children],
        "progress": {"closed": closed, "total": len(children)} if children or issue.type == "epic" else None,
        "permissions": sorted(tracker.permissions(issue.id)),
        "attachments": [one._asdict() for one in tracker.attachments(issue.id)],
        "comments": [one._asdict() for one in tracker.comments(issue.id)],
        "attempts": [one._asdict() for one in tracker.attempts(issue.id)],
        "changes": [one._asdict() for one in tracker.all_changes(issue.id)],
    }


def _page(data: dict[str, Any]) -> str:
    lines = [f"{data['id']}  {data['title']}", _facts(data)]
    if data["needs_person"]:
        lines.append(f"needs a person: {data['needs_person']}")
    if data["permissions"]:
        lines.append(f"allowed: {', '.join(data['permissions'])}")
    if data["not_needed"] and data["status"] == "open":
        lines.append("not needed: it should run only if another issue fails, and that did not fail")
    if data["landed_commit"]:
        lines.append(f"landed as {data['landed_commit']}")
    lines += [_dependency(one, data["id"]) for one in data["dependencies"]]
    lines += _children(data)
    for title, text in (
        ("", data["body"]),
        ("Acceptance criteria", data["acceptance"]),
        ("Design", data["design"]),
    ):
        if text:
            lines += ["", *([title, ""] if title else []), text]
    lines += _attachments(data["attachments"])
    if data["attempts"]:
        lines += ["", "Attempts", ""]
        lines += [f"{a['id']}  {a['agent']}  {a['outcome'] or a['state']}  {a['detail']}" for a in data["attempts"]]
    for comment in data["comments"]:
        lines += ["", f"{comment['actor']}, {clock(comment['at'])}:", comment["text"]]
    return "\n".join(lines)


def _facts(data: dict[str, Any]) -> str:
    facts = [data["state"], data["type"], f"priority {data['priority']}", f"created {clock(data['created_at'])}"]
    facts += [f"{name} {data[name]}" for name in ("parent", "agent", "assignee") if data[name]]
    if data["state"] == "leased":
        facts.append(f"held by {data['lease_owner']} until {clock(data['lease_expires'])}")
    if data["state"] == "deferred":
        facts.append(f"not before {clock(data['deferred_until'])}")
    if data["due_at"] is not None:
        late = data["status"] == "open" and data["due_at"] < time.time()
        facts.append(f"due {clock(data['due_at'])}{', overdue' if late else ''}")
    if data["estimate_minutes"] is not None:
        facts.append(f"estimate {duration(data['estimate_minutes'] * 60)}")
    if data["external_ref"]:
        facts.append(f"elsewhere {data['external_ref']}")
    facts += [f"#{label}" for label in data["labels"]]
    facts += [f"scope {', '.join(data['scope'])}"] if data["scope"] else []
    return " · ".join(facts)


_WORDS = {"blocks": "waits for", "conditional": "runs only if this fails:"}


def _dependency(dependency: dict[str, Any], identity: str) -> str:
    ignored = "  (ignored: these issues would wait for each other)" if dependency["ignored"] else ""
    if dependency["issue"] == identity:
        word = _WORDS.get(dependency["kind"], dependency["kind"])
        return f"{word} {dependency['target']}{ignored}"
    word = {"conditional": "runs only if this fails", "blocks": "waits for this"}.get(
        dependency["kind"], f"{dependency['kind']} this"
    )
    return f"{dependency['issue']} {word}{ignored}"


def _children(data: dict[str, Any]) -> list[str]:
    if data["progress"] is None:
        return []
    closed, total = data["progress"]["closed"], data["progress"]["total"]
    share = f" ({100 * closed // total}%)" if total else ""
    lines = ["", f"Children: {closed} of {total} closed{share}", ""]
    lines += [f"{child['id']}  {child['state']}  {child['title']}" for child in data["children"][:CHILDREN_SHOWN]]
    if total > CHILDREN_SHOWN:
        lines.append(f"... and {total - CHILDREN_SHOWN} more: `tapeout issue list --status all --parent {data['id']}`")
    return lines


def _attachments(attachments: list[dict[str, Any]]) -> list[str]:
    if not attachments:
        return []
    rows = [f"{number}  {one['name']}  {one['size']:,} bytes" for number, one in enumerate(attachments, start=1)]
    return ["", "Attachments", "", *rows]
