"""A hub with a small repository in it, and an agent's hands: plain git."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tapeout.base.git import ensure_bare, import_objects, resolve, signature
from tapeout.base.paths import StatePaths
from tapeout.workspaces import Workspace, create, superseded_prefix

FILES: Mapping[str, bytes] = {
    "README": b"read me\n",
    "src/app.py": b"print('app')\n",
    "src/deep/er/data.txt": b"data\n",
    "run.sh": b"#!/bin/sh\n",
    ".gitignore": b"*.log\nbuild/\n",
}
CLEAN = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}

Git = Callable[..., str]


def git(folder: str | Path, *arguments: str, check: bool = True) -> str:
    """Run git as an agent would, in its workspace; its output."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=CLEAN, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """A state directory whose hub holds `FILES` on main."""
    source = tmp_path / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("README")
    git(source, "init", "-q", "-b", "main")
    commit_all(source, "first")
    git(source, "tag", "v1")
    state = StatePaths(str(tmp_path / "state"))
    import_objects(ensure_bare(state.hub), str(source), ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])
    return state


@pytest.fixture
def base(paths: StatePaths) -> str:
    """The commit that main is at."""
    found = resolve(ensure_bare(paths.hub), "refs/heads/main")
    assert found is not None
    return found


def commit_all(folder: str | Path, message: str) -> str:
    """Commit everything in a work tree; the commit's id."""
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=agent", "-c", "user.email=agent@x", "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def add_to_main(paths: StatePaths, base: str) -> str:
    """A commit on top of `base` with an empty tree, as if something else had landed."""
    hub = ensure_bare(paths.hub)
    who = signature()
    return str(hub.create_commit(None, who, who, "newer", hub.TreeBuilder().write(), [base]))


@pytest.fixture
def workspace(paths: StatePaths, base: str) -> Workspace:
    return create(paths, "a1", base)


@pytest.fixture
def code(workspace: Workspace) -> Path:
    return Path(workspace.code)


def superseded(paths: StatePaths) -> set[str]:
    """Commits of the first attempt that its newest one does not contain."""
    prefix = superseded_prefix("a1")
    return set(git(paths.hub, "for-each-ref", "--format=%(objectname)", prefix).split())
