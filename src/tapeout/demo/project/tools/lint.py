"""The project's lint: a few rules that matter here, on the standard library alone.

Usage: python3 tools/lint.py PATH...

Rules: syntax, line-length, unused-import, no-print (library code returns text), bare-except.
Writes a line `path:line: rule: message` for each finding; exit status 1 if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_LINE = 100


class Finding(NamedTuple):
    """One broken rule."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def lint(path: str, text: str) -> list[Finding]:
    """The findings of one file, in the order of its lines."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [Finding(path, error.lineno or 1, "syntax", error.msg)]
    found = [*_long_lines(text), *_unused_imports(tree), *_calls_and_handlers(path, tree)]
    return [Finding(path, *finding) for finding in sorted(found)]


def _long_lines(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > MAX_LINE:
            yield number, "line-length", f"{len(line)} characters, {MAX_LINE} are allowed"


def _unused_imports(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name not in used:
                yield node.lineno, "unused-import", f"{name} is imported and never used"


def _calls_and_handlers(path: str, tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    library = "src" in Path(path).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare-except", "name the exceptions that are expected"
        if library and isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield node.lineno, "no-print", "library code returns text, it does not print"


def main(arguments: list[str]) -> int:
    """Lint every Python file below the given paths."""
    findings = [
        finding
        for argument in arguments
        for path in sorted(Path(argument).rglob("*.py"))
        for finding in lint(str(path), path.read_text(encoding="utf-8"))
    ]
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
