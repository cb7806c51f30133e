"""What a workspace and a pull from it are; where the parts of a workspace lie."""

import json
import os
from dataclasses import dataclass

from tapeout.base.paths import StatePaths


@dataclass(frozen=True)
class Layer:
    """A checkout of a commit that many workspaces share, and nobody writes to."""

    commit: str
    tree: str
    """Its folder."""


@dataclass(frozen=True)
class Workspace:
    """An attempt's own copy of the code."""

    attempt: str
    root: str
    """Its folder; everything below belongs to the attempt."""
    hub: str
    """The bare repository that it was cloned from."""
    base: str
    """Commit of the target branch that the work builds on."""
    layer: Layer | None = None
    """The checkout that shows through where nothing was written; None if the workspace holds all its files itself."""

    @property
    def written(self) -> str:
        """What the agent wrote, as we read it, with its `.git`: the clone, or the layer over a checkout."""
        return self.code if self.layer is None else os.path.join(self.root, "upper")

    @property
    def scratch(self) -> str:
        """A folder that the kernel needs beside a layer."""
        return os.path.join(self.root, "work")

    @property
    def code(self) -> str:
        """The clone: the agent's current folder."""
        return os.path.join(self.root, "code")

    @property
    def tmp(self) -> str:
        """The attempt's private temporary folder."""
        return os.path.join(self.root, "tmp")

    @property
    def home(self) -> str:
        """The attempt's private home folder."""
        return os.path.join(self.root, "home")

    @property
    def ref(self) -> str:
        """Ref of the hub that holds the newest work pulled from here."""
        return attempt_ref(self.attempt)


@dataclass(frozen=True)
class Pulled:
    """The work of an attempt as it now is in the hub."""

    commit: str
    """Head of the work, with what was left uncommitted as a commit on top."""
    base: str
    tree: str
    changed: bool
    """Whether there is something to land: commits beyond the base, and a tree that differs from the
    base's."""
    commits: int
    """How many commits lie between the base and `commit`."""
    paths: tuple[str, ...]
    """Paths that differ from the base, sorted; a renamed file is there with both names."""


def attempt_ref(attempt: str) -> str:
    """Ref of the hub with the newest commit pulled from an attempt's workspace."""
    return f"refs/tapeout/attempts/{attempt}"


def superseded_prefix(attempt: str) -> str:
    """Refs of the hub with commits of an attempt that its newest one does not contain.

    Amended, reset or left on another branch: nothing that a worker committed is lost.
    """
    return f"refs/tapeout/superseded/{attempt}/"


def folder_of(paths: StatePaths, attempt: str) -> str:
    """Where the workspace of an attempt is, or would be.

    Raises:
        ValueError: no attempt has such an id; it would lead to another folder.
    """
    if not attempt or attempt.startswith(".") or "/" in attempt or "\0" in attempt:
        raise ValueError(f"not an attempt id: {attempt!r}")
    return os.path.join(paths.workspaces, attempt)


def drafts_of(paths: StatePaths, attempt: str) -> tuple[str, str, str]:
    """Folders of an attempt that exist only while it is made, pulled or removed; a crash leaves them."""
    folder_of(paths, attempt)
    return (
        os.path.join(paths.workspaces, f".making-{attempt}"),
        os.path.join(paths.workspaces, f".pulling-{attempt}"),
        os.path.join(paths.workspaces, f".removing-{attempt}"),
    )


def layer_of(paths: StatePaths, commit: str) -> Layer:
    """The layer of a commit, whether it exists or not."""
    return Layer(commit, os.path.join(paths.layers, commit, "tree"))


def index_copy(root: str) -> str:
    """Copy of the clone's index as it was when made: tells which files were never touched."""
    return os.path.join(root, "index")


def write_base(root: str, base: str, layer: str | None = None) -> None:
    """Note the base of a workspace, and the commit of the layer below it, beside its clone."""
    with open(os.path.join(root, "workspace.json"), "w", encoding="utf-8") as file:
        json.dump({"base": base, "layer": layer}, file)


def read_base(root: str) -> str | None:
    """The base of a workspace, or None if the note is missing or damaged."""
    return _noted(root, "base")


def read_layer(root: str) -> str | None:
    """The commit of the layer below a workspace, or None if it has none."""
    return _noted(root, "layer")


def _noted(root: str, what: str) -> str | None:
    try:
        with open(os.path.join(root, "workspace.json"), encoding="utf-8") as file:
            commit = json.load(file)[what]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return commit if isinstance(commit, str) and len(commit) == 40 else None
