"""Questions about Python's syntax tree. Pure."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef

ASSERTING = re.compile(r"_?(?:assert|expect|check|verify|ensure|must|should|fail)(?![a-z]*ing\b)", re.IGNORECASE)
"""Names of functions that may be assertions."""

_ANYTHING = ("Exception", "BaseException")
_IDLE_CALLS = frozenset({"print", "debug", "info", "warning", "log"})


@lru_cache(maxsize=2)
def parse(text: str) -> ast.Module | None:
    """The syntax tree; None for what this interpreter does not understand. Those of the file at hand are remembered."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defined(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    """The functions of a module with their qualified names, those of classes and conditions included."""
    for statement in body:
        if isinstance(statement, Function):
            yield prefix + statement.name, statement
        elif isinstance(statement, ast.ClassDef):
            yield from defined(statement.body, f"{prefix}{statement.name}.")
        else:
            for inner in ("body", "orelse", "finalbody"):
                yield from defined(getattr(statement, inner, []), prefix)


def live(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements up to one that leaves the block, without what never runs."""
    for statement in statements:
        if isinstance(statement, ast.If | ast.While) and isinstance(statement.test, ast.Constant):
            if statement.test.value:
                yield from live(statement.body)
            elif statement.orelse:
                yield from live(statement.orelse)
            continue
        yield statement
        if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
            return


def callee(call: ast.Call) -> str:
    """`raises` of `pytest.raises(...)`."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def owner(node: ast.expr) -> str:
    """`pytest.raises` of that expression, and `sys.modules` of `sys.modules["x"]`."""
    if isinstance(node, ast.Subscript):
        return owner(node.value)
    if isinstance(node, ast.Attribute):
        return f"{owner(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def says_nothing(test: ast.expr) -> bool:
    """Whether it is true whatever the code does."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple | ast.List | ast.Set):
        return bool(test.elts)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Constant) and not test.operand.value
    if isinstance(test, ast.BoolOp):
        return isinstance(test.op, ast.Or) and any(says_nothing(one) for one in test.values)
    return isinstance(test, ast.Compare) and _is_tautology(test)


def _is_tautology(test: ast.Compare) -> bool:
    sides = [test.left, *test.comparators]
    if all(isinstance(one, ast.Constant) for one in sides):
        return True
    same = len({ast.dump(one) for one in sides}) == 1
    return (
        same
        and all(isinstance(one, ast.Eq | ast.Is | ast.LtE | ast.GtE) for one in test.ops)
        and not any(isinstance(one, ast.Call | ast.Await) for one in ast.walk(test))
    )


def is_weak(test: ast.expr) -> bool:
    """Whether it only says that there is something, not what."""
    if isinstance(test, ast.Compare):
        nothing = any(isinstance(one, ast.Constant) and one.value is None for one in test.comparators)
        return nothing and any(isinstance(one, ast.IsNot | ast.NotEq) for one in test.ops)
    return (isinstance(test, ast.Call) and callee(test) in {"isinstance", "hasattr", "callable", "bool"}) or isinstance(
        test, ast.Name | ast.Attribute | ast.Subscript
    )


def size(test: ast.expr) -> int:
    """How many values a comparison looks at: a literal list of three counts as three."""
    found = [test]
    if isinstance(test, ast.Compare):
        found = [test.left, *test.comparators]
    return max(1, *(_elements(one) for one in found)) if found else 1


def _elements(node: ast.expr) -> int:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return len(node.elts)
    if isinstance(node, ast.Dict):
        return len(node.keys)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _elements(node.left) * int(number(node.right) or 1)
    return max(1, node.value.count("\n")) if isinstance(node, ast.Constant) and isinstance(node.value, str) else 1


def is_broad(node: ast.expr, more: tuple[str, ...] = ()) -> bool:
    """Whether it names an exception that every other one is."""
    if isinstance(node, ast.Tuple):
        return any(is_broad(one, more) for one in node.elts)
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in _ANYTHING or name in more


def catches_assertions(handler: ast.ExceptHandler) -> bool:
    """Whether a failed assertion ends up in it."""
    return handler.type is None or is_broad(handler.type, ("AssertionError",))


def is_idle(body: Iterable[ast.stmt]) -> bool:
    """Whether statements do nothing about anything."""
    return all(_is_idle(one) for one in body)


def _is_idle(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        value = statement.value
        return isinstance(value, ast.Constant) or (isinstance(value, ast.Call) and callee(value) in _IDLE_CALLS)
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass | ast.Continue)


def number(node: ast.expr) -> float | None:
    """The value of a number; None for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        return float(node.value)  # type: ignore[arg-type]
    return None
