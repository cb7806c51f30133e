"""Reading SARIF 2.1.0. Closed: what a run does not say it has done is not taken for done."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from tapeout.gate.reports.model import MOST_FINDINGS, Diagnostic, Level, Report, Unreadable, bounded, number_of, text_of
from tapeout.gate.reports.paths import repository_path

_LEVELS = ("error", "warning", "note")


def read_sarif(text: str, root: str) -> Report:
    """The results of a SARIF log.

    Raises:
        Unreadable: it is none, is cut off, or has a run that did not finish.
    """
    log = document(text)
    if not isinstance(log, dict) or not str(log.get("version", "")).startswith("2."):
        raise Unreadable("it is no SARIF 2.1.0")
    runs = log.get("runs")
    if not isinstance(runs, list) or not runs:
        raise Unreadable("it has no run")
    found = (one for run in runs for one in _results(_object(run, "a run"), root))
    return Report(bounded(list(islice(found, MOST_FINDINGS + 1))))


def document(text: str) -> Any:
    """The one JSON document in a text that may hold lines of something else before and after it.

    Raises:
        Unreadable: there is none, it is cut off, or there are two.
    """
    if not text.strip():
        raise Unreadable("it is empty")
    found: list[Any] = []
    end = tried = 0
    for match in _OPENING.finditer(text):
        if match.end() <= end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, match.end() - 1)
        except (ValueError, RecursionError) as error:
            tried += 1
            if match[0].endswith("[") and tried < _MOST_LOG_LINES:  # a log line such as `[info] ...`
                continue
            raise Unreadable(f"it is no JSON, or cut off: {error}") from error
        found.append(value)
        if len(found) > 1:
            raise Unreadable("it holds more than one document")
    if not found:
        raise Unreadable("it is no JSON, or cut off")
    return found[0]


_MOST_LOG_LINES = 1_000
"""That begin like a list. Each costs an attempt to read one."""

_OPENING = re.compile(r"^[ \t]*[{\[]", re.MULTILINE)
_DECODER = json.JSONDecoder()


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} of it is no object")
    return cast("dict[str, Any]", value)


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"{what} of it is no list")
    return value


class _Rules:
    """The rules of a run, by their place and by their id."""

    def __init__(self, rules: list[Any]) -> None:
        self.all = rules
        self.named: dict[str, dict[str, Any]] = {}
        for rule in rules:
            if isinstance(rule, dict) and isinstance(rule.get("id"), str):
                self.named.setdefault(rule["id"], rule)


def _results(run: dict[str, Any], root: str) -> Iterator[Diagnostic]:
    driver = _object(_object(run.get("tool"), "a run without a tool").get("driver"), "a tool without a driver")
    for invocation in _list(run.get("invocations") or [], "the invocations"):
        if _object(invocation, "an invocation").get("executionSuccessful") is False:
            raise Unreadable(f"{text_of(driver.get('name')) or 'the tool'} says that it did not finish")
    rules = _Rules(_list(driver.get("rules") or [], "the rules"))
    for value in _list(run.get("results"), "a run without results: the list"):
        result = _object(value, "a result")
        level = _level(result, rules)
        if level is not None:
            path, line, column = _place(result, root)
            yield Diagnostic(_rule(result, rules), level, path, line, column, _message(result))


def _level(result: dict[str, Any], rules: _Rules) -> Level | None:
    """None for what is no finding: what passed, was suppressed or has the level `none`."""
    if result.get("kind", "fail") != "fail" or _is_suppressed(result):
        return None
    level = result.get("level")
    if level is None:
        configuration = _known_rule(result, rules).get("defaultConfiguration")
        level = configuration.get("level") if isinstance(configuration, dict) else None
    if level == "none":
        return None
    return cast("Level", level) if level in _LEVELS else "warning"


def _is_suppressed(result: dict[str, Any]) -> bool:
    said = result.get("suppressions")
    found = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    return bool(found) and all(one.get("status", "accepted") == "accepted" for one in found)


def _known_rule(result: dict[str, Any], rules: _Rules) -> dict[str, Any]:
    index = result.get("ruleIndex")
    if not isinstance(index, int):
        reference = result.get("rule")
        index = reference.get("index") if isinstance(reference, dict) else None
    if isinstance(index, int) and 0 <= index < len(rules.all) and isinstance(rules.all[index], dict):
        return cast("dict[str, Any]", rules.all[index])
    name = result.get("ruleId")
    return rules.named.get(name, {}) if isinstance(name, str) and name else {}


def _rule(result: dict[str, Any], rules: _Rules) -> str:
    reference = result.get("rule")
    named = result.get("ruleId") or (reference.get("id") if isinstance(reference, dict) else None)
    return text_of(named or _known_rule(result, rules).get("id"))[:200]


def _message(result: dict[str, Any]) -> str:
    message = result.get("message")
    if not isinstance(message, dict):
        return ""
    return text_of(message.get("text") or message.get("markdown") or message.get("id"))


def _place(result: dict[str, Any], root: str) -> tuple[str, int, int]:
    locations = result.get("locations")
    first = locations[0] if isinstance(locations, list) and locations else {}
    physical = first.get("physicalLocation") if isinstance(first, dict) else None
    if not isinstance(physical, dict):
        return "", 0, 0
    artifact, region = physical.get("artifactLocation"), physical.get("region")
    uri = artifact.get("uri") if isinstance(artifact, dict) else ""
    region = region if isinstance(region, dict) else {}
    path = repository_path(uri if isinstance(uri, str) else "", root)
    return path, number_of(region.get("startLine")), number_of(region.get("startColumn"))
