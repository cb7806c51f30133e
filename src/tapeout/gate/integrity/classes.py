"""Files that decide how changes are judged, and by whom: which class of them a path belongs to. Pure."""

import re
import sys
from collections.abc import Iterable

CI = "ci"
HOOKS = "hooks"
RULES = "rules"
STARTUP = "startup"
TOOLS = "tools"
BUILD = "build"
DEPENDENCIES = "dependencies"

WHAT = {
    CI: "continuous integration",
    HOOKS: "hooks, which run on other machines",
    RULES: "rules that agents follow",
    STARTUP: "code that runs before any check",
    TOOLS: "the configuration of a tool that checks the code",
    BUILD: "a build script",
    DEPENDENCIES: "dependencies",
}
"""Permission to what its files are."""

_FOLDERS = {
    CI: (
        r"\.github/(?:workflows|actions)/", r"\.gitlab/", r"\.circleci/", r"\.buildkite/", r"\.azure-pipelines/",
        r"\.woodpecker/", r"\.(?:forgejo|gitea)/", r"\.teamcity/", r"\.semaphore/",
    ),
    HOOKS: (r"\.husky/", r"\.githooks/", r"\.lefthook/", r"\.hooks/"),
    RULES: (
        r"\.agents/", r"\.claude/", r"\.codex/", r"\.cursor/", r"\.windsurf/", r"\.gemini/", r"\.opencode/",
        r"\.kiro/", r"\.roo/", r"\.vibe/", r"\.continue/", r"\.github/(?:instructions|agents|prompts|chatmodes)/",
    ),
    STARTUP: (r"(?:.*/)?node_modules/", r"(?:.*/)?\.?venv/", r"(?:.*/)?site-packages/"),
    TOOLS: (r"\.cargo/", r"\.config/nextest"),
    DEPENDENCIES: (r"vendor/",),
}  # fmt: skip
"""Beginnings of paths."""

_NAMES = {
    CI: (
        r"\.gitlab-ci\.ya?ml", r"azure-pipelines\.ya?ml", "Jenkinsfile.*", r"\.travis\.ya?ml",
        r"bitbucket-pipelines\.ya?ml", r"\.drone\.ya?ml", r"\.woodpecker\.ya?ml", r"\.?appveyor\.ya?ml",
        r"\.cirrus\.ya?ml", r"cloudbuild\.ya?ml", "CODEOWNERS",
    ),
    HOOKS: (
        r"\.pre-commit-(?:config|hooks)\.yaml", r"\.?lefthook(?:-local)?\.(?:ya?ml|toml|json)", r"\.lintstagedrc.*",
        r"lint-staged\.config\..*", r"\.overcommit\.yml", r"\.gitconfig", r"\.lfsconfig", r"\.huskyrc.*",
    ),
    RULES: (
        r"AGENTS(?:\.override)?\.md", r"CLAUDE(?:\.local)?\.md", r"GEMINI\.md", r"\.cursorrules", r"\.windsurfrules",
        r"\.clinerules.*", r"copilot-instructions\.md", r"\.mcp\.json", r"opencode\.jsonc?", r"\.aider\.conf\.yml",
    ),
    STARTUP: (r"(?:site|user)customize\.py", r".*\.pth", r"\.envrc"),
    TOOLS: (
        r"\.?pytest\.(?:ini|toml)", r"tox\.(?:ini|toml)", r"\.flake8", r"\.?pylintrc(?:\.toml)?", r"\.?mypy\.ini",
        r"pyrightconfig\.json", r"\.?ruff\.toml", r"ty\.toml", r"pyrefly\.toml", r"\.coveragerc", r"\.bandit",
        r"noxfile\.py", r"\.isort\.cfg", r"\.yamllint.*", r"\.importlinter", r"\.eslintrc.*", r"eslint\.config\..*",
        r"\.eslintignore", r"tsconfig.*\.json", r"jest\.(?:config|setup)\..*",
        r"vitest\.(?:config|workspace|setup)\..*",
        r"vite\.config\..*", r"playwright\.config\..*", r"cypress\.config\..*", r"karma\.conf\..*", r"\.mocharc.*",
        r"\.nycrc.*", r"\.c8rc.*", r"biome\.jsonc?", r"\.oxlintrc\.json", r"\.stylelintrc.*", r"\.prettierrc.*",
        r"prettier\.config\..*", r"\.prettierignore", r"nx\.json", r"turbo\.json", r"\.golangci\..*",
        r"\.?clippy\.toml", r"\.?rustfmt\.toml", r"deny\.toml", r"\.?codecov\.ya?ml", r"sonar-project\.properties",
        r"\.semgrep.*", r"\.gitleaks\.toml", r"\.gitleaksignore", r"\.secrets\.baseline", r"\.jscpd\.json",
        r"\.rubocop\.yml", r"phpunit\.xml.*", r"phpstan\.neon.*", r"\.python-version", r"\.nvmrc", r"\.node-version",
        r"\.tool-versions", r"\.?mise\.toml", r"rust-toolchain(?:\.toml)?",
    ),
    BUILD: (
        r"setup\.py", r"build\.rs", r"hatch_build\.py", r"binding\.gyp", r"\.npmrc", r"\.yarnrc.*", r"pip\.conf",
        r"\.pnpmfile\.cjs",
    ),
    DEPENDENCIES: (
        r"(?:.*-)?requirements(?:-.*)?\.(?:txt|in)", r"constraints.*\.txt", r"Pipfile",
        r"(?:poetry|uv|pdm|Cargo|Pipfile|bun)\.lock",
        r"package-lock\.json", r"npm-shrinkwrap\.json", r"yarn\.lock", r"pnpm-lock\.yaml", r"bun\.lockb",
        r"go\.(?:mod|sum|work)", r"Gemfile(?:\.lock)?", r"composer\.(?:json|lock)", r"environment\.ya?ml",
    ),
}  # fmt: skip
"""Names of files, in any folder."""


def _pattern(kind: str) -> re.Pattern[str]:
    folders = (f"(?:{one}).*" for one in _FOLDERS.get(kind, ()))
    names = (rf"(?:.*/)?(?:{one})" for one in _NAMES[kind])
    return re.compile("|".join([*folders, *names]), re.DOTALL)


_PATTERNS = {kind: _pattern(kind) for kind in _NAMES}

_TOOL_MODULES = frozenset(
    {"pytest", "_pytest", "pluggy", "xdist", "coverage", "hypothesis", "nose", "mypy", "ruff", "flake8", "pylint"}
    | {"pyflakes", "black", "bandit", "tox", "nox", "unittest2", "pyright", "complexipy", "importlinter", "setuptools"}
    | {"pip", "wheel"}
)  # fmt: skip
_ORDINARY = frozenset({"test", "code", "site", "this", "antigravity", "idlelib", "lib2to3", "turtledemo"})
"""Modules of the standard library that no tool needs, and whose names are those of ordinary folders."""

_IMPORTED_FIRST = re.compile(r"(?:src/|tests?/)?(?P<module>\w+)(?:\.py|/__init__\.py)")


def kind_of(path: str) -> str | None:
    """The class of privileged files that a path belongs to; None for an ordinary file."""
    for kind, pattern in _PATTERNS.items():
        if pattern.fullmatch(path):
            return kind
    return None


def shadowed_module(path: str) -> str | None:
    """The module of a tool or of the standard library that a file would take the place of, where Python looks first."""
    match = _IMPORTED_FIRST.fullmatch(path)
    if match is None:
        return None
    name = match["module"]
    known = name in _TOOL_MODULES or (name in sys.stdlib_module_names and name not in _ORDINARY)
    return name if known else None


def programs(commands: Iterable[str]) -> frozenset[str]:
    """Paths that the commands of checks name: programs and scripts of the repository itself."""
    words = (word for command in commands for word in re.split(r"[\s;&|()<>'\"=]+", command))
    return frozenset(word.removeprefix("./") for word in words if "." in word or "/" in word)


def make_targets(commands: Iterable[str]) -> frozenset[str]:
    """Targets of `make` and `just` that the commands of checks call; an empty name is the default target."""
    found: set[str] = set()
    for command in commands:
        for match in re.finditer(r"(?:^|[;&|(]\s*|\s)(?:g?make|just)\b(?P<rest>[^;&|)\n]*)", command):
            words = [word for word in match["rest"].split() if not word.startswith("-") and "=" not in word]
            found.update(words or [""])
    return frozenset(found)
