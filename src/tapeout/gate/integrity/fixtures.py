"""Changes to a `conftest.py`: a new fixture is what tests are made of, all else runs around them. Pure."""

import ast

from tapeout.gate.integrity.python_facts import tampering
from tapeout.gate.integrity.python_syntax import Function, callee, parse

_HARMLESS_CALLS = frozenset(
    {"compile", "Path", "TypeVar", "NewType", "getLogger", "join", "dirname", "abspath", "resolve", "frozenset", "set"}
    | {"dict", "list", "tuple", "int", "str", "range", "sorted", "namedtuple", "mark", "parent", "Counter", "dedent"}
)


_MEMBERS = Function | ast.AnnAssign | ast.Assign | ast.Expr | ast.Pass


def objection(old: str, new: str, *, is_alone: bool = False) -> str:
    """Why a person should look at a changed `conftest.py`; empty if only functions changed that tests ask for.

    Args:
        is_alone: the target branch has no tests where it is, so that fixtures which every test gets are fine.
    """
    before, after = parse(old), parse(new)
    if before is None or after is None:
        return "cannot be parsed"
    known, found = (_special(module, is_alone=is_alone) for module in (before, after))
    for text, reason in found.items():
        if text not in known:
            return f"adds or edits {reason}"
    for text, reason in known.items():
        if text not in found:
            return f"edits or removes {reason}"
    told = {what for _, what in tampering(before)}
    return next((what for _, what in tampering(after) if what not in told), "")


def _special(module: ast.Module, *, is_alone: bool) -> dict[str, str]:
    """Statements that do something by themselves, and what."""
    reasons = ((ast.dump(one), _reason(one, is_alone=is_alone)) for one in module.body)
    return {text: reason for text, reason in reasons if reason}


def _reason(statement: ast.stmt, *, is_alone: bool) -> str:
    if isinstance(statement, Function):
        return _reason_of_function(statement, is_alone=is_alone)
    if isinstance(statement, ast.ClassDef):
        plain = all(isinstance(one, _MEMBERS) for one in statement.body)
        return "" if plain and all(map(_is_plain, statement.decorator_list)) else f"{statement.name}, which runs code"
    return "" if _is_harmless(statement) else "code that runs when it is imported"


def _reason_of_function(function: Function, *, is_alone: bool) -> str:
    if function.name.startswith("pytest_"):
        return f"the hook {function.name}"
    if any(map(_is_autouse, function.decorator_list)):
        return "" if is_alone else f"{function.name}, a fixture that every test gets"
    return "" if all(map(_is_plain, function.decorator_list)) else f"{function.name}, whose decorator runs at once"


def _is_harmless(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        return _named(statement.test) == "TYPE_CHECKING"
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [one.id for one in targets if isinstance(one, ast.Name)]
    calls = [one for one in ast.walk(statement) if isinstance(one, ast.Call)]
    return (
        len(names) == len(targets)
        and not any(name.startswith(("pytest", "collect_")) or name == "__test__" for name in names)
        and all(callee(call) in _HARMLESS_CALLS for call in calls)
    )


def _named(node: ast.expr) -> str:
    """The last name of an expression."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


_DECORATORS = frozenset({"fixture", "contextmanager", "asynccontextmanager", "cache", "lru_cache", "dataclass"})


def _is_plain(decorator: ast.expr) -> bool:
    return _named(decorator.func if isinstance(decorator, ast.Call) else decorator) in _DECORATORS


def _is_autouse(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call) or callee(decorator) != "fixture":
        return False
    return any(
        one.arg is None or (one.arg == "autouse" and not (isinstance(one.value, ast.Constant) and not one.value.value))
        for one in decorator.keywords
    )
