"""How a program is started in a sandbox: what adapters have in common."""

import resource
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tapeout.base.sandbox.policy import Limits, Policy

RLIMITS = {"file_size": resource.RLIMIT_FSIZE, "open_files": resource.RLIMIT_NOFILE}
"""Limits that the kernel sets for each process and that any program may lower for itself."""


def _nothing_wrong(_exit_code: int | None, _output: str) -> str:
    return ""


def nothing_refused() -> str:
    """For a sandbox that does not know what the kernel refused."""
    return ""


@dataclass(frozen=True)
class Launch:
    """A program as it has to be started, with `base.processes`."""

    argv: list[str]
    before_exec: Callable[[], None]
    """To call in the child between fork and exec."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that the child inherits."""
    contained: bool = False
    """Whether killing the started process kills everything in the sandbox at once."""
    problem: Callable[[int | None, str], str] = _nothing_wrong
    """Given exit code and output: why the sandbox could not be set up, so that the program never ran; else empty."""
    refused: Callable[[], str] = nothing_refused
    """Which limit the kernel held the program to, as what happened to the run, as far as that can be known; else empty.
    To be asked before the launch is given back."""


class Sandbox(ABC):
    """One way to confine programs."""

    name: str
    """What people call it, with its version."""
    lacks: tuple[str, ...] = ()
    """What a policy may ask for and this cannot do, in plain words."""
    isolates_network: bool = False
    """Whether it can give programs a network of their own."""
    overlays: bool = False
    """Whether it can put one folder over another (`Policy.overlays`)."""
    replaces_folders: bool = False
    """Whether it can put one folder in the place of another."""

    @abstractmethod
    def launch(self, policy: Policy, argv: Sequence[str], cwd: str) -> AbstractContextManager[Launch]:
        """How to start a program in a folder under a policy; what it needs is given back after the block."""

    @property
    def description(self) -> str:
        """Name and what it lacks, in one line."""
        return f"{self.name} (without: {'; '.join(self.lacks)})" if self.lacks else self.name


def apply_limits(limits: Limits) -> Callable[[], None]:
    """What a child calls to limit itself, never beyond what its parent may. Memory and the number of processes are of
    a whole tree: whoever started it watches them."""
    wanted = [(RLIMITS[name], value) for name in RLIMITS if (value := getattr(limits, name)) is not None]
    wanted.append((resource.RLIMIT_CORE, 0))
    setting = [(what, _within(value, resource.getrlimit(what)[1])) for what, value in wanted]

    def apply() -> None:
        for what, value in setting:
            resource.setrlimit(what, (value, value))

    return apply


def most_tasks(limits: Limits) -> int | None:
    """The kernel's limit counts threads too, so it is only the second line: whoever started the program counts its
    processes."""
    return None if limits.processes is None else 4 * limits.processes


def _within(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
