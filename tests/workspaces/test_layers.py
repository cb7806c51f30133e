"""Workspaces that are layers over a shared checkout: what is pulled from them is what would be pulled from a copy."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tapeout.base.git import ensure_bare, import_objects, resolve
from tapeout.base.paths import StatePaths
from tapeout.base.sandbox import Confined, Overlay, Policy, Sandbox, available, run_confined
from tapeout.workspaces import Workspace, create, layers_work, leftovers, open_workspace, pull, remove
from tests.workspaces.conftest import CLEAN, add_to_main, commit_all

SANDBOX = next((one for one in available() if isinstance(one, Sandbox) and one.overlays), None)


@pytest.fixture(autouse=True)
def _layers_here(paths: StatePaths) -> None:
    if SANDBOX is None or not layers_work(paths, SANDBOX):
        pytest.skip("nothing here puts a workspace over a checkout")


def work(workspace: Workspace, script: str) -> str:
    """Run a script in a workspace, as its agent would; what it printed."""
    layer = workspace.layer
    if layer is None:
        done = subprocess.run(
            ["sh", "-c", script], cwd=workspace.code, env=CLEAN, capture_output=True, text=True, check=False
        )
        return done.stdout
    assert SANDBOX is not None
    over = Overlay(workspace.code, layer.tree, workspace.written, workspace.scratch)
    policy = Policy(writable=(workspace.code,), hidden=(os.path.dirname(workspace.hub),), overlays=(over,))
    confinement = Confined(SANDBOX, policy)
    return run_confined(confinement, ["sh", "-c", script], cwd=workspace.code, env=CLEAN, timeout=60).output


COMMIT = "git add -A && git commit -qm work"

EDITS = {
    "nothing": "true",
    "touched": "touch README; cat src/app.py",
    "edited": "echo more >> README; echo x > src/new; rm run.sh",
    "committed": f"echo more >> README; rm -r src/deep; {COMMIT}; echo again >> README",
    "folder gone": "rm -r src",
    "folder replaced": "rm -r src; mkdir src; echo other > src/other",
    "folder moved": f"mv src code; {COMMIT}",
    "file becomes folder": "rm README; mkdir README; echo x > README/x",
    "folder becomes file": "rm -r src; echo x > src",
    "link": "rm link; ln -s run.sh link; ln -s /etc/passwd leak; chmod -x run.sh",
    "ignored": "mkdir build; echo x > build/out; echo x > a.log; echo x > kept.txt; echo x > src/b.log",
    "untracked and ignored": "git rm -q --cached src/app.py; echo src/app.py >> .gitignore; git commit -qam untrack",
    "rules changed": "echo '*.txt' > .gitignore; echo x > new.txt; echo x >> src/deep/er/data.txt",
    "reset": f"echo 1 > one; {COMMIT}; git reset -q --hard HEAD~1; echo 2 > two",
    "back to the start": f"rm -r src; {COMMIT}; git revert --no-edit HEAD >/dev/null",
    "another branch": f"git checkout -q -b other; echo 1 > one; {COMMIT}",
    "repository destroyed": "echo x > x; rm -rf .git",
    "repository replaced": "echo x > x; rm -rf .git; git init -q; git add -A; git commit -qm new",
    "named pipe": "mkfifo pipe; mkdir empty; echo x > x",
    "all gone": "rm -rf ./* .gitignore",
}


@pytest.mark.parametrize("script", EDITS.values(), ids=EDITS.keys())
def test_what_is_pulled_is_what_a_copy_would_give(paths: StatePaths, base: str, script: str) -> None:
    copy, layer = create(paths, "copy", base), create(paths, "layer", base, layered=True)
    assert copy.layer is None
    assert layer.layer is not None
    assert os.listdir(layer.code) == []
    for workspace in (copy, layer):
        work(workspace, f"git config user.name a; git config user.email a@x; {script}")
    one, two = pull(copy), pull(layer)
    assert (one.tree, one.paths, one.changed, one.commits) == (two.tree, two.paths, two.changed, two.commits)
    assert pull(layer).commit == two.commit, "the same again"
    remove(paths, "layer")
    assert leftovers(paths) == ["copy"]


@pytest.fixture
def moved(paths: StatePaths, base: str, tmp_path: Path) -> str:
    """A later commit of main, which differs from the base in every way."""
    source = tmp_path / "source"
    shutil.rmtree(source / "src/deep")
    (source / "README").write_text("read me again\n")
    (source / "run.sh").unlink()
    (source / "run.sh").mkdir()
    (source / "run.sh/in").write_text("a folder now\n")
    (source / "new/er").mkdir(parents=True)
    (source / "new/er/file").write_text("new\n")
    (source / "link").unlink()
    (source / "link").symlink_to("src")
    commit = commit_all(source, "second")
    import_objects(ensure_bare(paths.hub), str(source), ["+refs/heads/*:refs/heads/*"])
    return commit


def test_a_layer_serves_later_commits_and_the_agent_sees_no_difference(
    paths: StatePaths, base: str, moved: str
) -> None:
    first = create(paths, "a1", base, layered=True)
    second = create(paths, "a2", moved, layered=True)
    copy = create(paths, "copy", moved)
    assert first.layer == second.layer
    look = "git status --porcelain; git log --oneline | wc -l; find . -path ./.git -prune -o -print | sort; cat README"
    assert work(second, look) == work(copy, look)
    assert not pull(second).changed
    work(second, "echo x > src/deep; rm -r new; echo y >> README")
    work(copy, "echo x > src/deep; rm -r new; echo y >> README")
    assert pull(second).tree == pull(copy).tree


def test_git_reads_no_file_again_to_say_what_changed(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base, layered=True)
    assert work(workspace, "git status --porcelain") == ""
    assert work(workspace, "git ls-files --debug README").count("size: 8") == 1


def test_agents_do_not_see_each_other_and_the_layer_stays_as_it_is(paths: StatePaths, base: str) -> None:
    one, two = create(paths, "one", base, layered=True), create(paths, "two", base, layered=True)
    work(one, "echo changed > README; rm -r src; chmod 600 run.sh")
    assert work(two, "cat README; ls src") == "read me\napp.py\ndeep\n"
    assert one.layer is not None
    assert Path(one.layer.tree, "README").read_bytes() == b"read me\n"
    assert stat.S_IMODE(os.stat(os.path.join(one.layer.tree, "run.sh")).st_mode) & 0o100


def test_work_is_saved_by_whoever_finds_the_workspace_later(paths: StatePaths, base: str) -> None:
    work(create(paths, "a1", base, layered=True), "rm README; echo x > x")
    found = open_workspace(paths, "a1")
    assert found.layer is not None
    assert pull(found).paths == ("README", "x")
    remove(paths, "a1")
    hub = ensure_bare(paths.hub)
    assert resolve(hub, "refs/tapeout/attempts/a1") is not None


def test_layers_that_nobody_uses_are_deleted_when_a_new_one_is_made(
    paths: StatePaths, base: str, moved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapeout.workspaces.layers.MOST_CHANGES", 0)
    create(paths, "a1", base, layered=True)
    create(paths, "a2", moved, layered=True)
    kept = {name for name in os.listdir(paths.layers) if len(name) == 40}
    assert kept == {base, moved}
    remove(paths, "a1")
    third = add_to_main(paths, moved)
    create(paths, "a3", third, layered=True)
    kept = {name for name in os.listdir(paths.layers) if len(name) == 40}
    assert kept == {moved, third}


def test_what_an_agent_makes_that_looks_like_a_deletion_deletes_nothing(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a1", base, layered=True)
    attributes = "import os; os.setxattr('src', 'user.overlay.opaque', b'y'); os.mknod('dev', 0o20600, 0)"
    work(workspace, f'echo x > src/x; python3 -c "{attributes}"; true')
    assert pull(workspace).paths == ("src/x",)
