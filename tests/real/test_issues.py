"""The issues do what they promise, without any agent: so a failure elsewhere is not theirs."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.real.issues import ISSUES, IssueDraft, Step, issue_file
from tests.real.library import SUITE, configuration, git, make_repository
from tests.support.model_script import find_script

pytestmark = pytest.mark.real_agent


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with each issue's finished work on a branch of its own."""
    folder = make_repository(tmp_path_factory.mktemp("issues") / "boltons", configuration())
    git(folder, "config", "user.name", "Maintainer")
    git(folder, "config", "user.email", "maintainer@example.invalid")
    for draft in ISSUES:
        git(folder, "checkout", "--quiet", "-b", branch(draft), "main")
        for turn in draft.turns:
            play(folder, turn)
        assert git(folder, "status", "--porcelain") == ""
    return folder


def branch(draft: IssueDraft) -> str:
    """Name of the branch with an issue's work."""
    return f"issue-{ISSUES.index(draft)}"


def play(folder: Path, turn: Sequence[Step]) -> None:
    """Run a turn's commands as an agent's shell tool would."""
    for step in turn:
        if "run" in step:
            done = subprocess.run(
                ["bash", "-c", str(step["run"])], cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{step['run']}\n{done.stdout}{done.stderr}"


def suite(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the library's own tests."""
    return subprocess.run(SUITE, cwd=folder, capture_output=True, text=True, check=False)


def merge_all(folder: Path, drafts: list[IssueDraft]) -> str:
    """Merge the issues' work in this order; the tree that results."""
    git(folder, "checkout", "--quiet", "--detach", "main")
    for draft in drafts:
        git(folder, "merge", "--quiet", "--no-edit", branch(draft))
    return git(folder, "rev-parse", "HEAD^{tree}")


def test_all_issues_merge_in_any_order_to_one_green_tree(repository: Path) -> None:
    forwards = merge_all(repository, list(ISSUES))
    backwards = merge_all(repository, list(reversed(ISSUES)))
    shuffled = merge_all(repository, [ISSUES[i] for i in (3, 0, 6, 2, 5, 1, 7, 4)])
    assert forwards == backwards == shuffled
    done = suite(repository)
    assert done.returncode == 0, done.stdout


def test_each_issue_keeps_to_its_scope(repository: Path) -> None:
    for draft in ISSUES:
        changed = git(repository, "diff", "--name-only", f"main...{branch(draft)}").split()
        assert sorted(changed) == sorted(draft.scope)


def test_the_first_turn_of_one_issue_fails_its_own_tests(repository: Path) -> None:
    (draft,) = [draft for draft in ISSUES if len(draft.turns) > 1]
    git(repository, "checkout", "--quiet", "--detach", "main")
    play(repository, draft.turns[0])
    done = subprocess.run([*SUITE[:-1], draft.scope[1]], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "test_removesuffix" in done.stdout


def test_the_issue_file_holds_every_script() -> None:
    sections = issue_file(ISSUES).split("\n---\ntitle: ")
    scripts = [find_script(section) for section in sections]
    assert [len(script or ()) for script in scripts] == [len(draft.turns) for draft in ISSUES]
