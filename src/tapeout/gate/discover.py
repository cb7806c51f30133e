"""What a repository already checks itself with. Pure: from the contents of its files to checks for `tapeout.toml`."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from tapeout.config import CheckConfig

FILES = ("pyproject.toml", "setup.cfg", "tox.ini", "package.json", "Makefile")
"""Files of the repository's root that discovery reads, where they exist; of others the name says enough."""


def discover(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    """Checks for a repository, cheapest first.

    Args:
        files: name to content of those of `FILES` that exist.
        paths: names of all files and folders in the repository's root.
    """
    found: list[CheckConfig] = []
    for finder in (_python, _javascript, _go, _rust):
        found += finder(files, paths)
    if not any(check.kind == "test" for check in found):
        found += _make(files, paths)
    order = ("build", "lint", "types", "complexity", "custom", "test")
    return sorted(found, key=lambda check: order.index(check.kind))


def _python(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    project = _toml(files.get("pyproject.toml", ""))
    if not project and not ({"setup.py", "setup.cfg", "tox.ini"} & paths):
        return []
    tools = _table(project, "tool")
    setup = files.get("setup.cfg", "") + files.get("tox.ini", "")
    found = []
    if "ruff" in tools or {"ruff.toml", ".ruff.toml"} & paths:
        found.append(CheckConfig(name="ruff", kind="lint", run="ruff check ."))
    elif "flake8" in setup or ".flake8" in paths:
        found.append(CheckConfig(name="flake8", kind="lint", run="flake8"))
    if "mypy" in tools or "mypy.ini" in paths or "[mypy" in setup:
        run = "mypy" if "files" in _table(tools, "mypy") else "mypy ."
        found.append(CheckConfig(name="mypy", kind="types", run=run))
    if "pytest" in repr(project) or "pytest" in setup or "conftest.py" in paths:
        found.append(CheckConfig(name="tests", kind="test", run="python3 -m pytest -q"))
    elif {"tests", "test"} & paths:
        folder = "tests" if "tests" in paths else "test"
        found.append(CheckConfig(name="tests", kind="test", run=f"python3 -m unittest discover -s {folder} -t ."))
    return found


_SCRIPTS: tuple[tuple[str, Literal["build", "lint", "types", "test"]], ...] = (
    ("build", "build"), ("lint", "lint"), ("typecheck", "types"), ("type-check", "types"), ("test", "test"),
)  # fmt: skip
"""Scripts of `package.json` that check something, by their usual names."""


def _javascript(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    try:
        scripts = _table(json.loads(files.get("package.json", "{}")), "scripts")
    except (ValueError, RecursionError):
        return []
    manager = next((name for lock, name in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")) if lock in paths), "npm")
    install = "npm ci" if "package-lock.json" in paths and manager == "npm" else f"{manager} install"
    return [
        CheckConfig(name=f"{manager}-{script}", kind=kind, run=f"{install} && {manager} run {script}", network=True)
        for script, kind in _SCRIPTS
        if script in scripts and "no test specified" not in str(scripts[script])
    ]


def _go(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "go.mod" not in paths:
        return []
    fetches = "go.sum" in paths and "vendor" not in paths
    return [
        CheckConfig(name="go-build", kind="build", run="go build ./...", network=fetches),
        CheckConfig(name="go-vet", kind="lint", run="go vet ./...", network=fetches),
        CheckConfig(name="go-test", kind="test", run="go test ./...", network=fetches),
    ]


def _rust(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "Cargo.toml" not in paths:
        return []
    fetches = "vendor" not in paths
    return [
        CheckConfig(name="cargo-clippy", kind="lint", run="cargo clippy --all-targets -- -D warnings", network=fetches),
        CheckConfig(name="cargo-test", kind="test", run="cargo test", timeout=1800.0, network=fetches),
    ]


def _make(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    targets = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", files.get("Makefile", ""), re.MULTILINE))
    target = next((name for name in ("check", "test", "tests") if name in targets), None)
    return [CheckConfig(name=f"make-{target}", kind="test", run=f"make {target}")] if target else []


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _table(data: object, name: str) -> dict[str, Any]:
    """The table of that name; empty if there is none, or something else in its place."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}
