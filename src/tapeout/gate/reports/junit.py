"""Reading JUnit XML, as a stream: nothing is expanded, and a document type is refused before it can define entities."""

import re
from typing import Any, Literal
from xml.parsers import expat

from tapeout.gate.reports.model import MOST_FINDINGS, Diagnostic, Report, TestCase, Unreadable, bounded, text_of
from tapeout.gate.reports.paths import repository_path

_DEEPEST = 100
_KEPT_CHARS = 8_000
"""Of the text of one failure: head and tail."""

_PLACE = re.compile(
    r"^(?:\s*(?:File \"|at |E\s+)?)([\w./@+-]{0,300}[\w@+-]\.\w{1,10})(?:\", line |[:(])(\d{1,9})", re.MULTILINE
)


def read_junit(text: str, root: str) -> Report:
    """The tests of a report, and a diagnostic for each that failed.

    Raises:
        Unreadable: it is none, is cut off, or has a document type.
    """
    if not text.strip():
        raise Unreadable("it is empty")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Unreadable(f"it is no XML, or cut off: {error}") from error
    if reader.top not in {"testsuite", "testsuites"}:
        raise Unreadable("it is no JUnit report")
    return reader.report(root)


class _Reader:
    """What the parser calls."""

    def __init__(self) -> None:
        self.top = ""
        self._depth = 0
        self._case: dict[str, str] | None = None
        self._outcome: Literal["passed", "failed", "skipped"] = "passed"
        self._message = ""
        self._text: list[str] | None = None
        self._found: list[tuple[dict[str, str], Literal["passed", "failed", "skipped"], str, str]] = []
        self._declared = 0

    def refuse_doctype(self, *_: Any) -> None:
        raise Unreadable("it has a document type, which a report has no use for")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self.top = self.top or name
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable("it is nested too deep")
        if name == "testsuite":
            self._declared = max(self._declared, _count(attributes.get("tests")))
        elif name == "testcase":
            self._case, self._outcome, self._message, self._text = attributes, "passed", "", None
        elif self._case is not None and name in {"failure", "error"}:
            self._outcome = "failed"
            self._message = self._message or attributes.get("message", "")
            self._text = [] if self._text is None else self._text
        elif self._case is not None and name in {"skipped", "disabled"} and self._outcome == "passed":
            self._outcome = "skipped"

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def end(self, name: str) -> None:
        self._depth -= 1
        name = name.rpartition(":")[2]
        if name == "testcase" and self._case is not None:
            if len(self._found) >= 10 * MOST_FINDINGS:
                raise Unreadable(f"it has more than {10 * MOST_FINDINGS} tests")
            text = "".join(self._text or ())
            kept = text if len(text) <= _KEPT_CHARS else text[: _KEPT_CHARS // 2] + "\n" + text[-_KEPT_CHARS // 2 :]
            self._found.append((self._case, self._outcome, self._message, kept))
            self._case, self._text = None, None
        elif name in {"system-out", "system-err", "properties"}:
            return

    def report(self, root: str) -> Report:
        if self._declared and not self._found:
            raise Unreadable(f"it speaks of {self._declared} tests and has none")
        cases: list[TestCase] = []
        diagnostics: list[Diagnostic] = []
        for attributes, outcome, message, text in self._found:
            path, line, is_own = _place(attributes, text, root)
            said = text_of(message) or text_of(text)
            suite, name = text_of(attributes.get("classname")), text_of(attributes.get("name"))
            case = TestCase(suite, name, outcome, _seconds(attributes.get("time")), path if is_own else "", said)
            cases.append(case)
            if outcome == "failed":
                diagnostics.append(Diagnostic(case.id, "error", path, line, 0, said))
        ran = sum(case.outcome != "skipped" for case in cases)
        return Report(bounded(diagnostics), tuple(cases), ran)


def _place(attributes: dict[str, str], text: str, root: str) -> tuple[str, int, bool]:
    """File and line of a failure, and whether it is the file of the test itself."""
    if file := attributes.get("file"):
        path = repository_path(file, root)
        lines = [int(line) for name, line in _PLACE.findall(text) if repository_path(name, root) == path]
        return path, lines[-1] if lines else _count(attributes.get("line")), True
    places = [(repository_path(name, root), int(line)) for name, line in _PLACE.findall(text)]
    suite = attributes.get("classname", "") + "."
    own = [place for place in places if suite.startswith(_module(place[0]) + ".")]
    if own:
        return *own[-1], True
    return (*places[-1], False) if places else ("", 0, False)


def _module(path: str) -> str:
    return path.rpartition(".")[0].replace("/", ".")


def _count(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else 0


def _seconds(value: str | None) -> float:
    try:
        seconds = float((value or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e9 else 0.0
