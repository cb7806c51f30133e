"""Which sandbox works on this machine: each is tried once, for a version number proves nothing."""

import contextlib
import functools
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured, run_captured
from tapeout.base.sandbox import bubblewrap, landlock
from tapeout.base.sandbox.confinement import Confined, run_confined
from tapeout.base.sandbox.launch import Sandbox
from tapeout.base.sandbox.policy import Policy

_PATIENCE = 10.0
"""Seconds for an attempt that takes 10 ms; one that hangs does not work."""

_PREFIX = "tapeout-sandbox-"

_LINUX = sys.platform.startswith("linux")

_SCRIPT = 'cd "$1" && echo x >writable/made && ! cat hidden/secret && ! { echo x >outside/made; } && test -r outside'
"""Succeeds only where what is writable can be written, what is hidden cannot be read, and nothing else be written."""


@dataclass(frozen=True)
class Absence:
    """There is no sandbox here."""

    reasons: tuple[str, ...]
    """Why, for each kind that was tried."""

    @property
    def reason(self) -> str:
        """In one line."""
        return "; ".join(self.reasons)


@functools.cache
def detect() -> Sandbox | Absence:
    """The best sandbox that works here. It is tried once in the life of a process (10 ms)."""
    if not _LINUX:
        return Absence((f"sandboxes are only implemented for Linux, not for {sys.platform}",))
    reasons = []
    for found in available():
        if isinstance(found, Sandbox):
            return found
        reasons.append(found)
    return Absence(tuple(reasons))


def available() -> Iterator[Sandbox | str]:
    """Each kind of sandbox, best first: itself if it works, else why it does not."""
    programs = list(bubblewrap.programs())
    for program in programs:
        yield _tried(f"bubblewrap ({program})", functools.partial(_bubblewrap, program))
    if not programs:
        yield "bubblewrap: not installed"
    yield _tried("Landlock", _landlock)


def _tried(name: str, make: Callable[[], Sandbox]) -> Sandbox | str:
    try:
        sandbox = make()
        problem = _problem(sandbox)
    except (OSError, EnvironmentProblem, subprocess.SubprocessError) as error:
        problem = getattr(error, "message", str(error))
    return f"{name}: {problem}" if problem else sandbox


def _bubblewrap(program: str) -> Sandbox:
    done = _run([program, "--version"], "/")
    version = done.output.strip()
    if done.exit_code != 0 or not version:
        raise EnvironmentProblem(f"cannot be run: {version[-200:]}")
    return bubblewrap.Bubblewrap(program, version.splitlines()[0])


def _landlock() -> Sandbox:
    abi = landlock.abi_version()
    if abi < landlock.LEAST_ABI:
        raise EnvironmentProblem("this kernel has none" if not abi else f"this kernel's version {abi} is too old")
    return landlock.Landlock(abi)


def _problem(sandbox: Sandbox) -> str:
    """Why it does not do what it should; empty if it does."""
    _sweep()
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    try:
        paths = {name: os.path.join(folder, name) for name in ("writable", "hidden", "outside")}
        for path in paths.values():
            os.mkdir(path)
        with open(os.path.join(paths["hidden"], "secret"), "w", encoding="ascii") as file:
            file.write("x")
        policy = Policy(writable=(paths["writable"],), hidden=(paths["hidden"],))
        done = run_confined(
            Confined(sandbox, policy),
            ["/bin/sh", "-c", _SCRIPT, "sh", folder],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            timeout=_PATIENCE,
        )
        made = [os.path.exists(os.path.join(paths[name], "made")) for name in ("writable", "outside")]
        if done.exit_code == 0 and made == [True, False]:
            return ""
        return (done.output.strip().splitlines() or ["does not confine"])[-1][:200]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Delete what attempts left that were killed."""
    oldest = time.time() - 10 * _PATIENCE
    for folder in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            if os.lstat(folder).st_mtime < oldest:
                shutil.rmtree(folder)


def _run(argv: list[str], cwd: str) -> Captured:
    return run_captured(argv, cwd=cwd, env={"PATH": os.defpath}, timeout=_PATIENCE)
