"""The folders without which the programs on PATH do not work, found among what a policy hides.

Rule: a folder of PATH is readable, and so is the installation that it belongs to: the folder around `bin`, `sbin`,
`shims`, `.bin` or `Scripts`, where links in it lead, the interpreter of a virtual environment, and the `node_modules`
around a program of Node, which looks for its parts in each of them up to the outermost. Never a hidden
folder itself or one around it, nor one in which programs share the place with other things (`~/.local`); and never
files in which tools keep passwords.
"""

import os
from collections.abc import Iterable, Iterator

from tapeout.base.sandbox.policy import is_below

_PROGRAM_FOLDERS = frozenset({"bin", "sbin", "shims", ".bin", "Scripts"})

_SHARED = frozenset({".local", ".config", ".cache", "share", "lib"})
"""Folders that hold more than one installation."""

_ENTRIES = 5_000
"""Of a folder on PATH, how many entries are looked at."""

SECRET_FILES = (
    ".credentials", ".env", ".git-credentials", ".netrc", ".npmrc", ".pypirc", "credentials", "credentials.toml",
)  # fmt: skip
"""Names of files with passwords that lie beside programs, such as `~/.cargo/credentials.toml`."""


def toolchain_folders(path: str, hidden: Iterable[str]) -> tuple[str, ...]:
    """What of the hidden folders has to be readable for the programs on a PATH to work."""
    covered = [os.path.realpath(folder) for folder in hidden]
    found: set[str] = set()
    waiting = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    while waiting:
        folder = waiting.pop()
        if folder not in found and _may_be_shown(os.path.realpath(folder), covered) and os.path.isdir(folder):
            found.add(folder)
            waiting += _needed_by(folder, covered)
    return tuple(sorted(found))


def secret_files(folders: Iterable[str]) -> tuple[str, ...]:
    """The files in these folders that hold passwords."""
    paths = (os.path.join(folder, name) for folder in folders for name in SECRET_FILES)
    return tuple(path for path in paths if os.path.isfile(path))


def _may_be_shown(folder: str, covered: list[str]) -> bool:
    """Whether a folder lies in something hidden, and shows nothing that it does not mean."""
    return any(is_below(folder, hidden) for hidden in covered) and not any(
        is_below(hidden, folder) for hidden in covered
    )


def _needed_by(folder: str, covered: list[str]) -> Iterator[str]:
    around = os.path.dirname(folder)
    if os.path.basename(folder) in _PROGRAM_FOLDERS and os.path.basename(around) not in _SHARED:
        yield around
        yield from _interpreter(around)
    above, found, _ = f"{folder}/".partition("/node_modules/")
    if found:
        yield f"{above}/node_modules"
    for target in _link_targets(folder):
        if any(is_below(target, hidden) for hidden in covered):
            yield os.path.dirname(target)


def _link_targets(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _ENTRIES:
                    return
                if entry.is_symlink():
                    yield from _way(entry.path)
    except OSError:
        return


def _way(link: str) -> Iterator[str]:
    """Where a link leads, and where that leads."""
    for _ in range(10):
        if not os.path.islink(link):
            return
        link = os.path.join(os.path.dirname(link), os.readlink(link))
        yield os.path.normpath(link)


def _interpreter(environment: str) -> Iterator[str]:
    """The folder of the interpreter that a virtual environment was made with."""
    try:
        with open(os.path.join(environment, "pyvenv.cfg"), encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "home" and os.path.isabs(value.strip()):
                    yield value.strip()
    except OSError:
        return
