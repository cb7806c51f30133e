"""Landlock: rules of the kernel that a process gives to itself and that hold for all that it starts. It needs no
namespaces, so it works in most containers, and inside another sandbox.

It is an allow-list of folders for reading and for writing. What it cannot do is in `lacks`: it knows no addresses, so
"loopback only" cannot be said; folders cannot be replaced, so /tmp is closed instead; names, modes and times of files
are not protected; other processes stay visible, but cannot be read, and since ABI 6 not be signalled.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tapeout.base.sandbox.cgroup import task_group
from tapeout.base.sandbox.launch import Launch, Sandbox, apply_limits, most_tasks, nothing_refused
from tapeout.base.sandbox.place import placed
from tapeout.base.sandbox.policy import Network, Policy, Step, is_below

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

LEAST_ABI = 2
"""With the first version no file could be moved from one folder to another (Linux 5.13 to 5.18)."""
_TRUNCATE_ABI, _TCP_ABI, _SCOPE_ABI = 3, 4, 6

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 14))
"""Remove, make anything, move between folders."""
_TRUNCATE = 1 << 14
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm")  # noqa: S108


class Landlock(Sandbox):
    """The kernel's Landlock, of one version of its interface."""

    def __init__(self, abi: int) -> None:
        self._abi = abi
        self.name = f"landlock (ABI {abi})"
        self.lacks = lacking(abi)

    @contextmanager
    def launch(self, policy: Policy, argv: Sequence[str], cwd: str) -> Iterator[Launch]:
        """As any sandbox."""
        rules = self._ruleset(policy)
        limit, restrict = apply_limits(policy.limits), _restriction(rules)

        try:
            with task_group(most_tasks(policy.limits)) as group:

                def before_exec() -> None:
                    limit()
                    if group:
                        group.enter()
                    restrict()

                yield Launch(list(argv), before_exec, refused=group.refused if group else nothing_refused)
        finally:
            os.close(rules)

    def _ruleset(self, policy: Policy) -> int:
        steps = placed(policy)
        write = _WRITE_FILE | _CHANGE_FOLDER | (_TRUNCATE if self._abi >= _TRUNCATE_ABI else 0)
        read = _READ_FILE | _READ_DIR
        rules = _create(self._abi, read | write, policy.network)
        for path in granted(steps, os.listdir):
            _allow(rules, path, read)
        for path in (*_DEVICES, *(step.target for step in steps if step.kind == "write")):
            _allow(rules, path, read | write)
        return rules


def abi_version() -> int:
    """Version of the kernel's interface; 0 where there is none."""
    try:
        return max(0, _syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))
    except OSError:
        return 0


def lacking(abi: int) -> tuple[str, ...]:
    """What this version cannot do."""
    lacks = [
        "the network is not cut off",
        "the folder for everybody's temporary files is closed, not private",
        "modes and times of files are not protected",
    ]
    if abi < _SCOPE_ABI:
        lacks.append("processes of the same user can be signalled")
    if abi < _TRUNCATE_ABI:
        lacks.append("files can be truncated")
    return tuple(lacks)


def granted(steps: Sequence[Step], entries: Callable[[str], list[str]]) -> list[str]:
    """The folders and files that may be read, so that together they are everything but what is hidden.

    A rule holds for all that is in a folder. So instead of a folder in which something is hidden, everything else in it
    is named; the folder itself cannot be listed then.
    """
    covered = [step.target for step in steps if step.kind in {"hide", "hide-file", "replace"}]
    found: list[str] = []
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        if not any(is_below(path, folder) for path in covered):
            found.append(folder)
        elif folder not in covered:
            waiting += _children(folder, entries)
    return sorted({*found, *_shown(steps, entries)})


def _shown(steps: Sequence[Step], entries: Callable[[str], list[str]]) -> Iterator[str]:
    """What is shown inside what is hidden, less what is hidden in that again."""
    covered = {step.target for step in steps if step.kind in {"hide", "hide-file", "replace"}}
    waiting = [step.target for step in steps if step.kind == "show"]
    while waiting:
        path = waiting.pop()
        if path in covered:
            continue
        if any(is_below(hidden, path) for hidden in covered):
            waiting += _children(path, entries)
        else:
            yield path


def _children(folder: str, entries: Callable[[str], list[str]]) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in entries(folder)]
    except OSError:
        return []


def _create(abi: int, handled: int, network: Network) -> int:
    # Ports can be closed, but not "all but loopback": then everything is left open, and said so.
    ports = _BIND_TCP | _CONNECT_TCP if network == "none" and abi >= _TCP_ABI else 0
    scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= _SCOPE_ABI else 0
    size = 24 if abi >= _SCOPE_ABI else 16 if abi >= _TCP_ABI else 8
    return _syscall(_CREATE_RULESET, struct.pack("QQQ", handled, ports, scopes)[:size], size, 0)


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow it for a path and all below; what is gone, or a link, is left out."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _WRITE_FILE | _READ_FILE | _TRUNCATE
        if not os.path.islink(path):
            _syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


_LIBC = ctypes.CDLL(None, use_errno=True)


def _restriction(rules: int) -> Callable[[], None]:
    """What a child calls to be held by the rules."""
    prctl, syscall = _LIBC.prctl, _LIBC.syscall  # nothing may be looked up between fork and exec

    def restrict() -> None:
        if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or syscall(_RESTRICT_SELF, rules, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refused")

    return restrict


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *given))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
