"""Changes to a `conftest.py`: a new fixture is what tests are made of, all else runs around them. Pure."""

import ast
from collections import Counter

from tapeout.gate.integrity.python_facts import tampering
from tapeout.gate.integrity.python_syntax import Function, callee, parse

_HARMLESS = ast.Import | ast.ImportFrom


def objection(old: str, new: str) -> str:
    """Why a person should look at a changed `conftest.py`; empty if it only got fixtures and functions that they
    use, or only lost comments."""
    before, after = parse(old), parse(new)
    if before is None or after is None:
        return "cannot be parsed"
    known = Counter(ast.dump(one) for one in before.body if not isinstance(one, _HARMLESS))
    for statement in after.body:
        text = ast.dump(statement)
        if known[text] > 0:
            known[text] -= 1
        elif not isinstance(statement, _HARMLESS):
            reason = _reason(statement)
            if reason:
                return reason
    if known.total():
        return "changes or removes what is there"
    what = next((what for _, what in tampering(after)), "")
    return what if what and not any(what == known for _, known in tampering(before)) else ""


def _reason(added: ast.stmt) -> str:
    if isinstance(added, Function):
        if added.name.startswith("pytest_"):
            return f"adds the hook {added.name}"
        if any(_is_autouse(one) for one in added.decorator_list):
            return f"adds {added.name}, a fixture that every test gets"
        return (
            ""
            if all(map(_is_plain, added.decorator_list))
            else f"adds {added.name}, with a decorator that runs at once"
        )
    if isinstance(added, ast.ClassDef):
        plain = all(isinstance(one, Function | ast.AnnAssign | ast.Expr | ast.Pass) for one in added.body)
        return (
            "" if plain and all(map(_is_plain, added.decorator_list)) else f"adds {added.name}, which runs code at once"
        )
    if isinstance(added, ast.Assign | ast.AnnAssign) and added.value is not None:
        targets = added.targets if isinstance(added, ast.Assign) else [added.target]
        names = [one.id for one in targets if isinstance(one, ast.Name)]
        calls = any(isinstance(one, ast.Call) for one in ast.walk(added.value))
        if len(names) == len(targets) and not calls and not any(_is_special(one) for one in names):
            return ""
    if isinstance(added, ast.Expr) and isinstance(added.value, ast.Constant):
        return ""
    return "adds code that runs when it is imported"


_DECORATORS = frozenset({"fixture", "contextmanager", "asynccontextmanager", "cache", "lru_cache", "dataclass"})


def _is_plain(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _DECORATORS


def _is_special(name: str) -> bool:
    return name.startswith(("pytest", "collect_", "__"))


def _is_autouse(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call) or callee(decorator) != "fixture":
        return False
    return any(
        one.arg is None or (one.arg == "autouse" and not (isinstance(one.value, ast.Constant) and not one.value.value))
        for one in decorator.keywords
    )
