"""A workspace is a clone of its own, there as a whole or not at all."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tapeout.base.errors import Conflict, NotFound
from tapeout.base.git import move_ref, open_bare
from tapeout.base.paths import StatePaths
from tapeout.workspaces import create, leftovers, open_workspace, pull, remove

from .conftest import FILES, add_to_main, git


def test_is_a_clean_checkout_of_the_base(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base)
    code = Path(workspace.code)
    assert {name: (code / name).read_bytes() for name in FILES} == FILES
    assert os.access(code / "run.sh", os.X_OK)
    assert os.readlink(code / "link") == "README"
    assert git(code, "status", "--porcelain=v2", "--branch") == f"# branch.oid {base}\n# branch.head work"
    assert git(code, "fsck", "--strict") == ""
    assert os.listdir(workspace.tmp) == []
    assert open_workspace(paths, "a1") == workspace


def test_agent_can_commit_look_at_main_and_fetch_but_not_push(paths: StatePaths, base: str) -> None:
    code = create(paths, "a1", base).code
    Path(code, "new").write_text("x")
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "mine")
    assert git(code, "log", "-1", "--format=%an") == "tapeout worker"
    assert git(code, "rev-parse", "origin/main", "v1") == f"{base}\n{base}"
    newer = add_to_main(paths, base)
    move_ref(open_bare(paths.hub), "refs/heads/main", newer, base)
    git(code, "fetch", "-q")
    assert git(code, "rev-parse", "origin/main") == newer
    git(code, "push", "origin", "work:main", check=False)
    assert git(paths.hub, "rev-parse", "main") == newer
    assert "work" not in git(paths.hub, "for-each-ref")


def test_starts_from_another_attempts_work(paths: StatePaths, base: str) -> None:
    first = create(paths, "a1", base)
    Path(first.code, "new").write_text("half done")
    handed_over = pull(first).commit
    second = create(paths, "a2", base, handed_over)
    assert Path(second.code, "new").read_text() == "half done"
    assert second.base == base
    assert git(second.code, "rev-parse", "HEAD") == handed_over
    assert pull(second).commit == handed_over


def test_hub_with_a_branch_called_work(paths: StatePaths, base: str) -> None:
    hub = open_bare(paths.hub)
    move_ref(hub, "refs/heads/work", base, None)
    code = create(paths, "a1", base).code
    assert git(code, "for-each-ref", "--format=%(refname)").split() == [
        "refs/heads/work",
        "refs/remotes/origin/main",
        "refs/remotes/origin/work",
        "refs/tags/v1",
    ]


def test_destroying_the_clone_or_the_hub_hurts_nobody_else(paths: StatePaths, base: str) -> None:
    one, two = create(paths, "a1", base), create(paths, "a2", base)
    shutil.rmtree(os.path.join(one.code, ".git"))
    assert git(paths.hub, "fsck", "--strict") == ""
    shutil.rmtree(paths.hub)
    assert git(two.code, "fsck", "--strict") == ""
    assert not os.path.exists(os.path.join(two.code, ".git", "objects", "info", "alternates"))


def test_unknown_commit_and_second_workspace(paths: StatePaths, base: str) -> None:
    with pytest.raises(NotFound, match="1111"):
        create(paths, "a1", "1" * 40)
    with pytest.raises(NotFound, match="1111"):
        create(paths, "a1", base, "1" * 40)
    assert leftovers(paths) == []
    create(paths, "a1", base)
    with pytest.raises(Conflict, match="a1 has a workspace already"):
        create(paths, "a1", base)


@pytest.mark.parametrize("attempt", ["", ".", "..", "../x", "a/b", ".making-a"])
def test_ids_that_would_lead_elsewhere_are_refused(paths: StatePaths, base: str, attempt: str) -> None:
    with pytest.raises(ValueError, match="not an attempt id"):
        create(paths, attempt, base)
    with pytest.raises(ValueError, match="not an attempt id"):
        remove(paths, attempt)


def run_killed(paths: StatePaths, base: str, code: str, point: str) -> None:
    """Run code in a process that dies at a point."""
    script = (
        "import sys\nfrom tapeout.base.paths import StatePaths\nfrom tapeout.workspaces import *\n"
        "paths, base = StatePaths(sys.argv[1]), sys.argv[2]\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", script, paths.root, base],
        env={**os.environ, "TAPEOUT_CRASH_AT": point},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, "the point was not reached"


@pytest.mark.parametrize("point", ["workspace.linked", "workspace.cloned"])
def test_killed_half_way(paths: StatePaths, base: str, point: str) -> None:
    run_killed(paths, base, "create(paths, 'a1', base)", point)
    assert leftovers(paths) == ["a1"]
    with pytest.raises(NotFound):
        open_workspace(paths, "a1")
    create(paths, "a1", base)
    assert git(open_workspace(paths, "a1").code, "status", "--porcelain") == ""
    run_killed(paths, base, "create(paths, 'a2', base)", point)
    remove(paths, "a2")
    remove(paths, "a1")
    assert os.listdir(paths.workspaces) == []


def test_many_at_once(paths: StatePaths, base: str) -> None:
    script = (
        "import sys\nfrom tapeout.base.paths import StatePaths\nfrom tapeout.workspaces import *\n"
        "paths, base, name = StatePaths(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
        "w = create(paths, name, base)\nopen(w.code + '/' + name, 'w').write(name)\nprint(pull(w).commit)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, paths.root, base, f"a{number}"], stdout=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    commits = [process.communicate()[0].strip() for process in started]
    for number, commit in enumerate(commits):
        assert git(paths.hub, "show", f"{commit}:a{number}") == f"a{number}"
    assert git(paths.hub, "fsck", "--strict") == ""


def test_hub_path_with_odd_characters(tmp_path: Path, paths: StatePaths, base: str) -> None:
    odd = StatePaths(str(tmp_path / 'st"a;t#e\\ x'))
    shutil.copytree(paths.root, odd.root)
    code = create(odd, "a1", base).code
    git(code, "fetch", "-q")
    assert git(code, "config", "remote.origin.url") == odd.hub
    assert git(code, "status", "--porcelain") == ""
