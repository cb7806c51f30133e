"""Code that finds out whether it is being judged. Pure.

`CI` and the like are ordinary; the gate sets none of them. What no honest change needs is the gate's own mark, and in
code that is no test the question whether a test is running.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from tapeout.gate.globs import matches
from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import FileChange
from tapeout.gate.runs import RUN_VARIABLE

CHECK = "detects-gate"

_CODE = (
    ".py", ".pyi", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".go", ".rs", ".rb", ".java", ".kt", ".c", ".cc",
    ".cpp", ".sh", ".bash", ".php", ".ex", ".exs", ".swift", ".scala", ".cs",
)  # fmt: skip
_GATE = re.compile(rf"\b{RUN_VARIABLE}\b")
_TESTING = re.compile(
    r"\bPYTEST_CURRENT_TEST\b|\bPYTEST_VERSION\b|[\"'](?:pytest|_pytest|unittest)[\"']\s*(?:not\s+)?in\s+sys\.modules|\bsys\._called_from_test\b"
    r"|\bJEST_WORKER_ID\b|\bVITEST_WORKER_ID\b|\btesting\.Testing\(\)|flag\.Lookup\(\"test\.v\"\)"
)


def detection_alarms(files: Iterable[FileChange], tests: Sequence[str]) -> list[Alarm]:
    """Lines that the change adds and by which code learns that it is judged."""
    alarms: list[Alarm] = []
    for file in files:
        if file.suffix in _CODE:
            alarms += _added(file, _GATE, "asks whether the gate is running")
            if file.name != "conftest.py" and not matches(file.path, tests):
                alarms += _added(file, _TESTING, "asks whether a test is running")
    return alarms


def _added(file: FileChange, pattern: re.Pattern[str], what: str) -> Iterator[Alarm]:
    if pattern.search(file.new):
        known = {line.strip() for line in file.old.split("\n")}
        for number, line in enumerate(file.new.split("\n"), start=1):
            if pattern.search(line) and line.strip() not in known:
                yield Alarm(CHECK, "tests", file.path, number, what)
