"""Tests that keep their name and lose their meaning. Pure.

The same tests, run as they are on the target branch, are what shows that a change breaks something today
(`second_run`). This is about what they would still see tomorrow.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.assertions import Facts, weakenings
from tapeout.gate.integrity.change import FileChange
from tapeout.gate.integrity.other_facts import go_facts, javascript_facts, rust_facts
from tapeout.gate.integrity.python_facts import MAY_TAMPER, changed_facts, helper_assertions, tampering
from tapeout.gate.integrity.python_syntax import parse
from tapeout.gate.integrity.python_tests import tests_of

CHECK = "tests-weakened"

_OTHERS: dict[str, Callable[[str], dict[str, Facts]]] = {
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"), javascript_facts),
    ".go": go_facts,
    ".rs": rust_facts,
}


class _Pair(NamedTuple):
    """The tests of one file, before and after."""

    path: str
    before: Mapping[str, Facts]
    after: Mapping[str, Facts]
    helpers: Counter[str]
    """What functions that are no tests newly assert."""


def weakened_alarms(files: Iterable[FileChange]) -> list[Alarm]:
    """What is wrong with the test files of a change."""
    pairs: list[_Pair] = []
    alarms: list[Alarm] = []
    for file in files:
        if file.suffix == ".py":
            before, after = parse(file.old), parse(file.new)
            if before is not None and after is not None:
                helpers = helper_assertions(after) - helper_assertions(before)
                pairs.append(_Pair(file.path, *changed_facts(before, after, file.old, file.new), helpers))
                alarms += _tampering(file, before, after)
            tests_of(file.old), tests_of(file.new)  # `kept` asks for them later, when the syntax trees are forgotten
        elif file.suffix in _OTHERS:
            read = _OTHERS[file.suffix]
            pairs.append(_Pair(file.path, read(file.old), read(file.new), Counter()))
    return alarms + list(_compared(pairs))


def _tampering(file: FileChange, before: ast.Module, after: ast.Module) -> Iterator[Alarm]:
    if not MAY_TAMPER.search(file.new):
        return
    known = Counter(what for _, what in tampering(before))
    for line, what in tampering(after):
        known[what] -= 1
        if known[what] < 0:
            yield Alarm(CHECK, "tests", file.path, line, what)


def _compared(pairs: list[_Pair]) -> Iterator[Alarm]:
    matched = [one for one in _matched(pairs) if one[2]._replace(line=0) != one[3]._replace(line=0)]
    moved = sum((pair.helpers for pair in pairs), Counter[str]())
    cases: Counter[str] = Counter()
    for _, _, before, after in matched:
        moved += _texts(after) - _texts(before)
        cases += after.cases - before.cases
    for path, name, before, after in matched:
        for line, what in weakenings(before, after, moved, cases):
            yield Alarm(CHECK, "tests", path, line, f"{name[:100]} {what}")


def _texts(facts: Facts) -> Counter[str]:
    return Counter(one.text for one in facts.assertions)


def _matched(pairs: list[_Pair]) -> Iterator[tuple[str, str, Facts, Facts]]:
    """Each test with what it was: in the same file, or in one that lost a test of that name. A new test is compared
    with nothing."""
    lost = {name: facts for pair in pairs for name, facts in pair.before.items() if name not in pair.after}
    for pair in pairs:
        for name, after in pair.after.items():
            yield pair.path, name, pair.before.get(name) or lost.get(name) or Facts(0), after
