"""Getting things from package registries with their ordinary clients, once, into the project's cache folder."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


class InstallError(Exception):
    """Something could not be had from a registry; the message is one line."""


class NoSuchPackage(InstallError):
    """The registry has no such package for this machine."""


_MISSING = ("No matching distribution found", "E404", "ETARGET", "notsup", "EBADPLATFORM")
"""How package managers say that."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One installation into `folder` at a time, also across processes; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str], what: str, environment: Mapping[str, str] = os.environ) -> None:
    """Run a package manager.

    Raises:
        InstallError: it failed; the message begins with `what`.
    """
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        detail = "; ".join(lines[:3]) or "no output"
        kind = NoSuchPackage if any(word in done.stderr for word in _MISSING) else InstallError
        raise kind(f"{what} failed with exit code {done.returncode}: {detail}")


def source_distribution(name: str, version: str, sha256: str, cache: Path = CACHE) -> Path:
    """The archive of a source distribution on PyPI, downloaded when it is not there yet.

    Raises:
        InstallError: the download failed, or is not the file with that digest.
    """
    folder = cache / "sdist"
    archive = folder / f"{name}-{version}.tar.gz"
    with locked(folder):
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix="downloading-") as temporary:
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
                run([*pip, "--dest", temporary, f"{name}=={version}"], f"pip download {name}=={version}")
                _check(Path(temporary, archive.name), sha256)
                Path(temporary, archive.name).rename(archive)
    _check(archive, sha256)
    return archive


def _check(archive: Path, sha256: str) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != sha256:
        raise InstallError(f"{archive.name} has the SHA-256 {digest} instead of {sha256}")
