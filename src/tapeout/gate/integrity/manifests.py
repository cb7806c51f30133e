"""What a change to a file that holds many things is about: a dependency, a tool's settings, a script. Pure.

`pyproject.toml` and the like are compared as parsed tables, so that a new author or version is nobody's business.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tapeout.gate.integrity.classes import BUILD, DEPENDENCIES, HOOKS, STARTUP, TOOLS

Table = Mapping[str, Any]


class Difference(NamedTuple):
    """A privileged part of a file that differs."""

    kind: str
    part: str
    """Such as `tool.pytest.ini_options` or `scripts.test`."""


_PACKAGING = frozenset(
    {"hatch", "setuptools", "setuptools_scm", "poetry", "pdm", "uv", "flit", "maturin", "scikit-build", "cibuildwheel"}
    | {"bumpversion", "bumpver", "commitizen", "semantic_release", "towncrier", "versioningit", "briefcase", "pixi"}
)
"""Tools that build and release and judge nothing; unknown ones are believed to judge."""

_TASKS = (
    ("poe",), ("hatch", "envs"), ("pdm", "scripts"), ("taskipy",), ("uv", "sources"), ("uv", "index"),
    ("poetry", "source"),
)  # fmt: skip
_LIFECYCLE = re.compile(r"(?:pre|post)\w+|prepare|install|dependencies")
_JS_TOOLS = (
    "jest",
    "vitest",
    "eslintConfig",
    "eslintIgnore",
    "mocha",
    "ava",
    "c8",
    "nyc",
    "tap",
    "stylelint",
    "prettier",
)
_JS_HOOKS = ("husky", "lint-staged", "simple-git-hooks", "pre-commit")
_JS_DEPENDENCIES = (
    "dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "overrides", "resolutions", "pnpm",
)  # fmt: skip
_INI_TOOLS = re.compile(
    r"tool:pytest|pytest|flake8.*|mypy.*|coverage:.*|pycodestyle|pydocstyle|isort|pylint.*|tox.*|testenv.*"
)


def differences(name: str, old: str, new: str) -> list[Difference] | None:
    """The privileged parts of a file called `name` that differ; None if it is no such file.

    What cannot be parsed counts as a difference of a tool's settings: nobody can tell.
    """
    compare = _COMPARED.get(name)
    if compare is None:
        return None
    try:
        return list(dict.fromkeys(compare(old, new)))
    except (ValueError, configparser.Error, RecursionError, AttributeError, TypeError):
        return [Difference(TOOLS, "all of it, which cannot be parsed")]


def _pyproject(old: str, new: str) -> Iterator[Difference]:
    before, after = tomllib.loads(old), tomllib.loads(new)
    yield from _differ(before, after, BUILD, [("build-system",)])
    project = ("dependencies", "optional-dependencies", "requires-python")
    yield from _differ(before, after, DEPENDENCIES, [*(("project", one) for one in project), ("dependency-groups",)])
    yield from _differ(before, after, STARTUP, [("project", "entry-points", "pytest11")])
    tools = sorted((before.get("tool", {}).keys() | after.get("tool", {}).keys()) - _PACKAGING)
    for tool in tools:
        tables = _at(before, ("tool", tool)), _at(after, ("tool", tool))
        if isinstance(tables[0] or {}, Mapping) and isinstance(tables[1] or {}, Mapping):
            keys = sorted((tables[0] or {}).keys() | (tables[1] or {}).keys())
            yield from _differ(before, after, TOOLS, [("tool", tool, key) for key in keys])
        else:
            yield from _differ(before, after, TOOLS, [("tool", tool)])
    yield from _differ(before, after, TOOLS, [("tool", *path) for path in _TASKS])
    poetry = ("dependencies", "dev-dependencies", "group", "extras")
    yield from _differ(before, after, DEPENDENCIES, [("tool", "poetry", one) for one in poetry])
    hooks = [("tool", "hatch", "build", "hooks"), ("tool", "poetry", "build"), ("tool", "pdm", "build")]
    yield from _differ(before, after, BUILD, hooks)


def _package_json(old: str, new: str) -> Iterator[Difference]:
    before, after = json.loads(old or "{}"), json.loads(new or "{}")
    scripts = before.get("scripts", {}), after.get("scripts", {})
    for name in sorted(scripts[0].keys() | scripts[1].keys()):
        if scripts[0].get(name) != scripts[1].get(name) and (name in scripts[0] or _LIFECYCLE.match(name)):
            yield Difference(BUILD, f"scripts.{name}")
    yield from _differ(before, after, TOOLS, [(one,) for one in _JS_TOOLS])
    yield from _differ(before, after, HOOKS, [(one,) for one in _JS_HOOKS])
    yield from _differ(before, after, DEPENDENCIES, [(one,) for one in _JS_DEPENDENCIES])


def _cargo(old: str, new: str) -> Iterator[Difference]:
    before, after = tomllib.loads(old), tomllib.loads(new)
    names = ("dependencies", "dev-dependencies", "build-dependencies", "target", "patch", "replace", "features")
    yield from _differ(before, after, DEPENDENCIES, [(one,) for one in names])
    yield from _differ(before, after, DEPENDENCIES, [("workspace", "dependencies")])
    settings = [("lints",), ("profile", "test"), ("test",), ("workspace", "lints"), ("lib", "test"), ("lib", "harness")]
    yield from _differ(before, after, TOOLS, settings)
    yield from _differ(before, after, BUILD, [("package", "build"), ("package", "autotests")])


def _setup_cfg(old: str, new: str) -> Iterator[Difference]:
    before, after = _ini(old), _ini(new)
    for section in sorted(before.keys() | after.keys()):
        if _INI_TOOLS.fullmatch(section) and before.get(section) != after.get(section):
            yield Difference(TOOLS, f"[{section}]")
    options = ("install_requires", "setup_requires", "tests_require")
    yield from _differ(before, after, DEPENDENCIES, [("options", one) for one in options])
    yield from _differ(before, after, DEPENDENCIES, [("options.extras_require",)])


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


_COMPARED: dict[str, Callable[[str, str], Iterator[Difference]]] = {
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    "setup.cfg": _setup_cfg,
}


def _differ(before: Table, after: Table, kind: str, paths: Iterable[tuple[str, ...]]) -> Iterator[Difference]:
    for path in paths:
        if _at(before, path) != _at(after, path):
            yield Difference(kind, ".".join(path))


def _at(table: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        table = table.get(name) if isinstance(table, Mapping) else None
    return table


_RULE = re.compile(r"^(?P<targets>[^\s#:=][^:=#]*?)\s*:(?!=)(?P<needs>[^=\n]*)$")


def changed_targets(old: str, new: str, called: Iterable[str]) -> list[str]:
    """Targets of a Makefile that differ, among those that are called and what they need; `variables` for lines outside
    of any target."""
    before, after = _targets(old), _targets(new)
    wanted = set(called)
    if "" in wanted:
        wanted |= {next(iter(side), "") for side in (before, after)}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        needs = {one for side in (before, after) for one in side.get(name, ("", ()))[1]}
        waiting += needs - wanted
        wanted |= needs
    changed = sorted(name for name in wanted if before.get(name) != after.get(name))
    return changed + (["variables"] if _outside(old) != _outside(new) else [])


def _targets(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Target to its lines and what it needs."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    names: list[str] = []
    for line in text.split("\n"):
        match = _RULE.match(line)
        if match:
            names = match["targets"].split()
            for name in names:
                found[name] = (found.get(name, ("", ()))[0] + line, tuple(match["needs"].partition(";")[0].split()))
        elif line[:1] in {"\t", " "}:
            for name in names:
                lines, needs = found[name]
                found[name] = (f"{lines}\n{line}", needs)
        elif line.strip():
            names = []
    return found


def _outside(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line.strip() and line[0] not in "\t #"]
    return [line for line in lines if not _RULE.match(line)]
