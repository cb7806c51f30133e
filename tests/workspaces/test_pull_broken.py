"""Work arrives in the hub from whatever an agent made of its repository."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.paths import StatePaths
from tapeout.workspaces import Workspace, pull

from .conftest import commit_all, git, superseded


def _no_git(code: Path) -> None:
    shutil.rmtree(code / ".git")


def _git_is_a_file(code: Path) -> None:
    _no_git(code)
    (code / ".git").write_text("gitdir: /etc")


def _git_is_a_link(code: Path) -> None:
    (code / ".git").rename(code.parent / "elsewhere")
    (code / ".git").symlink_to(code.parent / "elsewhere")


def _no_head(code: Path) -> None:
    (code / ".git" / "HEAD").unlink()


def _head_is_a_pipe(code: Path) -> None:
    _no_head(code)
    os.mkfifo(code / ".git" / "HEAD")


def _garbage_head(code: Path) -> None:
    (code / ".git" / "HEAD").write_bytes(b"ref: refs/../../../../etc/passwd\n")


def _unborn(code: Path) -> None:
    git(code, "checkout", "-q", "--orphan", "nothing")


def _no_objects(code: Path) -> None:
    shutil.rmtree(code / ".git" / "objects")


def _pipe_among_objects(code: Path) -> None:
    os.mkfifo(code / ".git" / "objects" / "pack" / "pack-1.idx")


def _garbage_objects(code: Path) -> None:
    for file in (code / ".git" / "objects").rglob("*"):
        if file.is_file():
            file.unlink()  # they are links: written to in place, the hub's would change
            file.write_bytes(b"garbage")


def _borrowed_objects(code: Path) -> None:
    (code / ".git" / "objects" / "info" / "alternates").write_text("/etc\n")


BREAKS = [
    _no_git,
    _git_is_a_file,
    _git_is_a_link,
    _no_head,
    _head_is_a_pipe,
    _garbage_head,
    _unborn,
    _no_objects,
    _pipe_among_objects,
    _garbage_objects,
    _borrowed_objects,
]


class TestBrokenRepositories:
    @pytest.mark.parametrize("breaks", BREAKS)
    def test_the_work_tree_is_saved(
        self, paths: StatePaths, workspace: Workspace, code: Path, base: str, breaks: Callable[[Path], None]
    ) -> None:
        (code / "committed").write_text("1")
        commit_all(code, "one")
        (code / "new").write_text("x")
        (code / "ignored.log").write_text("x")
        breaks(code)
        pulled = pull(workspace)
        assert pulled.paths == ("committed", "new")
        assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == base
        git(paths.hub, "rev-list", "--objects", "--quiet", "--all")

    def test_continues_what_was_pulled_before(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "one").write_text("1")
        before = pull(workspace).commit
        (code / "two").write_text("2")
        _no_git(code)
        pulled = pull(workspace)
        assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == before
        assert pulled.paths == ("one", "two")

    def test_replaced_by_an_unrelated_history(
        self, paths: StatePaths, workspace: Workspace, code: Path, base: str
    ) -> None:
        _no_git(code)
        git(code, "init", "-q")
        (code / "new").write_text("x")
        head = commit_all(code, "all new")
        pulled = pull(workspace)
        assert git(paths.hub, "rev-parse", f"{pulled.commit}^") == base
        assert pulled.paths == ("new",)
        assert superseded(paths) == {head}

    def test_everything_deleted(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        shutil.rmtree(code)
        with pytest.raises(NotFound, match="nothing to save"):
            pull(workspace)
        code.symlink_to("/etc")
        with pytest.raises(NotFound, match="nothing to save"):
            pull(workspace)

    def test_everything_deleted_after_a_pull(self, workspace: Workspace, code: Path) -> None:
        (code / "one").write_text("1")
        before = pull(workspace)
        shutil.rmtree(code)
        assert pull(workspace) == before
        code.mkdir()
        assert pull(workspace) == before

    def test_very_deep_folders(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        script = "import os\nfor _ in range(400):\n    os.mkdir('d')\n    os.chdir('d')\nopen('x', 'w').close()"
        subprocess.run(["python3", "-c", script], cwd=code, check=True)
        (code / "new").write_text("x")
        pulled = pull(workspace)
        assert pulled.paths == ("new",)
        assert "too deep" in git(paths.hub, "log", "-1", "--format=%B", pulled.commit)

    def test_hub_that_cannot_be_written_is_no_loss(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "new").write_text("x")
        os.rename(paths.hub, paths.hub + ".away")
        with pytest.raises(EnvironmentProblem, match="cannot open"):
            pull(workspace)
        os.rename(paths.hub + ".away", paths.hub)
        assert pull(workspace).paths == ("new",)
