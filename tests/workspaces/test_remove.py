"""Removing a workspace never loses what is in it, and always ends with nothing left."""

import os
import shutil
from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.paths import StatePaths
from tapeout.workspaces import create, leftovers, open_workspace, pull, remove

from .conftest import commit_all, git
from .test_create import run_killed


def test_saves_first(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base)
    Path(workspace.code, "one").write_text("1")
    commit_all(workspace.code, "one")
    Path(workspace.code, "two").write_text("2")
    remove(paths, "a1")
    assert os.listdir(paths.workspaces) == []
    assert {"one", "two"} <= set(git(paths.hub, "ls-tree", "--name-only", workspace.ref).split())


def test_nothing_there_is_fine(paths: StatePaths) -> None:
    remove(paths, "a1")
    assert leftovers(paths) == []
    with pytest.raises(NotFound, match="a1 has no workspace"):
        open_workspace(paths, "a1")


@pytest.mark.parametrize("point", ["pull.moved", "remove.saved", "remove.renamed"])
def test_killed_half_way(paths: StatePaths, base: str, point: str) -> None:
    workspace = create(paths, "a1", base)
    Path(workspace.code, "new").write_text("x")
    run_killed(paths, base, "remove(paths, 'a1')", point)
    assert leftovers(paths) == ["a1"]
    remove(paths, "a1")
    assert os.listdir(paths.workspaces) == []
    assert "new" in git(paths.hub, "ls-tree", "--name-only", workspace.ref)


def test_work_that_cannot_be_saved_is_not_deleted(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base)
    Path(workspace.code, "new").write_text("x")
    os.rename(paths.hub, paths.hub + ".away")
    with pytest.raises(EnvironmentProblem):
        remove(paths, "a1")
    assert Path(workspace.code, "new").exists()
    os.rename(paths.hub + ".away", paths.hub)
    remove(paths, "a1")
    assert not os.path.exists(workspace.root)


def test_folders_without_rights_and_links_out(paths: StatePaths, base: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("x")
    workspace = create(paths, "a1", base)
    locked = Path(workspace.code, "locked")
    (locked / "deeper").mkdir(parents=True)
    (locked / "deeper" / "x").write_text("x")
    Path(workspace.code, "out").symlink_to(outside)
    (locked / "deeper").chmod(0)
    locked.chmod(0o500)
    remove(paths, "a1")
    assert os.listdir(paths.workspaces) == []
    assert (outside / "kept").read_text() == "x"
    assert outside.stat().st_mode & 0o777 == 0o755


def test_destroyed_workspaces(paths: StatePaths, base: str) -> None:
    one, two, three = (create(paths, name, base) for name in ("a1", "a2", "a3"))
    shutil.rmtree(one.code)
    shutil.rmtree(two.root)
    Path(two.root).write_text("a file")
    shutil.rmtree(three.root)
    Path(three.root).symlink_to(paths.hub)
    assert leftovers(paths) == ["a1", "a2", "a3"]
    for name in leftovers(paths):
        remove(paths, name)
    assert os.listdir(paths.workspaces) == []
    assert git(paths.hub, "fsck", "--strict") == ""


def test_what_a_crashed_pull_left_is_found(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base)
    Path(workspace.code, "new").write_text("x")
    run_killed(paths, base, "pull(open_workspace(paths, 'a1'))", "pull.snapshot")
    assert ".pulling-a1" in os.listdir(paths.workspaces)
    assert leftovers(paths) == ["a1"]
    assert pull(workspace).paths == ("new",)
    remove(paths, "a1")
    assert os.listdir(paths.workspaces) == []
