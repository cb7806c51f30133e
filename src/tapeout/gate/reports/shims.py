"""Reading the JSON of tools that have neither SARIF nor JUnit built in: ESLint, Cargo, `go test`."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from tapeout.gate.reports.model import Diagnostic, Level, Report, TestCase, Unreadable, bounded, number_of, text_of
from tapeout.gate.reports.paths import repository_path
from tapeout.gate.reports.sarif import document

_GO_PLACE = re.compile(r"^\s*([\w./-]+\.go):(\d+):", re.MULTILINE)
_OUTPUT_CHARS = 4_000


def read_eslint(text: str, root: str) -> Report:
    """What `eslint -f json` prints.

    Raises:
        Unreadable: it is not that.
    """
    files = document(text)
    if not isinstance(files, list):
        raise Unreadable("it is not what eslint -f json prints")
    found: list[Diagnostic] = []
    for file in files:
        messages = file.get("messages") if isinstance(file, dict) else None
        if not isinstance(messages, list):
            raise Unreadable("it is not what eslint -f json prints")
        path = repository_path(str(file.get("filePath", "")), root)
        found += [_eslint(path, message) for message in messages if isinstance(message, dict)]
    return Report(bounded(found))


def _eslint(path: str, message: dict[str, Any]) -> Diagnostic:
    level: Level = "warning" if message.get("severity") == 1 and not message.get("fatal") else "error"
    line, column = number_of(message.get("line")), number_of(message.get("column"))
    return Diagnostic(text_of(message.get("ruleId")), level, path, line, column, text_of(message.get("message")))


def read_cargo(text: str, root: str) -> Report:
    """What `cargo build`, `check` and `clippy` print with `--message-format=json`.

    Raises:
        Unreadable: it is not that, or cut off.
    """
    found: list[Diagnostic] = []
    finished = False
    for event in _events(text):
        finished = finished or event.get("reason") == "build-finished"
        message = event.get("message")
        if event.get("reason") == "compiler-message" and isinstance(message, dict):
            found += _cargo(message, root)
    if not finished:
        raise Unreadable("cargo does not say in it that the build finished")
    return Report(bounded(found))


def _cargo(message: dict[str, Any], root: str) -> Iterator[Diagnostic]:
    spans = message.get("spans")
    known = [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []
    span = next((span for span in known if span.get("is_primary")), None)
    if span is None:  # a summary: `aborting due to 2 previous errors`
        return
    code = message.get("code")
    rule = text_of(code.get("code")) if isinstance(code, dict) else ""
    said = str(message.get("level"))
    level = {"warning": "warning", "note": "note", "help": "note"}.get(said, "error")
    path = repository_path(str(span.get("file_name", "")), root)
    line, column = number_of(span.get("line_start")), number_of(span.get("column_start"))
    yield Diagnostic(rule, cast("Level", level), path, line, column, text_of(message.get("message")))


def read_go_test(text: str, root: str) -> Report:
    """What `go test -json` prints.

    Raises:
        Unreadable: it is not that, or cut off: a package or a test began and did not end.
    """
    begun: set[tuple[str, str]] = set()
    output: dict[tuple[str, str], str] = {}
    cases: list[TestCase] = []
    found: list[Diagnostic] = []
    for event in _events(text):
        action, key = str(event.get("Action")), (text_of(event.get("Package")), text_of(event.get("Test")))
        if action in {"start", "run"}:
            begun.add(key)
        elif action == "output":
            output[key] = (output.get(key, "") + str(event.get("Output", "")))[-_OUTPUT_CHARS:]
        elif action in {"pass", "fail", "skip"}:
            begun.discard(key)
            if key[1]:
                cases.append(_go_case(key, action, event.get("Elapsed"), output.get(key, "")))
            if action == "fail" and (key[1] or not any(case.outcome == "failed" for case in cases)):
                found.append(_go_failure(key, output.get(key, ""), root))
    if begun:
        raise Unreadable(f"it is cut off: {'::'.join(filter(None, min(begun)))} began and did not end")
    return Report(bounded(found), tuple(cases), sum(case.outcome != "skipped" for case in cases))


def _go_case(key: tuple[str, str], action: str, elapsed: object, output: str) -> TestCase:
    outcome = {"pass": "passed", "fail": "failed"}.get(action, "skipped")
    seconds = float(elapsed) if isinstance(elapsed, int | float) else 0.0
    return TestCase(*key, cast("Any", outcome), seconds, message=text_of(output) if outcome == "failed" else "")


def _go_failure(key: tuple[str, str], output: str, root: str) -> Diagnostic:
    place = _GO_PLACE.search(output)
    path, line = (repository_path(place[1], root), int(place[2][:9])) if place else ("", 0)
    return Diagnostic("::".join(filter(None, key)), "error", path, line, 0, text_of(output))


def _events(text: str) -> Iterator[dict[str, Any]]:
    """One JSON object a line; other lines are what the tool printed beside them."""
    seen = False
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Unreadable(f"a line of it is no JSON, or cut off: {line[:80]}") from error
            if isinstance(event, dict):
                seen = True
                yield event
    if not seen:
        raise Unreadable("it has no JSON line" if text.strip() else "it is empty")
