"""What a check may do: the sandbox's policy for one command of the gate.

A check writes to the checkout, to a home and to a folder for temporary files that are the run's own; what it writes to
/tmp is the run's own too. It sees neither the user's home nor the state directory nor what other programs keep in /run
and /tmp, only the toolchains on PATH and what `[gate] readable` names. It has no network unless it says so.
"""

import glob
import os
import shlex
from collections.abc import Callable, Mapping

from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import StatePaths, tapeout_home
from tapeout.base.sandbox import Absence, Limits, Policy, Sandbox, detect, exceeded, measure, toolchain_folders
from tapeout.base.sandbox.nothing import Nothing
from tapeout.base.sandbox.surroundings import PRIVATE, RESOLVER, TEMPORARY, homes, named_by, usual_memory, written
from tapeout.base.sandbox.toolchain import secret_files
from tapeout.base.sandbox.usage import size
from tapeout.config import CheckConfig, Config
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.hub import hub_branch
from tapeout.gate.target import load_config
from tapeout.gate.verdict import warning_of

SCRATCH = "scratch"
"""Folder of a run that is /tmp and /var/tmp for its checks."""

_LOW_DISK = 256 * 1024 * 1024
_MUCH = 1024 * 1024 * 1024
"""Bytes. When the disk has less left than the one, and the run wrote more than the other, the run is to blame."""


def sandbox_for(config: Config) -> Sandbox:
    """The sandbox that a gate run under this configuration uses.

    Raises:
        GateUnavailable: one is required, and there is none.
    """
    if config.gate.sandbox == "off":
        return Nothing()
    found = detect()
    if isinstance(found, Sandbox):
        return found
    if config.gate.sandbox == "required":
        raise GateUnavailable(
            f"there is no sandbox here, and [gate] sandbox is required: {found.reason}",
            hint="`tapeout doctor` says what this machine lacks",
        )
    return Nothing()


def sandbox_note(config: Config) -> str:
    """What evidence says of the sandbox: its name with what it lacks, or why there is none."""
    if config.gate.sandbox == "off":
        return "none: switched off by [gate] sandbox"
    found = detect()
    return f"none: {found.reason}" if isinstance(found, Absence) else found.description


def try_sandbox(config: Config) -> None:
    """Find out which sandbox works here: known from then on in this process, and in those that are forked from it."""
    if config.gate.sandbox != "off":
        detect()


def sandbox_warning(paths: StatePaths) -> str:
    """What has to be known of the sandbox that checks of the target branch get here; empty if nothing is amiss.

    Raises:
        TapeoutError: there is no hub yet, or no valid configuration.
    """
    hub = open_bare(paths.hub)
    main = resolve(hub, f"refs/heads/{hub_branch(hub)}")
    return warning_of(sandbox_note(load_config(hub, main))) if main else ""


def policy_for(check: CheckConfig, config: Config, checkout: str, *, folder: str, env: Mapping[str, str]) -> Policy:
    """What this check may do.

    Args:
        checkout: the folder in which it runs.
        folder: the run's private folder, two folders down in the state directory, which the check does not see.
        env: the check's environment.
    """
    hidden = [*homes(), tapeout_home(), os.path.dirname(os.path.dirname(folder)), *PRIVATE]
    path = os.pathsep.join([env["PATH"], *_programs_named(check)])
    tools = toolchain_folders(path, [*hidden, *TEMPORARY])
    named = [path for pattern in config.gate.readable for path in glob.glob(os.path.expanduser(pattern))]
    return Policy(
        writable=(checkout, *(os.path.join(folder, name) for name in ("home", "tmp"))),
        hidden=(*hidden, *secret_files(tools)),
        readable=(
            *tools,
            *named,
            *named_by(env, [*hidden, *TEMPORARY]),
            *borrowed(os.path.join(checkout, ".git", "objects")),
            *((os.path.realpath(RESOLVER),) if check.network else ()),
        ),
        replaced=tuple((path, os.path.join(folder, SCRATCH)) for path in TEMPORARY),
        network="all" if check.network else "loopback",
        limits=limits_for(check, config),
    )


def limits_for(check: CheckConfig, config: Config) -> Limits:
    """How much this check may use."""
    gate = config.gate
    return Limits(
        memory=check.memory or gate.memory or usual_memory(),
        processes=check.processes or gate.processes,
        file_size=check.file_size or gate.file_size,
        output=check.output or gate.output,
    )


def watch_for(limits: Limits, folder: str) -> Callable[[list[int], int], str]:
    """What to ask while a check runs: whether it uses too much, and why it has to end if it does."""

    def ask(pids: list[int], output: int) -> str:
        return exceeded(measure(pids, output, limits), limits) or _fills_disk(folder)

    return ask


def borrowed(objects: str) -> list[str]:
    """The folders of objects that a repository borrows from, and that these borrow from."""
    found: list[str] = []
    waiting = [objects]
    while waiting and len(found) < 100:
        at = waiting.pop()
        try:
            with open(os.path.join(at, "info", "alternates"), encoding="utf-8", errors="surrogateescape") as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            continue
        new = [path for path in (os.path.normpath(os.path.join(at, line)) for line in lines) if path not in found]
        found += new
        waiting += new
    return found


def _programs_named(check: CheckConfig) -> list[str]:
    """The folders of the programs that a command names by their whole path."""
    try:
        words = shlex.split(check.run) if isinstance(check.run, str) else check.argv
    except ValueError:  # only the shell understands it
        return []
    return [os.path.dirname(word) for word in words if os.path.isabs(word) and os.access(word, os.X_OK)]


def _fills_disk(folder: str) -> str:
    """Whether this run's files are why the disk has almost no room left."""
    state = os.statvfs(folder)
    if state.f_bavail * state.f_frsize >= _LOW_DISK:
        return ""
    taken = written(folder)
    return f"was killed for filling the disk: it wrote {size(taken)}" if taken > _MUCH else ""
