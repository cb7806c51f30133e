"""Remarks in the code that silence a tool, and thresholds that make one content with less. Pure.

What counts is that a change has more of one kind than before: moving code with its remark raises no alarm.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import FileChange
from tapeout.gate.integrity.positions import Lines
from tapeout.gate.integrity.python_syntax import Function, callee, defined, owner, parse

CHECK = "suppressions"

_ANY = (
    r"\bNOSONAR\b|\bnosemgrep\b|gitleaks:allow|pragma: allowlist|jscpd:ignore|codespell:ignore|noinspection|"
    r"complexipy:\s*ignore|lizard forgives|#lizard|trufflehog:ignore"
)
_PYTHON = re.compile(
    rf"#\s*(?:flake8|ruff)?:?\s*noqa\b|type:\s*ignore|(?:pyright|mypy|ty|pyrefly):\s*ignore|mypy:\s*\w|pyright:\s*basic|"
    rf"pylint:\s*(?:disable|skip-file)|pragma:\s*no\s*(?:cover|branch)|\bnosec\b|bandit:\s*skip|{_ANY}",
    re.IGNORECASE,
)
_PYTHON_WORDS = (
    "noqa", "ignore", "mypy:", "pyright:", "pylint:", "pragma:", "nosec", "bandit:", "nosonar", "nosemgrep", "allow",
    "lizard", "noinspection",
)  # fmt: skip
"""Without one of them there is no remark: to look for them is a tenth of the work."""
_C_LIKE = re.compile(
    rf"\beslint-disable|@ts-(?:ignore|expect-error|nocheck)|\b(?:istanbul|c8|v8)\s+ignore|biome-ignore|"
    rf"oxlint-disable|stylelint-disable|tslint:disable|prettier-ignore|deno-lint-ignore|nolint\b|\bnosec\b|"
    rf"coverage:ignore|#?\blint:ignore|@SuppressWarnings|{_ANY}"
)
_COMMENT = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_RUST = re.compile(
    r"#!?\[\s*(?:allow|expect)\s*\(|#\[\s*cfg_attr\([^\]]{0,200}\ballow\s*\(|#\[\s*coverage\(off\)|#\[\s*rustfmt::skip"
)
_RUST_COMMENT = re.compile(r"""(?P<text>"(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/""", re.DOTALL)

_C_SUFFIXES = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".go", ".java", ".kt", ".vue", ".svelte")
_SHOWN = 200
"""Characters of a remark that are told."""

_SKIP_CALLS = frozenset({"pytest.skip", "pytest.xfail", "self.skipTest", "skip", "xfail"})
_KIND = re.compile(r"[\w@:-]+")


class _Remark(NamedTuple):
    line: int
    kind: str
    text: str


def suppression_alarms(files: Iterable[FileChange]) -> list[Alarm]:
    """Remarks of which the change adds some, with their lines."""
    files = list(files)
    before, after = Counter[str](), Counter[str]()
    known = Counter[str]()
    found: list[tuple[str, _Remark]] = []
    for file in files:
        old, new = list(_remarks(file, file.old)), list(_remarks(file, file.new))
        before.update(one.kind for one in old)
        after.update(one.kind for one in new)
        known.update(one.text for one in old)
        found += [(file.path, one) for one in new]
    more = after - before
    alarms = []
    for path, one in found:
        known[one.text] -= 1
        if known[one.text] < 0 and more[one.kind] > 0:
            more[one.kind] -= 1
            alarms.append(Alarm(CHECK, "suppressions", path, one.line, f"adds `{one.text[:100]}`"))
    return alarms


def _remarks(file: FileChange, text: str) -> Iterator[_Remark]:
    if not text:
        return iter(())
    if file.suffix in {".py", ".pyi"}:
        return _python_remarks(text)
    if file.suffix == ".rs":
        return _rust_remarks(text)
    return _comment_remarks(text) if file.suffix in _C_SUFFIXES else iter(())


def _python_remarks(text: str) -> Iterator[_Remark]:
    plain = text.lower()
    if any(word in plain for word in _PYTHON_WORDS) and _PYTHON.search(text):
        for line, comment in _python_comments(text):
            for match in _PYTHON.finditer(comment):
                yield _remark(line, match[0], comment[match.start() : match.start() + _SHOWN])
    if "skip" in text or "xfail" in text:
        yield from _skips(text)


def _python_comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError, ValueError):
        for number, line in enumerate(text.split("\n"), start=1):
            if "#" in line:
                yield number, line[line.index("#") :]


def _skips(text: str) -> Iterator[_Remark]:
    """Tests that never run: what is skipped under a condition runs where that does not hold."""
    module = parse(text)
    for name, function in defined(module.body if module else []):
        if function.name.startswith("test"):
            for line, what in _skips_of(function):
                yield _Remark(line, "skip", f"{what} of {name}")


def _skips_of(function: Function) -> Iterator[tuple[int, str]]:
    for mark in function.decorator_list:
        target = mark.func if isinstance(mark, ast.Call) else mark
        name = owner(target).rpartition(".")[2]
        has_condition = isinstance(mark, ast.Call) and bool(mark.args) and name == "xfail"
        if name in {"skip", "xfail", "expectedFailure"} and not has_condition:
            yield mark.lineno, name
    for statement in function.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and owner(call.func) in _SKIP_CALLS:
            yield statement.lineno, callee(call)


def _comment_remarks(text: str) -> Iterator[_Remark]:
    if not _C_LIKE.search(text):
        return
    lines = Lines(text)
    for comment in _COMMENT.finditer(text):
        if not comment["text"]:
            for match in _C_LIKE.finditer(comment[0]):
                shown = comment[0][match.start() : match.start() + _SHOWN]
                yield _remark(lines.at(comment.start() + match.start()), match[0], shown)


def _rust_remarks(text: str) -> Iterator[_Remark]:
    if not _RUST.search(text):
        return
    code = _RUST_COMMENT.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    lines = Lines(code)
    for match in _RUST.finditer(code):
        end = code.find("]", match.start(), match.start() + _SHOWN)
        yield _remark(lines.at(match.start()), match[0], code[match.start() : end + 1 if end > 0 else match.end()])


def _remark(line: int, what: str, text: str) -> _Remark:
    return _Remark(line, "".join(_KIND.findall(what.lower())), " ".join(text.split()))


_NUMBER = r"[\"']?\s*[=:]\s*[\"']?(?P<value>\d+(?:\.\d+)?)"
_AT_LEAST = re.compile(
    rf"(?P<name>fail[_-]under|cov-fail-under|min(?:imum)?[_-](?:score|coverage)|branches|functions|lines|statements)(?:{_NUMBER}|\s+(?P<plain>\d+))"
)
_AT_MOST = re.compile(
    r"(?P<name>max-warnings|max[_-]complexity(?:-allowed)?|max[_-]cognitive-complexity|cognitive-complexity-threshold"
    r"|max[_-](?:args|branches|returns|statements|locals|lines|depth|params|line-length)|line-length|gocyclo|min-complexity)"
    rf"(?:{_NUMBER}|\s+(?P<plain>\d+))"
)
_CONFIGURATION = (".toml", ".cfg", ".ini", ".json", ".yml", ".yaml", ".js", ".cjs", ".mjs", ".ts")


def threshold_alarms(files: Iterable[FileChange]) -> list[Alarm]:
    """Thresholds in configuration files that ask for less than before."""
    alarms: list[Alarm] = []
    for file in files:
        if file.name in {"Makefile", "justfile", ".coveragerc"} or file.suffix in _CONFIGURATION:
            alarms += _lowered(file)
    return alarms


def _lowered(file: FileChange) -> Iterator[Alarm]:
    for pattern, sign in ((_AT_LEAST, 1), (_AT_MOST, -1)):
        old, new = _thresholds(file.old, pattern), _thresholds(file.new, pattern)
        for name, values in old.items():
            after = new.get(name, [])
            if len(after) != len(values):
                continue  # whether what is gone or new matters, `privileged` says
            for (_, was), (line, now) in zip(values, after, strict=True):
                if sign * now < sign * was:
                    reason = f"{'lowers' if sign > 0 else 'raises'} {name} from {was:g} to {now:g}"
                    yield Alarm(CHECK, "suppressions", file.path, line, reason)


def _thresholds(text: str, pattern: re.Pattern[str]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for match in pattern.finditer(line):
            value = float(match["value"] or match["plain"])
            found.setdefault(match["name"].replace("_", "-"), []).append((number, value))
    return found
