"""Events of the log as lines for people. Pure."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker.model import Event
from tapeout.tracker.values import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _Describe = Callable[[dict[str, Any]], str]


def describe(event: Event) -> str:
    """One line for an event; empty for one of no interest to people."""
    describer = _DESCRIBERS.get(event.kind)
    try:
        text = " ".join(describer(event.data).split("\n")) if describer else ""
    except (LookupError, TypeError, ValueError, AttributeError):  # written by another version
        text = ""
    if not text:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    return f"{at}  {event.issue or '-':10}  {text}"


def _attempt_updated(data: dict[str, Any]) -> str:
    if "rounds" in data:
        return f"{data['attempt']}: prompt {data['rounds']}"
    return ""


def _attempt_ended(data: dict[str, Any]) -> str:
    detail = f": {data['detail']}" if data["detail"] != data["outcome"] else ""
    return f"{data['attempt']} ended as {data['outcome']}{detail}"


def _attempt_noted(data: dict[str, Any]) -> str:
    attempt, topic, note = data["attempt"], data["topic"], data["data"]
    kind, _, identity = topic.partition(".")
    if kind == "order" and identity:
        text = f" ({note['text'][:100]})" if note["text"] else ""
        return "" if note.get("taken") else f"{attempt}: {note['by']} says {note['kind']}{text}"
    if kind == "question" and identity:
        return f"{attempt} asks ({identity}): {note['title'][:100]}"
    if kind == "answer" and identity:
        return f"{attempt}: {note['by']} answers {identity}: {note['answer'][:100]}"
    if topic == "supervision":
        last = note["entries"][-1]
        return f"{attempt}: {'told' if last['kind'] == 'told' else 'is ended'}: {last['evidence']}"
    return f"{attempt}: left a handoff" if topic == "handoff" else ""


def _change_moved(data: dict[str, Any]) -> str:
    verdict = data.get("verdict")
    if data["state"] == "failed" and verdict:
        return f"change {data['change']} refused: {verdict['reason']}"
    if data["state"] == "conflict" and verdict:
        return f"change {data['change']}: {verdict['reason']}"
    if data["state"] == "passed" and verdict:
        return f"change {data['change']} passed: {verdict['reason']} in {verdict.get('seconds', 0):.1f} s"
    return ""


def _noted(data: dict[str, Any]) -> str:
    match data["what"]:
        case "run-started":
            return "the floor started"
        case "over-budget":
            return f"over budget: {data['reason']}"
        case "provider-paused":
            until = f"until {time.strftime('%H:%M:%S', time.localtime(data['until']))}" if "until" in data else ""
            return f"{data['provider']} is paused {until or 'until a person acts'}: {data['reason']}"
        case "provider-back":
            return f"{data['provider']} is back"
        case "provider-resumed":
            return f"{data['provider']} is tried again"
    if isinstance(data.get("permissions"), list):
        note = f" ({data['note']})" if data.get("note") else ""
        return f"{data['what']} {', '.join(map(str, data['permissions']))}{note}"
    rest = ", ".join(f"{key} {value}" for key, value in data.items() if key != "what")
    return f"{data['what']}{': ' if rest else ''}{rest}"


_DESCRIBERS: dict[str, _Describe] = {
    "created": lambda data: f"filed: {data['title']}",
    "fields-set": lambda data: f"changed {', '.join(name for name in data if name in FIELDS)}",
    "commented": lambda data: f"comment: {data['text'].splitlines()[0][:100]}",
    "closed": lambda data: f"closed as {data['resolution']}",
    "reopened": lambda _: "reopened",
    "attached": lambda data: f"attached {data['name']} ({data['size']:,} bytes)",
    "detached": lambda data: f"detached {data['name']}",
    "claimed": lambda data: "" if data["owner"].startswith(("a-", "salvage:")) else f"claimed by {data['owner']}",
    "gave-up": lambda data: f"needs a person: {data['reason']}",
    "attempt-started": lambda data: f"{data['attempt']}: attempt {data['number']} by {data['agent']}",
    "attempt-updated": _attempt_updated,
    "attempt-noted": _attempt_noted,
    "attempt-ended": _attempt_ended,
    "change-submitted": lambda data: f"change {data['change']} submitted: {data['commit'][:12]}",
    "change-moved": _change_moved,
    "change-landed": lambda data: f"landed as {data['commit'][:12]}",
    "noted": _noted,
}
