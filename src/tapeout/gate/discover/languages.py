"""What the languages of a repository check themselves with, by the files in its root. Pure."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from tapeout.config import CheckConfig


def python_checks(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    project = _toml(files.get("pyproject.toml", ""))
    if not project and not ({"setup.py", "setup.cfg", "tox.ini"} & paths):
        return []
    tools = _table(project, "tool")
    setup = files.get("setup.cfg", "") + files.get("tox.ini", "")
    return [
        *_python_lint(tools, setup, paths),
        *_python_types(tools, setup, paths),
        *_python_tests(repr(project) + setup, paths),
    ]


def _python_lint(tools: dict[str, Any], setup: str, paths: frozenset[str]) -> list[CheckConfig]:
    if "ruff" in tools or {"ruff.toml", ".ruff.toml"} & paths:
        found = [CheckConfig(name="ruff", kind="lint", run="ruff check .")]
        if "format" in _table(tools, "ruff"):
            found.append(CheckConfig(name="ruff-format", kind="lint", run="ruff format --check ."))
        return found
    uses_flake8 = "flake8" in setup or ".flake8" in paths
    return [CheckConfig(name="flake8", kind="lint", run="flake8")] if uses_flake8 else []


def _python_types(tools: dict[str, Any], setup: str, paths: frozenset[str]) -> list[CheckConfig]:
    if "mypy" in tools or "mypy.ini" in paths or "[mypy" in setup:
        run = "mypy" if "files" in _table(tools, "mypy") else "mypy ."
        return [CheckConfig(name="mypy", kind="types", run=run)]
    uses_pyright = "pyright" in tools or "pyrightconfig.json" in paths
    return [CheckConfig(name="pyright", kind="types", run="pyright")] if uses_pyright else []


def _python_tests(settings: str, paths: frozenset[str]) -> list[CheckConfig]:
    if "pytest" in settings or "conftest.py" in paths:
        return [CheckConfig(name="tests", kind="test", run="python3 -m pytest -q")]
    folder = next((name for name in ("tests", "test") if name in paths), None)
    run = f"python3 -m unittest discover -s {folder} -t ."
    return [CheckConfig(name="tests", kind="test", run=run)] if folder else []


_SCRIPTS: tuple[tuple[str, Literal["build", "lint", "types", "test"]], ...] = (
    ("build", "build"), ("lint", "lint"), ("typecheck", "types"), ("type-check", "types"), ("test", "test"),
)  # fmt: skip
"""Scripts of `package.json` that check something, by their usual names."""


def javascript_checks(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    try:
        scripts = _table(json.loads(files.get("package.json", "{}")), "scripts")
    except (ValueError, RecursionError):
        return []
    manager = next((name for lock, name in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")) if lock in paths), "npm")
    install = "npm ci" if "package-lock.json" in paths and manager == "npm" else f"{manager} install"
    found = [
        CheckConfig(name=f"{manager}-{script}", kind=kind, run=f"{install} && {manager} run {script}", network=True)
        for script, kind in _SCRIPTS
        if script in scripts and "no test specified" not in str(scripts[script])
    ]
    kinds = {check.kind for check in found}
    if "types" not in kinds and "tsconfig.json" in paths:
        found.append(
            CheckConfig(name="tsc", kind="types", run=f"{install} && npx --no-install tsc --noEmit", network=True)
        )
    if "lint" not in kinds and _ESLINT & paths:
        found.append(
            CheckConfig(name="eslint", kind="lint", run=f"{install} && npx --no-install eslint .", network=True)
        )
    return found


_ESLINT = frozenset(
    {".eslintrc", ".eslintrc.cjs", ".eslintrc.js", ".eslintrc.json", ".eslintrc.yml", "eslint.config.cjs"}
    | {"eslint.config.js", "eslint.config.mjs", "eslint.config.ts"}
)


def go_checks(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "go.mod" not in paths:
        return []
    golangci = {".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"} & paths
    fetches = "go.sum" in paths and "vendor" not in paths
    return [
        CheckConfig(name="go-build", kind="build", run="go build ./...", network=fetches),
        *(
            [CheckConfig(name="golangci-lint", kind="lint", run="golangci-lint run", network=fetches)]
            if golangci
            else []
        ),
        CheckConfig(name="go-vet", kind="lint", run="go vet ./...", network=fetches),
        CheckConfig(name="go-test", kind="test", run="go test ./...", network=fetches),
    ]


def rust_checks(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    if "Cargo.toml" not in paths:
        return []
    formatted = {"rustfmt.toml", ".rustfmt.toml"} & paths
    fetches = "vendor" not in paths
    return [
        *([CheckConfig(name="cargo-fmt", kind="lint", run="cargo fmt --check")] if formatted else []),
        CheckConfig(name="cargo-clippy", kind="lint", run="cargo clippy --all-targets -- -D warnings", network=fetches),
        CheckConfig(name="cargo-test", kind="test", run="cargo test", timeout=1800.0, network=fetches),
    ]


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _table(data: object, name: str) -> dict[str, Any]:
    """The table of that name; empty if there is none, or something else in its place."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}
