"""What a repository already checks itself with. Pure: from the contents of its files to checks for `tapeout.toml`."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from tapeout.config import CheckConfig

FILES = ("pyproject.toml", "setup.cfg", "tox.ini", "package.json", "go.mod", "Cargo.toml", "Makefile", "mypy.ini")
"""Files of the repository's root that discovery reads, where they exist."""


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
    tools = project.get("tool", {})
    setup = files.get("setup.cfg", "") + files.get("tox.ini", "")
    found = []
    if "ruff" in tools or {"ruff.toml", ".ruff.toml"} & paths:
        found.append(CheckConfig(name="ruff", kind="lint", run="ruff check ."))
    elif "flake8" in setup or ".flake8" in paths:
        found.append(CheckConfig(name="flake8", kind="lint", run="flake8"))
    if "mypy" in tools or "mypy.ini" in files or "[mypy" in setup:
        found.append(
            CheckConfig(name="mypy", kind="types", run="mypy" if "files" in tools.get("mypy", {}) else "mypy .")
        )
    mentions_pytest = "pytest" in json.dumps(project) or "pytest" in setup or "conftest.py" in paths
    if mentions_pytest:
        found.append(CheckConfig(name="tests", kind="test", run="python3 -m pytest -q"))
    elif {"tests", "test"} & paths:
        folder = "tests" if "tests" in paths else "test"
        found.append(CheckConfig(name="tests", kind="test", run=f"python3 -m unittest discover -s {folder} -t ."))
    return found


def _javascript(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    try:
        scripts = json.loads(files.get("package.json", "{}")).get("scripts", {})
    except (ValueError, AttributeError):
        return []
    if "package.json" not in files or not isinstance(scripts, dict):
        return []
    manager = next((name for lock, name in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")) if lock in paths), "npm")
    install = "npm ci" if "package-lock.json" in paths and manager == "npm" else f"{manager} install"
    kinds = {"build": "build", "lint": "lint", "typecheck": "types", "type-check": "types", "test": "test"}
    return [
        CheckConfig(name=f"npm-{script}", kind=kind, run=f"{install} && {manager} run {script}")  # type: ignore[arg-type]
        for script, kind in kinds.items()
        if script in scripts and "no test specified" not in str(scripts[script])
    ]


def _go(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "go.mod" not in paths:
        return []
    return [
        CheckConfig(name="go-build", kind="build", run="go build ./..."),
        CheckConfig(name="go-vet", kind="lint", run="go vet ./..."),
        CheckConfig(name="go-test", kind="test", run="go test ./..."),
    ]


def _rust(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "Cargo.toml" not in paths:
        return []
    return [
        CheckConfig(name="cargo-clippy", kind="lint", run="cargo clippy --all-targets -- -D warnings"),
        CheckConfig(name="cargo-test", kind="test", run="cargo test", timeout="30m"),  # type: ignore[arg-type]
    ]


def _make(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    targets = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", files.get("Makefile", ""), re.MULTILINE))
    target = next((name for name in ("check", "test", "tests") if name in targets), None)
    return [CheckConfig(name=f"make-{target}", kind="test", run=f"make {target}")] if target else []


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
