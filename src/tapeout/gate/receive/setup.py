"""The hub's git settings and hooks. Its hooks are its own, written by us: git settings of whoever pushes do not replace
them, and nothing of a workspace is ever put there."""

import os
import shlex
import sys

import pygit2

import tapeout
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.ids import new_id

HOOKS = ("pre-receive", "proc-receive")

MAX_PUSH_BYTES = 1024 * 1024 * 1024
"""Largest push. Somebody who needs another limit sets `receive.maxInputSize` in the hub: that stays as it is."""

_SETTINGS = {
    "core.hooksPath": "hooks",  # of the hub, whatever the pusher's own settings say
    "receive.procReceiveRefs": "refs/for",
    "receive.advertisePushOptions": "true",
    "receive.denyDeletes": "true",
    "receive.denyNonFastForwards": "true",
    "receive.denyCurrentBranch": "refuse",
    "receive.shallowUpdate": "false",
    "receive.autogc": "false",  # packing is ours (base/packing.py)
    # A push comes as one pack: loose objects could get into a folder that packing finds empty and removes.
    "receive.unpackLimit": "1",
    "transfer.fsckObjects": "true",
}

_PROGRAM = "import sys; sys.path.insert(0, {!r}); from tapeout.cli.receive import main; sys.exit(main({!r}))"


def prepare_receiving(hub: str) -> None:
    """Make the hub take pushes to `refs/for/BRANCH`, and no others. Safe to repeat: what is as it should be stays.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    try:
        _configure(os.path.join(hub, "config"))
        folder = os.path.join(hub, "hooks")
        os.makedirs(folder, exist_ok=True)
        for name in HOOKS:
            _write(os.path.join(folder, name), hook_text(name))
    except (OSError, pygit2.GitError) as error:
        raise EnvironmentProblem(f"cannot prepare {hub} for pushes: {error}") from error


def hook_text(name: str) -> str:
    """The program of a hook: this Tapeout, by this Python, whatever the caller's PATH and environment are."""
    source = os.path.dirname(os.path.dirname(os.path.abspath(tapeout.__file__)))
    words = [sys.executable, "-E", "-P", "-c", _PROGRAM.format(source, name)]
    return f"#!/bin/sh\n# Written by Tapeout, again whenever it differs.\nexec {shlex.join(words)}\n"


def _configure(path: str) -> None:
    config = pygit2.Config(path)
    for name, value in _SETTINGS.items():
        if name not in config or config[name] != value:
            config[name] = value
    if "receive.maxInputSize" not in config:
        config["receive.maxInputSize"] = MAX_PUSH_BYTES


def _write(path: str, text: str) -> None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            if file.read() == text and os.access(path, os.X_OK):
                return
    except FileNotFoundError:
        pass
    draft = f"{path}.{new_id()}"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o755)
    os.replace(draft, path)
