"""Tests that a change takes away. Pure.

Two texts of a file are enough: a test counts by its qualified name wherever it lives, so moving it between files is
fine; one that is newly skipped counts as removed.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tapeout.gate.integrity import other_tests, python_tests
from tapeout.gate.integrity.alarm import Alarm

_LISTED = 30

Extract = Callable[[Iterable[str]], Counter[str]]

_LANGUAGES: dict[str, Extract] = {
    ".js": other_tests.javascript_tests, ".jsx": other_tests.javascript_tests, ".mjs": other_tests.javascript_tests,
    ".cjs": other_tests.javascript_tests, ".ts": other_tests.javascript_tests, ".tsx": other_tests.javascript_tests,
    ".mts": other_tests.javascript_tests, ".cts": other_tests.javascript_tests,
    ".go": other_tests.go_tests, ".rs": other_tests.rust_tests,
}  # fmt: skip

_WHOLE_FILES = frozenset(
    {".bats", ".c", ".cc", ".clj", ".cpp", ".cs", ".dart", ".erl", ".ex", ".exs", ".fs", ".groovy", ".hs", ".java"}
    | {".jl", ".kt", ".lua", ".m", ".ml", ".php", ".pl", ".r", ".rb", ".robot", ".scala", ".sh", ".swift", ".t", ".zig"}
)
"""Languages whose tests are not told apart: the file counts as one test."""


def removed_tests(base: Mapping[str, str], candidate: Mapping[str, str]) -> list[str]:
    """Tests of `base` that `candidate` does not run any more. Both map paths of changed test files to their text."""
    removed = _removed_python(base, candidate)
    for extract in dict.fromkeys(_LANGUAGES.values()):
        before, after = (extract(_texts(side, extract)) for side in (base, candidate))
        removed += (before - after).elements()
    before, after = (Counter(_whole_files(side)) for side in (base, candidate))
    removed += (before - after).elements()
    return sorted(removed)


def kept_alarms(base: Mapping[str, str], candidate: Mapping[str, str]) -> list[Alarm]:
    """One alarm about all tests that are gone."""
    removed = removed_tests(base, candidate)
    if not removed:
        return []
    count = f"{len(removed)} tests that exist" if len(removed) != 1 else "1 test that exists"
    more = [f"… and {len(removed) - _LISTED} more"] if len(removed) > _LISTED else []
    listed = "\n".join([*(name[:200] for name in removed[:_LISTED]), *more])
    reason = f"the change removes, renames or skips {count} on the target branch: {removed[0][:100]}"
    if len(removed) > 1:
        reason += ", …"
    return [Alarm("tests-kept", "tests", "", 0, reason, listed)]


def _removed_python(base: Mapping[str, str], candidate: Mapping[str, str]) -> list[str]:
    sides = [[text for path, text in side.items() if path.endswith(".py")] for side in (base, candidate)]
    before, after = map(python_tests.python_tests, sides)
    if before is None or after is None:
        before, after = map(python_tests.scanned_tests, sides)
    return list((before - after).elements())


def _texts(side: Mapping[str, str], extract: Extract) -> list[str]:
    return [text for path, text in side.items() if _LANGUAGES.get(_suffix(path)) is extract]


def _whole_files(side: Mapping[str, str]) -> list[str]:
    return [os.path.basename(path) for path, text in side.items() if _suffix(path) in _WHOLE_FILES and text.strip()]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
