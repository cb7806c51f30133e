"""What the tests of a Python file assert, read from the syntax tree. Pure.

Counting is generous: what may be an assertion is one, so that rewriting a test raises no alarm. What can be seen to
assert nothing (a constant, a comparison with itself, code that is never reached) is none.
"""

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tapeout.gate.integrity.assertions import Facts, Weighed
from tapeout.gate.integrity.python_syntax import (
    ASSERTING,
    Function,
    callee,
    catches_assertions,
    defined,
    is_broad,
    is_idle,
    is_weak,
    live,
    number,
    owner,
    says_nothing,
    size,
)

_RAISES = frozenset({"raises", "warns", "assertRaises", "assertRaisesRegex", "assertWarns", "assertWarnsRegex"})
_TOLERANCES = frozenset({"rel_tol", "abs_tol", "rtol", "atol", "delta", "places", "tolerance", "tol", "eps", "epsilon"})
_LESS_IS_LAXER = frozenset({"places"})
_MOST_CASES = 500
_LOOPS = ast.For | ast.AsyncFor | ast.While | ast.comprehension

Helpers = Mapping[str, int]
"""Functions that are no tests, and whether they assert."""


def changed_facts(
    before: ast.Module, after: ast.Module, old: str, new: str
) -> tuple[dict[str, Facts], dict[str, Facts]]:
    """The tests of both sides of a file by qualified name; those that are the same in both are left out, but for their
    names, as they cost most of the time."""
    sides = [dict(defined(module.body)) for module in (before, after)]
    texts = [_texts(functions, text) for functions, text in zip(sides, (old, new), strict=True)]
    plain = [{name: text for name, text in side.items() if not _is_test(name)} for side in texts]
    is_same = plain[0] == plain[1]  # a test may have changed with a helper or a table of cases
    same = {
        name for name, text in texts[0].items() if is_same and texts[1].get(name) == text and "parametrize" not in text
    }
    found = [_python_facts(module, functions, same) for module, functions in zip((before, after), sides, strict=True)]
    return found[0], found[1]


def _texts(functions: Mapping[str, Function], text: str) -> dict[str, str]:
    lines = text.split("\n")

    def source(function: Function) -> str:
        first = min([function.lineno, *(mark.lineno for mark in function.decorator_list)])
        return "\n".join(lines[first - 1 : function.end_lineno])

    return {name: source(function) for name, function in functions.items()}


def _is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test")


def _python_facts(module: ast.Module, functions: Mapping[str, Function], same: Collection[str]) -> dict[str, Facts]:
    tests = {name: function for name, function in functions.items() if _is_test(name)}
    if not tests.keys() - same:
        return {name: Facts(function.lineno) for name, function in tests.items()}
    helpers, constants = _helpers(functions), _constants(module)
    return {
        name: Facts(function.lineno) if name in same else _facts(function, helpers, constants)
        for name, function in tests.items()
    }


def helper_assertions(module: ast.Module) -> Counter[str]:
    """What functions that are no tests assert: where an assertion may have moved to."""
    found: Counter[str] = Counter()
    for _, function in defined(module.body):
        if not function.name.startswith("test"):
            reader = _Reader({})
            reader.read(function.body)
            found.update(one.text for one in reader.assertions)
    return found


def _helpers(functions: Mapping[str, Function]) -> Helpers:
    plain = {name.rpartition(".")[2]: one for name, one in functions.items() if not one.name.startswith("test")}
    found: dict[str, int] = {}
    for _ in range(3):  # a helper that calls a helper that calls a helper
        for name, function in plain.items():
            reader = _Reader(found)
            reader.read(function.body)
            if reader.assertions:
                found[name] = 1
    return found


def _constants(module: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            found |= {target.id: statement.value for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found[statement.target.id] = statement.value
    return found


def _facts(function: Function, helpers: Helpers, constants: Mapping[str, ast.expr]) -> Facts:
    cases = _cases(function, constants)
    reader = _Reader(helpers, constants)
    reader.read(function.body)
    return Facts(
        line=function.lineno,
        assertions=tuple(reader.assertions),
        empty_lines=tuple(reader.empty),
        swallowed=tuple(reader.swallowed),
        unconditional=reader.unconditional,
        broad_raises=reader.broad,
        narrow_raises=reader.narrow,
        matched_raises=reader.matched,
        tolerances=tuple(reader.tolerances),
        cases=cases or Counter(),
        loops=any(isinstance(node, _LOOPS) for node in ast.walk(function)),
        times=None if cases is None else min(max(cases.total(), 1), _MOST_CASES),
    )


def _cases(function: Function, constants: Mapping[str, ast.expr]) -> Counter[str] | None:
    """The cases of a parametrized test; None if they cannot be read from the file."""
    found: Counter[str] = Counter()
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and callee(decorator) == "parametrize" and len(decorator.args) > 1:
            elements = _elements(decorator.args[1], constants)
            if elements is None:
                return None
            found.update(ast.dump(case) for case in elements if not _is_skipped(case))
    return found


def _is_skipped(case: ast.expr) -> bool:
    if not isinstance(case, ast.Call):
        return False
    marks = next((one.value for one in case.keywords if one.arg == "marks"), None)
    return marks is not None and any(word in ast.dump(marks) for word in ("'skip'", "'xfail'", "'skipif'"))


def _elements(value: ast.expr, constants: Mapping[str, ast.expr]) -> list[ast.expr] | None:
    """The elements of a literal, or of the constant of that name; None for what is neither."""
    if isinstance(value, ast.Name):
        value = constants.get(value.id, value)
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return None if any(isinstance(one, ast.Starred) for one in value.elts) else value.elts
    if isinstance(value, ast.Dict):
        return [key for key in value.keys if key is not None]
    return None


@dataclass
class _Reader:
    """Reads the statements of one function."""

    helpers: Helpers
    constants: Mapping[str, ast.expr] = field(default_factory=dict)
    assertions: list[Weighed] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    swallowed: list[int] = field(default_factory=list)
    unconditional: int = 0
    broad: int = 0
    narrow: int = 0
    matched: int = 0
    tolerances: list[tuple[str, float]] = field(default_factory=list)
    _times: int = 1
    _swallowing: bool = False
    _conditional: bool = False

    def read(self, statements: Iterable[ast.stmt]) -> None:
        for statement in live(statements):
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assert):
            self._asserted(statement)
        elif isinstance(statement, ast.Try):
            self._tried(statement)
        elif isinstance(statement, ast.With | ast.AsyncWith):
            self._with(statement)
        elif isinstance(statement, ast.For | ast.AsyncFor):
            self._calls(statement.iter)
            times = min(max(len(_elements(statement.iter, self.constants) or ()), 1), _MOST_CASES)
            self._inside([*statement.body, *statement.orelse], times=times)
        elif isinstance(statement, ast.If | ast.While):
            self._calls(statement.test)
            self._inside([*statement.body, *statement.orelse], conditional=isinstance(statement, ast.If))
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                self._inside(case.body, conditional=True)
        elif isinstance(statement, Function):
            self._inside(statement.body)
        elif not isinstance(statement, ast.ClassDef):
            self._calls(statement)

    def _inside(
        self, body: Iterable[ast.stmt], *, times: int = 1, swallowing: bool = False, conditional: bool = False
    ) -> None:
        before = self._times, self._swallowing, self._conditional
        self._times *= times
        self._swallowing |= swallowing
        self._conditional |= conditional
        self.read(body)
        self._times, self._swallowing, self._conditional = before

    def _tried(self, statement: ast.Try) -> None:
        swallowing = any(catches_assertions(one) and is_idle(one.body) for one in statement.handlers)
        self._inside(statement.body, swallowing=swallowing)
        for handler in statement.handlers:
            self._inside(handler.body)
        self._inside([*statement.orelse, *statement.finalbody])

    def _with(self, statement: ast.With | ast.AsyncWith) -> None:
        swallowing = False
        for item in statement.items:
            self._calls(item.context_expr)
            called = item.context_expr
            if isinstance(called, ast.Call) and callee(called) == "suppress":
                swallowing |= any(is_broad(one, ("AssertionError",)) for one in called.args)
        self._inside(statement.body, swallowing=swallowing)

    def _asserted(self, statement: ast.Assert) -> None:
        parts = [statement.test]
        if isinstance(statement.test, ast.BoolOp) and isinstance(statement.test.op, ast.And):
            parts = statement.test.values
        for part in parts:
            if says_nothing(part):
                self.empty.append(statement.lineno)
            else:
                self._add(part, statement.lineno, size(part), weak=is_weak(part))
        self._tolerances(statement)

    def _calls(self, node: ast.AST) -> None:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                self._called(call)
        self._tolerances(node)

    def _called(self, call: ast.Call) -> None:
        name = callee(call)
        if name in _RAISES:
            self._raises(call)
            self._add(call, call.lineno, 1, weak=False)
        elif ASSERTING.match(name) or name in self.helpers:
            if name in {"assertTrue", "assert_", "assertFalse", "assertEqual"} and _is_idle_method(call):
                self.empty.append(call.lineno)
            else:
                weak = name in {"assertTrue", "assertIsNotNone", "assertIsInstance"} and not any(
                    isinstance(one, ast.Compare) for one in call.args
                )
                self._add(call, call.lineno, max((size(one) for one in call.args), default=1), weak=weak)

    def _raises(self, call: ast.Call) -> None:
        if callee(call).endswith("Regex") or any(one.arg == "match" for one in call.keywords):
            self.matched += 1
        elif call.args and is_broad(call.args[0]):
            self.broad += 1
            return
        self.narrow += 1

    def _add(self, node: ast.expr, line: int, weight: int, *, weak: bool) -> None:
        if self._swallowing:
            self.swallowed.append(line)
            return
        self.assertions.append(Weighed(ast.dump(node), weight * self._times, weak))
        self.unconditional += not self._conditional

    def _tolerances(self, node: ast.AST) -> None:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                near = callee(call) in {"approx", "isclose", "allclose", "assert_allclose"}
                names = _TOLERANCES | {"rel", "abs"} if near else _TOLERANCES
                self.tolerances += [_laxity(one) for one in call.keywords if one.arg in names and number(one.value)]


def _laxity(keyword: ast.keyword) -> tuple[str, float]:
    value = number(keyword.value) or 0.0
    return keyword.arg or "", -value if keyword.arg in _LESS_IS_LAXER else value


def _is_idle_method(call: ast.Call) -> bool:
    name, arguments = callee(call), call.args
    if name == "assertFalse":
        return bool(arguments) and isinstance(arguments[0], ast.Constant) and not arguments[0].value
    if name == "assertEqual":
        return len(arguments) > 1 and says_nothing(ast.Compare(arguments[0], [ast.Eq()], [arguments[1]]))
    return bool(arguments) and says_nothing(arguments[0])


MAY_TAMPER = re.compile(
    r"builtins|load_tests|pytest\.|pluggy|TestCase|TestResult|unittest\.main|sys\.(?:exit|modules|excepthook)|os\.(?:_exit|abort|kill|exec)"
    r"|^(?:exit|quit)\(|setattr",
    re.MULTILINE,
)
"""Without it in the text there is nothing for `tampering` to find."""

_ENDS = frozenset({"os._exit", "sys.exit", "exit", "quit", "os.abort", "os.kill", "os.execv", "os.execvp"})


def tampering(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines of a test file that change the test runner, or end its process, and what they do."""
    for node in ast.walk(module):
        for name in _replaced(node):
            if _is_machinery(name):
                yield getattr(node, "lineno", 0), f"replaces {name}, which tests rely on"
    for statement in live(module.body):
        if isinstance(statement, Function) and statement.name == "load_tests":
            yield statement.lineno, "chooses itself which tests run, by load_tests"
        called = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(called, ast.Call) and owner(called.func) in _ENDS:
            yield statement.lineno, f"calls {owner(called.func)} when it is imported, which ends the test run"


def _replaced(node: ast.AST) -> list[str]:
    """What a statement or call assigns to."""
    if isinstance(node, ast.Call) and owner(node.func) == "setattr" and len(node.args) > 1:
        return [f"{owner(node.args[0])}.{_constant_text(node.args[1])}"]
    return [owner(target) for target in _assigned(node)]


def _assigned(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


def _is_machinery(name: str) -> bool:
    first, _, rest = name.partition(".")
    if first in {"pytest", "_pytest", "pluggy", "builtins"}:
        return bool(rest)
    if name in {"sys.exit", "os._exit", "sys.excepthook", "sys.modules", "unittest.TestResult", "unittest.main"}:
        return True
    return "TestCase." in f"{name}." and rest != "" and name.rpartition(".")[2].startswith(("assert", "run", "fail"))


def _constant_text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "?"
