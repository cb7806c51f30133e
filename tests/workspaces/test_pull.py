"""What an agent did arrives in the hub: committed or not, whatever it did to its repository."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.base.git import open_bare, read_blob, resolve
from tapeout.base.paths import StatePaths
from tapeout.workspaces import Workspace, attempt_ref, create, pull, pulling
from tapeout.workspaces.pulling import MESSAGE

from .conftest import add_to_main, commit_all, git, superseded
from .test_create import run_killed


def _contains(paths: StatePaths, commit: str) -> bool:
    """Whether a commit is reachable by a ref of the hub, with all it needs."""
    git(paths.hub, "rev-list", "--objects", "--quiet", commit)
    return bool(git(paths.hub, "for-each-ref", "--contains", commit))


class TestOrdinaryWork:
    def test_nothing_done(self, paths: StatePaths, workspace: Workspace, base: str) -> None:
        pulled = pull(workspace)
        assert (pulled.commit, pulled.base, pulled.changed, pulled.commits, pulled.paths) == (
            base,
            base,
            False,
            0,
            (),
        )
        assert resolve(open_bare(paths.hub), attempt_ref("a1")) == base

    def test_commits(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "one").write_text("1")
        commit_all(code, "one")
        (code / "src" / "two").write_text("2")
        head = commit_all(code, "two")
        pulled = pull(workspace)
        assert (pulled.commit, pulled.changed, pulled.commits) == (head, True, 2)
        assert pulled.paths == ("one", "src/two")
        assert git(paths.hub, "fsck", "--strict") == ""
        assert resolve(open_bare(paths.hub), workspace.ref) == head

    def test_uncommitted_work_becomes_a_commit_on_top(
        self, paths: StatePaths, workspace: Workspace, code: Path
    ) -> None:
        (code / "one").write_text("1")
        head = commit_all(code, "one")
        (code / "README").write_text("changed, not staged")
        (code / "new").write_text("untracked")
        (code / "src" / "app.py").unlink()
        (code / "ignored.log").write_text("x")
        (code / "build").mkdir()
        (code / "build" / "out").write_text("x")
        pulled = pull(workspace)
        assert pulled.paths == ("README", "new", "one", "src/app.py")
        assert pulled.commits == 2
        assert git(paths.hub, "log", "-1", "--format=%P %s %an", pulled.commit) == (f"{head} {MESSAGE} tapeout worker")
        assert git(code, "status", "--porcelain") != "", "the workspace itself is as it was"

    def test_agrees_with_git_on_every_kind_of_change(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "src").rename(code / "moved")
        (code / "run.sh").chmod(0o644)
        (code / "README").chmod(0o755)
        (code / "link").unlink()
        (code / "link").symlink_to("/etc/passwd")
        (code / "dangling").symlink_to("nowhere")
        (code / "folder-link").symlink_to("moved")
        (code / "empty").mkdir()
        (code / "a").mkdir()
        (code / "a" / "x").write_text("x")
        (code / "a.txt").write_text("sorts between a and a/")
        (code / "a-").write_text("")
        (code / "umlaut-ü 'quoted\"\n").write_text("x")
        (code / "moved" / ".gitignore").write_text("!kept.log\n!#x.log\n/only-here\n")
        for name in ("kept.log", "only-here", "dropped.log", "#x.log"):
            (code / "moved" / name).write_text("x")
        (code / "only-here").write_text("not ignored at the top")
        pulled = pull(workspace)
        git(code, "add", "-A")
        assert pulled.tree == git(code, "write-tree")

    def test_file_becomes_folder_and_back(self, workspace: Workspace, code: Path) -> None:
        (code / "README").unlink()
        (code / "README").mkdir()
        (code / "README" / "x").write_text("x")
        shutil.rmtree(code / "src")
        (code / "src").write_text("a file now")
        pulled = pull(workspace)
        git(code, "add", "-A")
        assert pulled.tree == git(code, "write-tree")
        assert pulled.paths == ("README", "README/x", "src", "src/app.py", "src/deep/er/data.txt")

    def test_names_that_are_not_utf8(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        name = os.fsencode(code) + b"/\xff\xfe"
        with open(name, "wb") as file:
            file.write(b"x")
        commit_all(code, "odd name")
        with open(name, "wb") as file:
            file.write(b"changed")
        pulled = pull(workspace)
        assert pulled.paths == (os.fsdecode(b"\xff\xfe"),)
        git(code, "add", "-A")
        assert pulled.tree == git(code, "write-tree")

    def test_ignored_file_that_is_committed_counts(self, workspace: Workspace, code: Path) -> None:
        (code / "kept.log").write_text("1")
        git(code, "add", "-f", "kept.log")
        git(code, "commit", "-q", "-m", "log")
        (code / "kept.log").write_text("2")
        (code / "other.log").write_text("2")
        pulled = pull(workspace)
        assert (pulled.commits, pulled.paths) == (2, ("kept.log",))

    def test_local_exclude_file_counts(self, workspace: Workspace, code: Path) -> None:
        (code / ".git" / "info" / "exclude").write_text("scratch\n")
        (code / "scratch").write_text("x")
        assert not pull(workspace).changed

    def test_line_ends_as_the_attributes_ask(self, workspace: Workspace, code: Path) -> None:
        (code / ".gitattributes").write_text("*.bat text eol=crlf\n*.auto text=auto\n*.bin -text\n")
        commit_all(code, "attributes")
        for name in ("a.bat", "a.auto", "a.bin", "a.other"):
            (code / name).write_bytes(b"one\r\ntwo\r\n")
        (code / "binary.auto").write_bytes(b"\0one\r\n")
        pulled = pull(workspace)
        git(code, "add", "-A")
        assert pulled.tree == git(code, "write-tree")

    def test_change_of_the_same_size_right_after_the_checkout(self, paths: StatePaths, base: str) -> None:
        for number in range(20):  # the clock's tick decides whether git's own look would see it
            workspace = create(paths, f"b{number}", base)
            Path(workspace.code, "README").write_bytes(b"READ ME\n")
            assert pull(workspace).paths == ("README",)

    def test_again_without_a_change_is_the_same_commit(self, workspace: Workspace, code: Path) -> None:
        (code / "new").write_text("x")
        first = pull(workspace)
        assert pull(workspace) == first

    def test_older_checkout_is_no_change(self, paths: StatePaths, base: str) -> None:
        workspace = create(paths, "a2", add_to_main(paths, base))
        git(workspace.code, "checkout", "-q", base)
        assert not pull(workspace).changed


class TestNothingIsLost:
    def test_amended_reset_stashed_and_other_branches(
        self, paths: StatePaths, workspace: Workspace, code: Path, base: str
    ) -> None:
        (code / "one").write_text("1")
        amended = commit_all(code, "one")
        (code / "one").write_text("2")
        git(code, "commit", "-q", "-a", "--amend", "-m", "two")
        reset = git(code, "rev-parse", "HEAD")
        git(code, "reset", "-q", "--hard", base)
        git(code, "checkout", "-q", "-b", "feature/x")
        (code / "three").write_text("3")
        branch = commit_all(code, "three")
        git(code, "checkout", "-q", "work")
        (code / "README").write_text("stashed")
        git(code, "stash", "-q")
        stash = git(code, "rev-parse", "refs/stash")
        git(code, "pack-refs", "--all")
        pulled = pull(workspace)
        assert (pulled.commit, pulled.changed) == (base, False)
        assert superseded(paths) == {amended, reset, branch, stash}

    def test_earlier_pull_is_kept_when_the_work_goes_elsewhere(
        self, paths: StatePaths, workspace: Workspace, code: Path, base: str
    ) -> None:
        (code / "new").write_text("uncommitted")
        first = pull(workspace).commit
        (code / "new").write_text("better")
        head = commit_all(code, "proper")
        assert pull(workspace).commit == head
        assert superseded(paths) == {first}

    def test_detached_head(self, workspace: Workspace, code: Path) -> None:
        git(code, "checkout", "-q", "--detach")
        (code / "new").write_text("x")
        head = commit_all(code, "x")
        assert pull(workspace).commit == head

    def test_nested_repository_is_saved_as_files(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "nested").mkdir()
        git(code / "nested", "init", "-q")
        (code / "nested" / "x").write_text("x")
        commit_all(code / "nested", "x")
        pulled = pull(workspace)
        assert pulled.paths == ("nested/x",)

    def test_nested_repository_that_was_committed_is_saved_as_files(
        self, paths: StatePaths, workspace: Workspace, code: Path
    ) -> None:
        for name in ("src/nested", "other"):
            (code / name).mkdir()
            git(code / name, "init", "-q")
            (code / name / "x").write_text(name)
            commit_all(code / name, "x")
        commit_all(code, "with links to commits that nobody else has")
        pulled = pull(workspace)
        assert pulled.paths == ("other/x", "src/nested/x")
        assert read_blob(open_bare(paths.hub), pulled.commit, "src/nested/x") == b"src/nested"
        assert pull(workspace).commit == pulled.commit

    def test_declared_submodule_stays_a_submodule(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        (code / "a b" / "module").mkdir(parents=True)
        git(code / "a b" / "module", "init", "-q")
        (code / "a b" / "module" / "x").write_text("x")
        commit_all(code / "a b" / "module", "x")
        (code / ".gitmodules").write_text('[submodule "m"]\n\tpath = a b/module\n\turl = https://example.org/m\n')
        head = commit_all(code, "add a submodule")
        assert pull(workspace).commit == head

    def test_undeclared_link_without_files_stays(self, paths: StatePaths, workspace: Workspace, code: Path) -> None:
        git(code, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},old")
        git(code, "-c", "user.name=a", "-c", "user.email=a@x", "commit", "-q", "-m", "a link")
        (code / "old").mkdir()
        assert pull(workspace).commit == git(code, "rev-parse", "HEAD")

    def test_what_cannot_be_taken_is_noted_and_left_as_it_was(
        self, paths: StatePaths, workspace: Workspace, code: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pulling, "MAX_FILE", 100)
        (code / "README").write_bytes(b"x" * 101)
        (code / "huge").write_bytes(b"x" * 101)
        (code / "fits").write_bytes(b"x" * 100)
        os.mkfifo(code / "pipe")
        pulled = pull(workspace)
        assert pulled.paths == ("fits",)
        message = git(paths.hub, "log", "-1", "--format=%B", pulled.commit)
        assert all(f"- {line}" in message for line in ("README: too large", "huge: too large", "pipe: not a file"))

    @pytest.mark.parametrize("point", ["pull.copied", "pull.snapshot", "pull.moved"])
    def test_killed_half_way(self, paths: StatePaths, workspace: Workspace, code: Path, base: str, point: str) -> None:
        (code / "one").write_text("1")
        head = commit_all(code, "one")
        (code / "two").write_text("2")
        run_killed(paths, base, "pull(open_workspace(paths, 'a1'))", point)
        git(paths.hub, "rev-list", "--objects", "--quiet", "--all")
        pulled = pull(workspace)
        assert pulled.paths == ("one", "two")
        assert _contains(paths, head)


names = st.sampled_from(["a", "b", "a.txt", "x.log", "build", "src", "README", ".gitignore"])
contents = st.sampled_from([b"", b"1\n", b"*.txt\n", b"!x.log\n/a\n", b"b/\nx.*\n", b"**/b\n!b/a\n", b"two\r\n"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "remove", "chmod", "link", "commit", "stage"]),
        st.lists(names, min_size=1, max_size=3),
        contents,
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_takes_what_git_add_would(paths: StatePaths, base: str, steps: list[tuple[str, list[str], bytes]]) -> None:
    """Any sequence of edits: our snapshot's tree is the one that `git add -A` of an empty index would commit."""
    attempt = f"h{len(os.listdir(paths.workspaces)) if os.path.isdir(paths.workspaces) else 0}"
    workspace = create(paths, attempt, base)
    code = Path(workspace.code)
    for action, parts, content in steps:
        _do(code, action, code.joinpath(*parts), content)
    git(code, "reset", "-q")  # staged but ignored files are committed by us only once they are in a commit
    pulled = pull(workspace)
    git(code, "add", "-A")
    assert pulled.tree == git(code, "write-tree")


def _do(code: Path, action: str, path: Path, content: bytes) -> None:
    try:
        if action == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif action == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif action == "chmod" and path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode ^ stat.S_IXUSR)
        elif action == "link":
            path.symlink_to(content.decode().strip() or "x")
    except OSError:
        return
    if action == "commit":
        git(code, "add", "-A", "-f")
        git(code, "commit", "-q", "--allow-empty", "-m", "x")


def test_content_is_what_was_written(paths: StatePaths, workspace: Workspace, code: Path) -> None:
    (code / "bytes").write_bytes(bytes(range(256)) * 100)
    pulled = pull(workspace)
    assert read_blob(open_bare(paths.hub), pulled.commit, "bytes") == bytes(range(256)) * 100
