"""The private home of a workspace: what an agent needs of the user's home, copied.

A copy, because a login that many agents write to at once gets damaged, and because an agent that edits the settings of
its program would have them in all later sessions. Whoever wants one place for all grants it as `writable`.

What may go wrong: a named folder is huge (a cache, old sessions), which is told instead of copied for each attempt; a
link in it leads elsewhere, and stays the link that it is; a file is there that may not be read.
"""

import glob
import os
import shutil
import stat
from collections.abc import Iterable, Iterator

from tapeout.base.errors import EnvironmentProblem

MOST_BYTES = 50 * 1024 * 1024
"""How much one entry may hold: logins and settings take a few kilobytes, and each attempt copies them."""


def fill_home(home: str, private: str, patterns: Iterable[str]) -> None:
    """Copy what the patterns (globs, with `~` for `home`) name below `home` to the same places below `private`.

    Raises:
        EnvironmentProblem: it is too large, or cannot be read or written.
    """
    for pattern in patterns:
        for source in sorted(glob.glob(_expanded(pattern, home))):
            place = os.path.relpath(source, home)
            if place == os.curdir or place.startswith(os.pardir):
                raise EnvironmentProblem(f"{pattern} is not in the home {home}, so no agent can get a copy of it")
            try:
                _copy(source, os.path.join(private, place))
            except OSError as error:
                raise EnvironmentProblem(
                    f"cannot give an agent a copy of {source}: {error.strerror or error}"
                ) from error


def _expanded(pattern: str, home: str) -> str:
    return os.path.join(home, pattern[2:]) if pattern.startswith("~/") else pattern


def _copy(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    left = MOST_BYTES
    # What the user names may be a link, as people who keep their settings in a repository have them; what is in it not.
    for path, relative in _files(os.path.realpath(source)):
        state = os.lstat(path)
        place = os.path.join(target, relative) if relative else target
        if stat.S_ISDIR(state.st_mode):
            os.makedirs(place, mode=0o700, exist_ok=True)
        elif stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(path), place)
        elif stat.S_ISREG(state.st_mode):
            left -= state.st_size
            if left < 0:
                raise EnvironmentProblem(
                    f"{source} holds more than {MOST_BYTES // 1024**2} MB, which every attempt would copy",
                    hint="name the files that an agent needs, or grant it as sandbox.readable or sandbox.writable",
                )
            shutil.copy2(path, place)


def _files(root: str) -> Iterator[tuple[str, str]]:
    """A file, or a folder and all below it, outer ones first, each with its place below the root."""
    yield root, ""
    if not os.path.isdir(root):
        return
    for folder, folders, names in os.walk(root):
        for name in sorted([*folders, *names]):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root)
