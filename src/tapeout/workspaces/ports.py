"""A block of ports for each attempt, so that two agents' servers do not meet.

A lease is a lock on a file, which the kernel releases when the last process that holds it is gone: a killed
worker gives its ports back. Locks are per user and machine, across repositories. What may go wrong: a
program that knows nothing of this takes a port later; then the agent's server says so, and the agent can
use another port of its block.
"""

import contextlib
import errno
import fcntl
import os
import random
import socket
from types import TracebackType
from typing import Self

from tapeout.base.errors import EnvironmentProblem

COUNT = 10
"""Ports in a block."""

FIRST, LAST = 20_000, 29_999

_NOTE = "ports"


class PortLease:
    """A block of `COUNT` ports, from `base` on, until `close`."""

    def __init__(self, base: int, descriptor: int) -> None:
        self.base = base
        self.count = COUNT
        self._descriptor = descriptor

    def close(self) -> None:
        """Give the ports back; fine to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lease(home: str) -> PortLease:
    """Lease a block that no other lease of this user holds, and on which nothing listens now.

    `home` is `tapeout_home()`: shared by all repositories of the user.

    Raises:
        EnvironmentProblem: all blocks are taken.
    """
    folder = os.path.join(home, "ports")
    os.makedirs(folder, exist_ok=True)
    bases = list(range(FIRST, LAST + 1, COUNT))
    random.shuffle(bases)  # neighbours in time should not reuse a block whose connections still linger
    for base in bases:
        descriptor = _try_lock(os.path.join(folder, str(base)))
        if descriptor is None:
            continue
        if all(_is_free(port) for port in range(base, base + COUNT)):
            return PortLease(base, descriptor)
        os.close(descriptor)
    raise EnvironmentProblem(
        f"no block of {COUNT} free ports between {FIRST} and {LAST}", hint="end some attempts or servers"
    )


def note_ports(root: str, held: PortLease) -> None:
    """Note in a workspace's folder which block its attempt has, for whoever clears up after it."""
    with open(os.path.join(root, _NOTE), "w", encoding="ascii") as file:
        file.write(str(held.base))


def lease_again(home: str, root: str) -> PortLease:
    """The block that the attempt of a workspace had, whatever listens there; another one if that is not known, or if
    somebody else has it by now.

    Raises:
        EnvironmentProblem: all blocks are taken.
    """
    base = _noted(root)
    if base in range(FIRST, LAST + 1, COUNT):
        folder = os.path.join(home, "ports")
        os.makedirs(folder, exist_ok=True)
        descriptor = _try_lock(os.path.join(folder, str(base)))
        if descriptor is not None:
            return PortLease(base, descriptor)
    return lease(home)


def _noted(root: str) -> int:
    try:
        with open(os.path.join(root, _NOTE), encoding="ascii") as file:
            return int(file.read(8))
    except (OSError, ValueError):
        return 0


def _try_lock(path: str) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    os.close(descriptor)
    return None


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):  # noqa: S104
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False  # any other error: this machine has no such address family
    return True
