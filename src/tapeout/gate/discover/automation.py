"""Checks that somebody has automated already: hooks, targets of a Makefile, commands of CI. Pure.

Whatever is in these files is data: what cannot be read yields nothing. A command of CI is taken when its program is one
that checks, and when it needs nothing that only CI has (its own variables, a matrix, a service).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import yaml

from tapeout.config import CheckConfig

Kind = Literal["build", "types", "lint", "complexity", "test", "secrets", "dependencies", "custom"]

_TOOLS: tuple[tuple[str, Kind, str], ...] = (
    ("ruff-format", "lint", r"ruff format .*--(?:check|diff)"),
    ("ruff", "lint", r"ruff(?: check)?(?! format)\b"),
    ("black", "lint", r"black .*--(?:check|diff)"),
    ("isort", "lint", r"isort .*(?:--check|-c)"),
    ("flake8", "lint", r"flake8\b"),
    ("pylint", "lint", r"pylint\b"),
    ("bandit", "lint", r"bandit\b"),
    ("mypy", "types", r"(?:d?mypy)\b"),
    ("pyright", "types", r"(?:based)?pyright\b"),
    ("lint-imports", "lint", r"lint-imports\b"),
    ("tests", "test", r"(?:pytest|unittest|tox|nox)\b"),
    ("eslint", "lint", r"eslint\b"),
    ("prettier", "lint", r"prettier .*(?:--check|-c|-l)"),
    ("tsc", "types", r"tsc\b"),
    ("js-tests", "test", r"(?:(?:npm|yarn|pnpm) (?:run )?test|vitest|jest|mocha|node --test)\b"),
    ("js-lint", "lint", r"(?:npm run|yarn(?: run)?|pnpm(?: run)?) lint\b"),
    ("js-build", "build", r"(?:npm run|yarn(?: run)?|pnpm(?: run)?) build\b"),
    ("golangci-lint", "lint", r"golangci-lint run\b"),
    ("staticcheck", "lint", r"staticcheck\b"),
    ("go-vet", "lint", r"go vet\b"),
    ("go-test", "test", r"go test\b"),
    ("go-build", "build", r"go build\b"),
    ("cargo-fmt", "lint", r"cargo fmt .*--check"),
    ("cargo-clippy", "lint", r"cargo clippy\b"),
    ("cargo-deny", "dependencies", r"cargo deny\b"),
    ("cargo-test", "test", r"cargo (?:nextest run|test)\b"),
    ("gitleaks", "secrets", r"gitleaks\b"),
    ("shellcheck", "lint", r"shellcheck\b"),
)  # fmt: skip
"""Name of a check, its kind, and how its command begins or which words it has."""

_RUNNER = (
    r"(?:(?:python3?(?:\.\d+)? -m|uv run|uvx|poetry run|pipenv run|pdm run|hatch run|npx(?: --no-install)?|rye run) )*"
)
_PATTERNS = tuple((name, kind, re.compile(_RUNNER + pattern)) for name, kind, pattern in _TOOLS)

_TARGETS: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("build", "build", ("build",)),
    ("lint", "lint", ("lint",)),
    ("types", "types", ("typecheck", "type-check", "types")),
    ("test", "test", ("check", "test", "tests")),
)
"""What a Makefile may do: kind of check, and the usual names of the target."""

_NOTHING_TO_FETCH = (None, "system", "script", "fail", "unsupported", "unsupported_script")
"""Languages of hooks that are programs of the machine or of the repository; None stands at `meta` hooks."""

_HOOKS = ".pre-commit-config.yaml"

_DEEPEST = 100
"""Brackets within brackets, of a file that somebody wrote."""

_ONLY_IN_CI = re.compile(r"\$\{\{|\$GITHUB_|\$CI_|\$\{CI_|upload|publish|deploy|codecov|coveralls")


def hook_checks(files: Mapping[str, str], found: Sequence[CheckConfig]) -> list[CheckConfig]:
    """The hooks of `.pre-commit-config.yaml`, run by prek, which reads the same file as pre-commit."""
    config = _yaml(files.get(_HOOKS, ""))
    repositories = config.get("repos") if isinstance(config, dict) else None
    if not isinstance(repositories, list) or not repositories:
        return []
    network = not all(map(_is_here, repositories))
    return [CheckConfig(name="hooks", kind="lint", run="prek run --all-files", network=network)]


def _is_here(repository: object) -> bool:
    """Whether the hooks of a repository need nothing that prek would have to fetch."""
    if not isinstance(repository, dict) or repository.get("repo") not in ("local", "meta"):
        return False
    hooks = repository.get("hooks")
    languages = [hook.get("language") for hook in hooks if isinstance(hook, dict)] if isinstance(hooks, list) else []
    return all(language in _NOTHING_TO_FETCH for language in languages)


def make_checks(files: Mapping[str, str], found: Sequence[CheckConfig]) -> list[CheckConfig]:
    """Targets of a Makefile, for kinds that no check has yet."""
    targets = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", files.get("Makefile", ""), re.MULTILINE))
    kinds = {check.kind for check in found}
    made = []
    for _, kind, names in _TARGETS:
        target = next((name for name in names if name in targets), None)
        if target and kind not in kinds:
            made.append(CheckConfig(name=f"make-{target}", kind=kind, run=f"make {target}"))
    return made


def ci_checks(files: Mapping[str, str], found: Sequence[CheckConfig]) -> list[CheckConfig]:
    """Commands of GitHub workflows and of GitLab's CI that check something which no check does yet."""
    made: dict[str, CheckConfig] = {}
    known = " ; ".join(check.command for check in found)
    kinds = {check.kind for check in found}
    for command in _commands(files):
        for name, kind, pattern in _PATTERNS:
            if pattern.match(command):
                is_known = pattern.search(known) or any(check.name == name for check in found)
                if not is_known and not (kind == "test" and "test" in kinds):
                    made.setdefault(name, CheckConfig(name=name, kind=kind, run=command))
                break
    return list(made.values())


def _commands(files: Mapping[str, str]) -> Iterator[str]:
    """Each command line of CI that would mean the same here."""
    pipelines = (path for path in sorted(files) if path.endswith((".yml", ".yaml")) and path != _HOOKS)
    scripts = (script for path in pipelines for script in _scripts(_yaml(files[path])))
    lines = (line for script in scripts for line in script.replace("\\\n", " ").split("\n"))
    commands = (" ".join(line.split()) for line in lines)
    return (command for command in commands if command and not _ONLY_IN_CI.search(command))


def _scripts(data: object) -> Iterator[str]:
    """`run` of GitHub's steps, `script` of GitLab's jobs, wherever they stand."""
    seen: set[int] = set()  # an alias of YAML is the same object again, and a file of aliases of aliases has no end
    waiting = [data]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict | list) or id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in reversed(list(node.items() if isinstance(node, dict) else enumerate(node))):
            if key in ("run", "script"):
                texts = value if isinstance(value, list) else [value]
                yield from (text for text in texts if isinstance(text, str))
            waiting.append(value)


def _yaml(text: str) -> object:
    if _depth(text) > _DEEPEST:  # takes PyYAML minutes
        return None
    try:
        # Everything as text: what makes values of tags and merges keys trips over odd ones, and grows without end.
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes texts, lists and tables only
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _depth(text: str) -> int:
    """How deep brackets are nested, at most: those within texts and comments count too."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
