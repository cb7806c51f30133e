"""What the gate looks at by itself: a change keeps the tests that it is judged by, and the gate's own file.

The comparison is pure. Two texts of a file are enough: a test counts by its qualified name wherever it lives, so
moving it between files is fine; one that is newly skipped counts as removed.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import pygit2

from tapeout.config import CONFIG_FILE
from tapeout.gate import othertests, pythontests
from tapeout.gate.globs import matches
from tapeout.gate.verdict import Finding

TESTS_KEPT = "tests-kept"
GATE_CONFIG = "gate-config"

LARGEST_FILE = 2_000_000
"""Bytes. A larger file holds data, no tests that anybody wrote."""

_LISTED = 30

Extract = Callable[[Iterable[str]], Counter[str]]

_LANGUAGES: dict[str, Extract] = {
    ".js": othertests.javascript_tests, ".jsx": othertests.javascript_tests, ".mjs": othertests.javascript_tests,
    ".cjs": othertests.javascript_tests, ".ts": othertests.javascript_tests, ".tsx": othertests.javascript_tests,
    ".mts": othertests.javascript_tests, ".cts": othertests.javascript_tests,
    ".go": othertests.go_tests, ".rs": othertests.rust_tests,
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


def _removed_python(base: Mapping[str, str], candidate: Mapping[str, str]) -> list[str]:
    sides = [[text for path, text in side.items() if path.endswith(".py")] for side in (base, candidate)]
    extract = pythontests.python_tests if all(map(pythontests.parses, sides)) else pythontests.scanned_tests
    before, after = map(extract, sides)
    return list((before - after).elements())


def _texts(side: Mapping[str, str], extract: Extract) -> list[str]:
    return [text for path, text in side.items() if _LANGUAGES.get(_suffix(path)) is extract]


def _whole_files(side: Mapping[str, str]) -> list[str]:
    return [os.path.basename(path) for path, text in side.items() if _suffix(path) in _WHOLE_FILES and text.strip()]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def findings(base: Mapping[str, str], candidate: Mapping[str, str], *, config_changed: bool) -> tuple[Finding, ...]:
    """What is wrong with a change that turned the test files `base` into `candidate`."""
    found: list[Finding] = []
    if config_changed:
        reason = f"the change edits {CONFIG_FILE}, which decides how changes are judged: that needs a person"
        found.append(Finding(GATE_CONFIG, reason, f"Leave {CONFIG_FILE} as it is on the target branch."))
    removed = removed_tests(base, candidate)
    if removed:
        count = f"{len(removed)} tests that exist" if len(removed) != 1 else "1 test that exists"
        more = [f"… and {len(removed) - _LISTED} more"] if len(removed) > _LISTED else []
        listed = "\n".join([*(name[:200] for name in removed[:_LISTED]), *more])
        reason = f"the change removes, renames or skips {count} on the target branch: {removed[0][:100]}"
        found.append(Finding(TESTS_KEPT, reason if len(removed) == 1 else reason + ", …", listed))
    return tuple(found)


def read_findings(
    repository: pygit2.Repository, base: str, candidate: str, globs: Sequence[str]
) -> tuple[Finding, ...]:
    """The findings about a candidate commit, against the commit of the target branch that it was made on."""
    trees = [repository[commit].peel(pygit2.Commit).tree for commit in (base, candidate)]
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    config_changed = False
    for delta in trees[0].diff_to_tree(trees[1]).deltas:
        for file, side in ((delta.old_file, before), (delta.new_file, after)):
            config_changed = config_changed or file.path == CONFIG_FILE
            if matches(file.path, globs):
                side |= _read(repository, file)
    return findings(before, after, config_changed=config_changed)


def _read(repository: pygit2.Repository, file: pygit2.DiffFile) -> dict[str, str]:
    """The file's text under its path; nothing for a side on which it does not exist, a link, or a huge file."""
    if not file.flags & pygit2.enums.DiffFlag.EXISTS or file.mode not in {
        pygit2.enums.FileMode.BLOB,
        pygit2.enums.FileMode.BLOB_EXECUTABLE,
    }:
        return {}
    blob = repository.get(file.id)
    if not isinstance(blob, pygit2.Blob) or blob.size > LARGEST_FILE:
        return {}
    return {file.path: blob.data.decode(errors="replace")}
