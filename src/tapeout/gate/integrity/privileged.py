"""Changes to what decides how changes are judged: the gate's file and programs, tools, hooks, CI, rules. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapeout.gate.globs import matches
from tapeout.gate.integrity import fixtures
from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import SUBMODULE, Change, FileChange, Tree
from tapeout.gate.integrity.classes import (
    BUILD,
    HOOKS,
    STARTUP,
    WHAT,
    kind_of,
    make_targets,
    programs,
    shadowed_module,
)
from tapeout.gate.integrity.manifests import changed_targets, differences

CHECK = "privileged"
GATE_CONFIG = "gate-config"
CONFIG_FILE = "tapeout.toml"

_MAKE = frozenset({"Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile"})
_ATTRIBUTES = ("filter=", "merge=", "diff=", "working-tree-encoding=", "textconv")
_LISTED = 6


class Surroundings(NamedTuple):
    """What of the configuration decides which files are privileged."""

    tests: Sequence[str]
    """Globs of test files."""
    commands: Sequence[str] = ()
    """Commands of the checks."""
    own: Sequence[str] = ()
    """Globs of further files that need a person."""


def privileged_alarms(change: Change, around: Surroundings) -> list[Alarm]:
    """Each privileged file that the change touches, and what about it."""
    named = programs(around.commands)
    targets = make_targets(around.commands)
    alarms: list[Alarm] = []
    for file in change.files:
        alarms += _gate_alarms(file, around, named)
        alarms += _class_alarms(file, change.base, targets)
    return alarms


def _gate_alarms(file: FileChange, around: Surroundings, named: frozenset[str]) -> Iterator[Alarm]:
    if file.path == CONFIG_FILE:
        reason = f"the change edits {CONFIG_FILE}, which decides how changes are judged: that needs a person"
        yield Alarm(GATE_CONFIG, "gate", "", 0, reason)
    elif file.path in named and file.before and not matches(file.path, around.tests) and file.name not in _PARSED:
        yield Alarm(GATE_CONFIG, "gate", file.path, 0, "is what a check runs")
    if around.own and matches(file.path, around.own):
        yield Alarm(CHECK, "files", file.path, 0, "is one of the files that need a person here")


_PARSED = frozenset({"pyproject.toml", "package.json", "setup.cfg", "Cargo.toml", *_MAKE})


def _class_alarms(file: FileChange, base: Tree, targets: frozenset[str]) -> Iterator[Alarm]:
    if SUBMODULE in {side.mode for side in (file.before, file.after) if side}:
        yield Alarm(CHECK, DEPENDENCIES_OF_GIT, file.path, 0, "is a submodule: code from elsewhere")
    elif file.name == ".gitmodules":
        yield Alarm(CHECK, DEPENDENCIES_OF_GIT, file.path, 0, "says where submodules come from")
    elif file.name == ".gitattributes":
        yield from _attribute_alarms(file)
    elif file.name == "conftest.py":
        is_alone = not base.entries(file.path.rpartition("/")[0]) and "/" in file.path
        reason = fixtures.objection(file.old, file.new, is_alone=is_alone)
        if reason:
            yield Alarm(CHECK, STARTUP, file.path, 0, f"runs around all tests, and {reason}")
    elif file.name in _MAKE:
        changed = changed_targets(file.old, file.new, targets) if targets else []
        if changed:
            yield Alarm(CHECK, BUILD, file.path, 0, f"changes what a check runs: {', '.join(changed[:_LISTED])}")
    else:
        yield from _plain_alarms(file)


DEPENDENCIES_OF_GIT = HOOKS
"""Permission for submodules: like hooks they bring in what nobody has looked at."""


def _plain_alarms(file: FileChange) -> Iterator[Alarm]:
    parts = differences(file.name, file.old, file.new)
    if parts is not None:
        for kind in dict.fromkeys(part.kind for part in parts):
            names = [part.part for part in parts if part.kind == kind]
            listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
            yield Alarm(CHECK, kind, file.path, 0, f"changes {WHAT[kind]}: {listed}")
        return
    found = kind_of(file.path)
    if found is not None:
        yield Alarm(CHECK, found, file.path, 0, f"is {WHAT[found]}")
        return
    module = shadowed_module(file.path) if file.after and not file.before else None
    if module is not None:
        yield Alarm(CHECK, STARTUP, file.path, 0, f"takes the place of the module {module} where Python looks first")


def _attribute_alarms(file: FileChange) -> Iterator[Alarm]:
    known = set(file.old.split("\n"))
    for number, line in enumerate(file.new.split("\n"), start=1):
        if line not in known and not line.startswith("#") and any(word in line for word in _ATTRIBUTES):
            yield Alarm(CHECK, HOOKS, file.path, number, "lets git run a filter or driver over files")
