"""Dependencies that a change declares without locking them. Pure."""

import posixpath
import re
from collections.abc import Iterator

from tapeout.gate.builtin.change import Change, ChangedFile
from tapeout.gate.reports.model import Diagnostic

_LOCKS = {
    "pyproject.toml": ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"),
    "Pipfile": ("Pipfile.lock",),
    "package.json": (
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
    ),
    "Cargo.toml": ("Cargo.lock",),
    "go.mod": ("go.sum",),
    "Gemfile": ("Gemfile.lock",),
    "composer.json": ("composer.lock",),
}
"""A manifest, and the files beside it or above it that lock what it declares."""


def unlocked(change: Change) -> Iterator[Diagnostic]:
    """Manifests that declare another dependency, while the lock file that there is stays as it was."""
    declaring = [file for file in change.files if posixpath.basename(file.path) in _LOCKS and _declares(file)]
    if not declaring:
        return
    touched, paths = {file.path for file in change.files}, {path for path, _ in change.others()}
    for file in declaring:
        there = [lock for lock in _locks(file.path) if lock in paths]
        if there and not touched & set(there):
            message = f"declares another dependency, but {there[0]} stays as it was: lock it in the same change"
            yield Diagnostic("unlocked-dependency", "error", file.path, file.added[0][0], 0, message)


def _declares(file: ChangedFile) -> bool:
    """Whether an added line looks like a name with a version: other settings live in the same files."""
    return any(_is_requirement(text) for _, text in file.added)


_REQUIREMENTS = re.compile(
    r"""\s*(?:
        ["'][\w.\[\],-]+\s*[<>=~!^].*["'],?                 # "name>=1", in a list
      | (?!version|requires)[\w.-]+\s*=\s*(?:\{.*\bversion\s*=.*|["'][\^~<>=]*v?\d.*["'])   # name = "^1.2"
      | "(?!version)[@\w./-]+"\s*:\s*"[\^~<>=]*v?\d.*",?     # "name": "^1.2"
      | (?:require\s+)?[\w.-]+(?:/[\w.-]+)+\s+v\d\S*.*        # path/of/module v1.2.3
    )\s*""",
    re.VERBOSE,
)


def _is_requirement(line: str) -> bool:
    return _REQUIREMENTS.fullmatch(line) is not None


def _locks(path: str) -> Iterator[str]:
    """Where the lock file of a manifest may be, nearest first: of a workspace it lies at the top."""
    folder, name = posixpath.split(path)
    while True:
        yield from (posixpath.join(folder, lock) for lock in _LOCKS[name])
        if not folder:
            return
        folder = posixpath.dirname(folder)
