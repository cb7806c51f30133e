"""The tests that Python files define, by qualified name. Pure.

Read from the syntax tree, so that a test that was commented out or put into a string is gone. Text that this
interpreter cannot parse is read line by line.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from tapeout.gate.integrity.python_syntax import parse

_SKIP_MARKS = frozenset({"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure"})
_SKIP_CALLS = frozenset({"skip", "skipTest", "xfail", "importorskip"})
_SKIP = re.compile("skip|xfail", re.IGNORECASE)
"""Without it in the text no call in it skips anything."""
_LINE = re.compile(r"^(?P<indent>[ \t]*)(?:async\s+)?(?P<word>def|class)\s+(?P<name>\w+)")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@lru_cache(maxsize=4096)
def tests_of(text: str) -> Counter[str] | None:
    """How often each test is defined in a file, without skipped ones; None for what this interpreter does not
    understand."""
    module = parse(text)
    return None if module is None else Counter(_in_module(module, may_skip=_SKIP.search(text) is not None))


def python_tests(texts: Iterable[str]) -> Counter[str] | None:
    """As `tests_of`, of several files."""
    found: Counter[str] = Counter()
    for text in texts:
        tests = tests_of(text)
        if tests is None:
            return None
        found += tests
    return found


def scanned_tests(texts: Iterable[str]) -> Counter[str]:
    """As `python_tests`, read line by line: for both sides of a comparison when one of them does not parse."""
    return Counter(name for text in texts for name in _by_lines(text))


def _in_module(module: ast.Module, *, may_skip: bool) -> Iterator[str]:
    if any(_skips_all(statement) for statement in module.body):
        return
    yield from _in_body(module.body, "", may_skip)


def _in_body(body: list[ast.stmt], prefix: str, may_skip: bool) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, Definition):
            yield from _in_definition(statement, prefix, may_skip)
        elif not _is_dead(statement):
            for inner in ("body", "orelse", "finalbody"):
                yield from _in_body(getattr(statement, inner, []), prefix, may_skip)


def _in_definition(found: Definition, prefix: str, may_skip: bool) -> Iterator[str]:
    if any(_is_skip(decorator) for decorator in found.decorator_list):
        return
    name = prefix + found.name
    if isinstance(found, ast.ClassDef):
        if not any(_skips_all(statement) for statement in found.body):
            yield from _in_body(found.body, f"{name}.", may_skip)
    elif found.name.startswith("test") and not (may_skip and _skips_in_body(found)):
        yield name


def _is_skip(decorator: ast.expr) -> bool:
    """`@pytest.mark.skip`, `@mark.xfail(...)`, `@unittest.skipIf(...)`, `@skip("...")`."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name in _SKIP_MARKS


def _skips_all(statement: ast.stmt) -> bool:
    """Whether a statement of a module or class skips all of it: `pytestmark`, `__test__ = False`, `pytest.skip()`."""
    if isinstance(statement, ast.Expr):
        return _is_skip_call(statement.value)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    if "__test__" in names:
        return isinstance(statement.value, ast.Constant) and not statement.value.value
    if "pytestmark" in names:
        value = statement.value
        return any(_is_skip(mark) for mark in (value.elts if isinstance(value, ast.List | ast.Tuple) else [value]))
    return _is_skip_call(statement.value)


def _skips_in_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(_is_skip_call(node) for node in ast.walk(function))


def _is_skip_call(node: ast.AST) -> bool:
    """`pytest.skip(...)`, `self.skipTest(...)`, `pytest.importorskip(...)`; not a method of something else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value
    return node.func.attr in _SKIP_CALLS and isinstance(owner, ast.Name) and owner.id in {"pytest", "self", "unittest"}


def _is_dead(statement: ast.stmt) -> bool:
    """`if False:` and `if 0:`."""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Constant)
        and not statement.test.value
        and not statement.orelse
    )


def _by_lines(text: str) -> Iterator[str]:
    classes: list[tuple[int, str]] = []
    skip = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("@"):
            skip = skip or any(word in stripped for word in _SKIP_MARKS)
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"].expandtabs())
        while classes and classes[-1][0] >= indent:
            classes.pop()
        if match["word"] == "class":
            classes.append((indent, match["name"]))
        elif match["name"].startswith("test") and not skip:
            yield ".".join([*(name for _, name in classes), match["name"]])
        skip = False
