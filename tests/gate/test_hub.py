"""Adopting what people commit: they own their branch."""

from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import Repository, StatePaths, find_repository
from tapeout.gate import Adoption, adopt, hub_branch, prepare_hub
from tests.gate.site import CONFIG, Site, commit_files, git, make_repository

FILES = {"tapeout.toml": CONFIG, "a.txt": "a\n"}


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(str(tmp_path / "state"))


def hub_main(paths: StatePaths, branch: str = "main") -> str | None:
    return resolve(open_bare(paths.hub), f"refs/heads/{branch}")


def test_a_new_hub_takes_the_users_branch_and_tags(tmp_path: Path, paths: StatePaths) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    git(repository.root, "tag", "v1")
    commit = git(repository.root, "rev-parse", "HEAD")
    assert prepare_hub(paths, repository, "main") == commit == hub_main(paths)
    assert resolve(open_bare(paths.hub), "refs/tags/v1") == commit
    assert hub_branch(open_bare(paths.hub)) == "main"
    assert git(paths.hub, "fsck") == ""


def test_another_target_branch(tmp_path: Path, paths: StatePaths) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    git(repository.root, "branch", "team/trunk")
    prepare_hub(paths, repository, "team/trunk")
    assert hub_branch(open_bare(paths.hub)) == "team/trunk"
    assert hub_main(paths) is None


def test_commits_of_the_user_are_adopted(site: Site) -> None:
    commit = commit_files(site.root, {"mine.txt": "x"})
    assert adopt(site.paths, site.repository, "main") == Adoption(commit, adopted=commit)
    assert adopt(site.paths, site.repository, "main") == Adoption(commit)


def test_a_user_who_is_behind_is_left_alone(site: Site) -> None:
    (site.root / "README.md").write_text("dirty")
    site.submit({"a.txt": "x"})
    site.run()
    assert adopt(site.paths, site.repository, "main") == Adoption(site.main)
    assert site.main != site.main_at_start


def test_a_user_who_diverged_is_left_alone_and_told_once_a_run(site: Site) -> None:
    (site.root / "README.md").write_text("dirty")
    site.submit({"a.txt": "x"})
    site.run()
    before = site.main
    commit_files(site.root, {"mine.txt": "x"})
    found = adopt(site.paths, site.repository, "main")
    assert found.main == before
    assert found.diverged is not None
    assert "diverged" in found.diverged
    changes = [site.submit({"b.txt": "x"}), site.submit({"c.txt": "x"})]
    site.run()
    assert [site.state(change) for change in changes] == ["landed", "landed"]
    assert site.kinds().count("diverged") == 1


def test_the_state_of_the_work_tree_does_not_matter(tmp_path: Path, paths: StatePaths) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    commit = git(repository.root, "rev-parse", "HEAD")
    git(repository.root, "checkout", "-q", "--detach")
    (tmp_path / "user" / "a.txt").write_text("dirty")
    assert prepare_hub(paths, repository, "main") == commit


@pytest.mark.parametrize("kind", ["bare", "linked", "submodule"])
def test_other_shapes_of_repositories(tmp_path: Path, paths: StatePaths, kind: str) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    commit = git(repository.root, "rev-parse", "HEAD")
    where = tmp_path / "other"
    if kind == "bare":
        git(tmp_path, "clone", "-q", "--bare", repository.root, str(where))
    elif kind == "linked":
        git(repository.root, "worktree", "add", "-q", str(where))
    else:
        make_repository(tmp_path / "super", {"x": "x"})
        git(tmp_path / "super", "-c", "protocol.file.allow=always", "submodule", "add", "-q", repository.root, "sub")
        where = tmp_path / "super" / "sub"
    assert prepare_hub(paths, find_repository(str(where)), "main") == commit


def test_an_empty_repository_gets_a_hint(tmp_path: Path, paths: StatePaths) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "user")
    with pytest.raises(EnvironmentProblem, match="no commit yet") as raised:
        prepare_hub(paths, Repository(str(tmp_path / "user"), str(tmp_path / "user/.git")), "main")
    assert raised.value.hint


def test_a_missing_branch_names_those_that_exist(tmp_path: Path, paths: StatePaths) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    git(repository.root, "branch", "-m", "trunk")
    with pytest.raises(EnvironmentProblem, match="no branch main") as raised:
        prepare_hub(paths, repository, "main")
    assert "trunk" in (raised.value.hint or "")


def test_a_shallow_clone_is_refused_with_the_remedy(tmp_path: Path, paths: StatePaths) -> None:
    repository = make_repository(tmp_path / "user", FILES)
    commit_files(tmp_path / "user", {"b.txt": "b"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository.root}", "shallow")
    with pytest.raises(EnvironmentProblem, match="shallow") as raised:
        prepare_hub(paths, Repository(str(tmp_path / "shallow"), str(tmp_path / "shallow/.git")), "main")
    assert "unshallow" in (raised.value.hint or "")


def test_no_repository_at_all(tmp_path: Path, paths: StatePaths) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot open"):
        prepare_hub(paths, Repository(str(tmp_path), str(tmp_path / ".git")), "main")
