"""`tapeout init`: one file, always valid, with the checks that the repository has."""

import subprocess
from pathlib import Path

import pytest

from tapeout.config import Config, parse_config
from tests.floor.conftest import Workbench, bench

__all__ = ["bench"]

GO = {"go.mod": "module x\n"}


@pytest.fixture
def fresh(bench: Workbench) -> Workbench:
    """A repository without `tapeout.toml`."""
    bench.git("rm", "-q", "tapeout.toml")
    bench.git("commit", "-q", "-m", "Remove")
    return bench


def written(bench: Workbench) -> Config:
    return parse_config((bench.root / "tapeout.toml").read_text(encoding="utf-8"))


def test_it_writes_the_checks_that_it_finds_and_touches_nothing_else(fresh: Workbench) -> None:
    fresh.commit({"pyproject.toml": "[tool.ruff]\n[tool.mypy]\n[tool.pytest.ini_options]\n", **GO})

    said = fresh.data("init", "--agent", "codex")

    assert said["checks"] == ["size", "secrets", "go-build", "ruff", "go-vet", "mypy", "tests", "go-test"]
    assert fresh.git("status", "--porcelain") == "?? tapeout.toml"
    config = written(fresh)
    assert (config.project.branch, config.floor.agent) == ("main", "codex")
    assert [check.name for check in config.check] == said["checks"]


def test_a_repository_without_checks_gets_an_example_and_is_told(fresh: Workbench) -> None:
    said = fresh.run("init").stdout
    assert "without a check" in said
    assert "next:  add a check to" in said
    fresh.commit({})
    assert "at least one [[check]] is required" in fresh.run("up", code=2).stderr


def test_an_existing_file_is_kept_unless_forced(bench: Workbench) -> None:
    before = (bench.root / "tapeout.toml").read_text()
    assert "exists" in bench.run("init", code=5).stderr
    assert (bench.root / "tapeout.toml").read_text() == before
    bench.commit(GO)
    bench.run("init", "--force")
    assert [check.name for check in written(bench).check] == [
        "size", "secrets", "go-build", "go-vet", "go-test",
    ]  # fmt: skip


@pytest.mark.parametrize("branch", ["trunk", "team/next", "fix-\U0001f680", "it's"])
@pytest.mark.parametrize("linked", [False, True])
def test_the_target_branch_is_the_one_that_is_checked_out_here(
    fresh: Workbench, tmp_path: Path, branch: str, linked: bool
) -> None:
    fresh.commit(GO)
    if linked:
        fresh.git("worktree", "add", "-q", "-b", branch, str(tmp_path / "linked"))
        fresh.root = tmp_path / "linked"
    else:
        fresh.git("checkout", "-q", "-b", branch)
    fresh.run("init")
    assert written(fresh).project.branch == branch


def test_a_branch_without_a_commit_and_no_branch_at_all(fresh: Workbench, tmp_path: Path) -> None:
    fresh.commit(GO)
    fresh.git("checkout", "-q", "--detach")
    fresh.run("init")
    assert written(fresh).project.branch == "main"
    unborn = Workbench(tmp_path / "unborn", fresh.environment)
    unborn.root.mkdir()
    unborn.git("init", "-q", "-b", "first")
    (unborn.root / "go.mod").touch()
    unborn.run("init")
    assert written(unborn).project.branch == "first"


@pytest.mark.parametrize("files", [GO, {"README.md": "hi\n"}])
def test_an_agent_that_nobody_knows_is_refused_before_anything_is_written(
    fresh: Workbench, files: dict[str, str]
) -> None:
    fresh.commit({**files, "x": "1"})
    for name in ("nobody", "no body"):
        assert "agent" in fresh.run("init", "--agent", name, code=2).stderr
    assert not (fresh.root / "tapeout.toml").exists()


def test_a_bare_repository_is_refused(fresh: Workbench, tmp_path: Path) -> None:
    bare = Workbench(tmp_path / "bare.git", fresh.environment)
    subprocess.run(["git", "init", "-q", "--bare", str(bare.root)], check=True)
    before = sorted(path.name for path in bare.root.iterdir())
    assert "bare" in bare.run("init", code=7).stderr
    assert sorted(path.name for path in bare.root.iterdir()) == before


def test_what_is_red_already_is_left_out_on_request(fresh: Workbench) -> None:
    fresh.commit({
        "Makefile": "test:\n\t@echo 3 passed\nlint:\n\t@echo 'x.py:1: bad'; exit 1\ntypes:\n\t@no-such-program\n",
    })  # fmt: skip
    said = fresh.data("init", "--try")
    assert said["checks"] == ["size", "secrets", "make-test"]
    assert said["red"].keys() == {"make-lint", "make-types"}
    text = (fresh.root / "tapeout.toml").read_text()
    assert "# Red on the code as it is: " in text
    assert '# run = "make lint"' in text
    assert [check.name for check in written(fresh).check] == said["checks"]
