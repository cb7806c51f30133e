"""A real repository to work on: boltons, a library of pure Python with a quick test suite of its own."""

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support.install_agents import LIBRARY, LIBRARY_VERSION, download_library

SUITE = (sys.executable, "-m", "pytest", "-q", "-x", "tests")
"""Runs the library's own tests, in its folder."""

_GITIGNORE = "__pycache__/\n.pytest_cache/\n"

_GIT = ("git", "-c", "user.name=Maintainer", "-c", "user.email=maintainer@example.invalid")


def make_repository(folder: Path, configuration: str) -> Path:
    """A git repository at `folder` with one commit on `main`: the library and `configuration` as tapeout.toml.

    Raises:
        InstallError: the library could not be downloaded.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        with tarfile.open(download_library()) as archive:
            archive.extractall(temporary, filter="data")
        Path(temporary, f"{LIBRARY}-{LIBRARY_VERSION}").rename(folder)
    (folder / "PKG-INFO").unlink()
    (folder / ".gitignore").write_text(_GITIGNORE, encoding="utf-8")
    (folder / "tapeout.toml").write_text(configuration, encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message=Import {LIBRARY} {LIBRARY_VERSION}")
    return folder


def configuration(*, floor: str = "", agent: str = "") -> str:
    """A tapeout.toml whose one check is the library's own suite; lines for `[floor]` and `[agents.codex]`."""
    # The gate's PATH need not lead to this interpreter: its absolute path works anywhere.
    check = f'[[check]]\nname = "tests"\nkind = "test"\nrun = {json.dumps(SUITE)}\ntimeout = "5m"\n'
    tables = (("[floor]", floor), ("[agents.codex]", agent))
    return "\n".join([*(f"{name}\n{lines}\n" for name, lines in tables if lines), check])


def git(folder: Path, *arguments: str) -> str:
    """What git prints.

    Raises:
        AssertionError: git failed.
    """
    done = subprocess.run([*_GIT, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout
