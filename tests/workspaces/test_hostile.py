"""A workspace is hostile input: nothing in it runs when we pull, and nothing outside it gets in."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from tapeout.base.git import open_bare, signature
from tapeout.base.paths import StatePaths
from tapeout.workspaces import Workspace, create, pull, remove
from tapeout.workspaces.trees import parse_tree

from .conftest import CLEAN, commit_all, git


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What the traps create when they fire."""
    return tmp_path / "canary"


@pytest.fixture
def trap(tmp_path: Path, canary: Path) -> Path:
    """A program that an agent may plant."""
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\necho fired >> {canary}\ncat\n")
    script.chmod(0o755)
    return script


def _filter(code: Path, trap: Path) -> None:
    git(code, "config", "filter.evil.clean", str(trap))
    (code / ".gitattributes").write_text("* filter=evil\n")


def _monitor(code: Path, trap: Path) -> None:
    git(code, "config", "core.fsmonitor", str(trap))


def _hooks(code: Path, trap: Path) -> None:
    for name in ("pre-commit", "post-commit", "post-index-change", "reference-transaction"):
        (code / ".git" / "hooks" / name).write_text(trap.read_text())
        (code / ".git" / "hooks" / name).chmod(0o755)


def _hooks_path(code: Path, trap: Path) -> None:
    hooks = code / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text(trap.read_text())
    (hooks / "pre-commit").chmod(0o755)
    git(code, "config", "core.hooksPath", str(hooks))


def _included(code: Path, trap: Path) -> None:
    (code / "more.cfg").write_text(f"[core]\n\tfsmonitor = {trap}\n")
    git(code, "config", "include.path", "../more.cfg")


@pytest.mark.parametrize("plant", [_filter, _monitor, _hooks, _hooks_path, _included])
def test_no_program_of_the_workspace_runs(
    paths: StatePaths, code: Path, workspace: Workspace, trap: Path, canary: Path, plant: Callable[[Path, Path], None]
) -> None:
    (code / "committed").write_text("x")
    commit_all(code, "x")
    plant(code, trap)
    (code / "new").write_text("x")
    canary.unlink(missing_ok=True)
    assert "new" in pull(workspace).paths
    remove(paths, "a1")
    assert not canary.exists()


@pytest.mark.parametrize("plant", [_filter, _monitor, _hooks, _hooks_path, _included])
def test_the_traps_would_fire_with_plain_git(
    code: Path, trap: Path, canary: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(code, trap)
    (code / "new").write_text("x")
    canary.unlink(missing_ok=True)
    git(code, "add", "-A", check=False)
    git(code, "commit", "-q", "-m", "x", check=False)
    assert canary.exists()


def test_other_work_tree_is_not_taken(code: Path, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret").write_text("s")
    git(code, "config", "core.worktree", str(tmp_path / "private"))
    (code / "new").write_text("x")
    assert pull(workspace).paths == ("new",)
    assert "secret" in git(code, "--git-dir=.git", "status", "--porcelain"), "plain git would take it"


def test_links_are_kept_as_links(paths: StatePaths, code: Path, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (code / "README").unlink()
    (code / "README").symlink_to(tmp_path / "secret")
    (code / "src" / "app.py").unlink()
    (code / "src" / "deep" / "er" / "data.txt").unlink()
    for folder in ("src/deep/er", "src/deep", "src"):
        (code / folder).rmdir()
    (code / "src").symlink_to(tmp_path)
    (code / ".gitignore").unlink()
    (code / ".gitignore").symlink_to(tmp_path / "secret")
    pulled = pull(workspace)
    tree = git(paths.hub, "ls-tree", "-r", pulled.commit)
    assert [line.split("\t")[1] for line in tree.splitlines() if line.startswith("120000")] == [
        ".gitignore",
        "README",
        "link",
        "src",
    ]
    assert git(paths.hub, "cat-file", "-p", f"{pulled.commit}:README") == str(tmp_path / "secret")


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", "README", "src/.gitignore"])
def test_named_pipes_do_not_make_us_wait(code: Path, workspace: Workspace, name: str) -> None:
    (code / name).unlink(missing_ok=True)
    os.mkfifo(code / name)
    (code / "new").write_text("a\r\n")
    assert "new" in pull(workspace).paths


@pytest.mark.parametrize(
    "name", ["HEAD", "config", "packed-refs", "index", "logs/HEAD", "refs/heads/x", "info/exclude", "commondir"]
)
def test_named_pipes_in_the_repository_do_not_either(code: Path, workspace: Workspace, name: str) -> None:
    (code / "new").write_text("x")
    path = code / ".git" / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    assert pull(workspace).paths == ("new",)


def _hostile_tree(code: Path, line: str) -> None:
    """Commit a tree that git itself would refuse to make."""
    blob = git(code, "hash-object", "-w", "README")
    mode, name = line.split(" ", 1)
    data = f"{mode} {name}\0".encode() + bytes.fromhex(blob)
    tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        cwd=code,
        env=CLEAN,
        input=data,
        capture_output=True,
        check=True,
    ).stdout.decode()
    commit = git(code, "commit-tree", tree.strip(), "-p", "HEAD", "-m", "evil")
    git(code, "update-ref", "HEAD", commit)


@pytest.mark.parametrize("line", ["100644 .git", "100644 .GIT", "100644 ../up", "100644 ..", "100777 x", "160001 x"])
def test_trees_that_would_write_elsewhere_stay_out(
    paths: StatePaths, code: Path, workspace: Workspace, base: str, line: str
) -> None:
    _hostile_tree(code, line)
    (code / "new").write_text("x")
    evil = git(code, "rev-parse", "HEAD")
    pulled = pull(workspace)
    assert pulled.paths == ("new",)
    assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == base
    assert evil not in open_bare(paths.hub)


def test_objects_that_do_not_match_their_hash_stay_out(
    paths: StatePaths, code: Path, workspace: Workspace, base: str
) -> None:
    (code / "new").write_text("good")
    commit_all(code, "x")
    good, evil = git(code, "rev-parse", "HEAD:new"), git(code, "hash-object", "-w", "README")
    objects = code / ".git" / "objects"
    target = objects / good[:2] / good[2:]
    content = (objects / evil[:2] / evil[2:]).read_bytes() if (objects / evil[:2]).exists() else b"garbage"
    target.unlink()
    target.write_bytes(content)
    pulled = pull(workspace)
    assert git(paths.hub, "show", f"{pulled.commit}:new") == "good"
    assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == base
    assert "missing" not in git(paths.hub, "fsck", "--strict")


def test_forged_index_copy_cannot_make_a_broken_commit(paths: StatePaths, code: Path, workspace: Workspace) -> None:
    (code / "README").write_text("changed")
    git(code, "add", "README")
    git(code, "gc", "-q", check=False)
    (code / ".git" / "index").rename(Path(workspace.root) / "index")
    pulled = pull(workspace)
    assert pulled.paths == ("README",)
    git(paths.hub, "rev-list", "--objects", "--quiet", pulled.commit)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"base": "../../x"}', b"\xff", b'{"base": 1}', b"[]"])
def test_forged_note_of_the_base(paths: StatePaths, code: Path, workspace: Workspace, content: bytes) -> None:
    (code / "new").write_text("x")
    Path(workspace.root, "workspace.json").write_bytes(content)
    remove(paths, "a1")
    assert "new" in git(paths.hub, "ls-tree", "--name-only", workspace.ref)


def _literal_commit(code: Path, text: str) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-w", "-t", "commit", "--literally", "--stdin"],
        cwd=code,
        env=CLEAN,
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_commit_that_cannot_be_read_does_not_wedge_the_workspace(
    paths: StatePaths, code: Path, workspace: Workspace, base: str
) -> None:
    tree = git(code, "rev-parse", "HEAD^{tree}")
    evil = _literal_commit(code, f"tree {tree}\nparent {base}\nauthor nobody\ncommitter ?\n\nevil\n")
    who = "author a <a> 1 +0000\ncommitter a <a> 1 +0000"
    head = _literal_commit(code, f"tree {tree}\nparent {evil}\n{who}\n\nchild\n")
    (code / ".git" / "HEAD").write_text(head)
    (code / "new").write_text("x")
    for _ in range(2):
        pulled = pull(workspace)
        assert pulled.paths == ("new",)
        assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == base
    remove(paths, "a1")


def test_modes_that_old_repositories_hold_are_no_change(paths: StatePaths, base: str) -> None:
    hub = open_bare(paths.hub)
    blob = bytes.fromhex(git(paths.hub, "rev-parse", f"{base}:README"))
    tree = hub.write(pygit2.enums.ObjectType.TREE, b"100664 README\0" + blob + b"100640 other\0" + blob)
    who = signature()
    old = str(hub.create_commit(None, who, who, "old", tree, []))
    workspace = create(paths, "a2", old)
    assert not pull(workspace).changed
    Path(workspace.code, "new").write_text("x")
    assert pull(workspace).paths == ("new",)


@pytest.mark.parametrize("data", [b"100644 a", b"100644 a\0short", b"x a\0" + bytes(20), b"\0"])
def test_damaged_trees_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_tree(data)


def test_tree_of_git_is_read_as_git_reads_it(paths: StatePaths, base: str) -> None:
    hub = open_bare(paths.hub)
    tree = hub[base].peel(pygit2.Commit).tree
    ours = {name.decode(): (entry.mode, entry.id.hex()) for name, entry in parse_tree(tree.read_raw()).items()}
    assert ours == {str(entry.name): (int(entry.filemode), str(entry.id)) for entry in tree}
