"""Which tracker a command finds, and what it needs for that."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def run_git(folder: Path, *words: str | Path) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def ids(cli: Cli, folder: Path, env: dict[str, str | None] | None = None) -> list[str]:
    return [issue["id"] for issue in cli("issue", "list", "--json", cwd=folder, env=env).data]


def test_a_subfolder_and_a_symlink_find_the_same_tracker(cli: Cli, tmp_path: Path) -> None:
    identity = cli.new("one")
    deep = cli.folder / "a" / "b"
    deep.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(deep)
    assert ids(cli, deep) == ids(cli, link) == [identity]


@pytest.mark.parametrize("name", ["project", "elsewhere"])
def test_a_linked_worktree_finds_the_same_tracker(cli: Cli, tmp_path: Path, name: str) -> None:
    identity = cli.new("one")
    linked = tmp_path / "linked" / name
    run_git(cli.folder, "worktree", "add", "-b", "side", linked)
    assert ids(cli, linked) == [identity]
    other = cli.new("two", cwd=linked)
    assert ids(cli, cli.folder) == [identity, other]


def test_a_bare_repository_and_its_worktrees_have_one_tracker(cli: Cli, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    run_git(tmp_path, "clone", "--bare", cli.folder, bare)
    linked = tmp_path / "linked"
    run_git(bare, "worktree", "add", "-b", "side", linked)
    identity = cli.new("one", cwd=bare)
    assert ids(cli, bare) == ids(cli, linked) == [identity]
    assert ids(cli, cli.folder) == []


def test_a_submodule_has_a_tracker_of_its_own(cli: Cli, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    run_git(tmp_path, "init", outer)
    run_git(outer, "-c", "protocol.file.allow=always", "submodule", "add", cli.folder, "inner")
    identity = cli.new("one", cwd=outer / "inner")
    assert ids(cli, outer) == []
    assert ids(cli, outer / "inner") == [identity]


def test_two_repositories_of_one_name_have_two_trackers(cli: Cli, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "project"
    run_git(tmp_path, "init", twin)
    cli.new("one")
    assert ids(cli, twin) == []


def test_a_variable_names_the_repository(cli: Cli, tmp_path: Path) -> None:
    identity = cli.new("one")
    assert ids(cli, tmp_path, env={"TAPEOUT_REPOSITORY": str(cli.folder)}) == [identity]


def test_odd_folder_names_are_no_problem(cli: Cli, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 'x' $(y)\n\xf0\x9f\x98\x80")
    run_git(tmp_path, "init", odd)
    identity = cli.new("one", cwd=odd)
    assert ids(cli, odd) == [identity]


def test_tracker_commands_need_no_git_program(cli: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {"PATH": str(empty)}
    identity = cli.new("one", env=env)
    cli.new("two", env=env)
    for words in (
        ["issue", "show", identity], ["issue", "edit", identity, "--title", "x"], ["issue", "comment", identity, "x"],
        ["claim", identity], ["release", identity], ["issue", "close", identity], ["issue", "reopen", identity],
        ["ready"], ["logs"], ["doctor"], ["doctor", "--rebuild"], ["completion", "bash"],
    ):  # fmt: skip
        assert cli(*words, env=env).code == 0, words


def test_nothing_is_written_into_the_repository(cli: Cli) -> None:
    before = sorted(path for path in cli.folder.rglob("*"))
    identity = cli.new("one")
    cli("claim", identity)
    cli("doctor")
    assert sorted(path for path in cli.folder.rglob("*")) == before
