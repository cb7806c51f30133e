"""A user's work tree in which publishing was killed half way: put right, and nobody's work is harmed."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.base.faults import CRASH_VARIABLE
from tapeout.gate import Published, Skipped, load_config, publish
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_files, git
from tests.gate.test_crash import start_job

OLD: dict[str, str] = {"edited": "old 1\nold 2\n", "dir/edited": "old\n", "gone": "gone\n", "deep/er/gone": "gone\n"}
NEW: dict[str, str] = {
    "edited": "new 1\nnew 2\n",
    "dir/edited": "new\n",
    "added": "added 1\n2\n",
    "fresh/added": "added\n",
}
CHANGED = sorted({*OLD, *NEW})


def killed(site: Site, at: str = "locked") -> None:
    """Something lands, and its publishing is killed there: `locked` is when git would begin."""
    commit_files(site.root, OLD, "Before")
    site.run()
    site.submit({**NEW, **{name: None for name in OLD if name not in NEW}}, base=git(site.root, "rev-parse", "main"))
    assert start_job(site, **{CRASH_VARIABLE: f"publish.{at}"}).wait() == -signal.SIGKILL
    assert (site.root / ".git" / "index.lock").exists()


def again(site: Site) -> Published | Skipped | None:
    return publish(site.paths, site.repository, load_config(site.hub, site.main), site.tracker)


def write(site: Site, name: str, text: str | None) -> None:
    path = site.root / name
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def assert_nothing_left(site: Site) -> None:
    names = {path.name for path in (site.root / ".git").rglob("*")}
    assert not {name for name in names if name.endswith(".lock") or name in ("tapeout-publishing", "tapeout-index")}


def assert_published(site: Site) -> None:
    assert git(site.root, "rev-parse", "main") == site.main
    assert git(site.root, "status", "--porcelain") == ""
    assert site.tracker.unpublished() is None
    assert_nothing_left(site)


STATES = st.fixed_dictionaries({name: st.sampled_from(["old", "new", "missing", "begun", "mine"]) for name in CHANGED})


def content(name: str, state: str) -> str | None:
    """What a file holds in a state; `begun`: git was killed in the middle of it."""
    new = NEW.get(name)
    return {
        "old": OLD.get(name), "new": new, "missing": None, "mine": f"mine, in {name}\n",
        "begun": None if new is None else new[: len(new) // 2],
    }[state]  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=STATES, removed=st.booleans())
def test_any_half_written_work_tree_is_put_right_but_for_what_is_somebodys(
    tmp_path_factory: pytest.TempPathFactory, states: Mapping[str, str], removed: bool
) -> None:
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        killed(site)
        for name, state in states.items():
            write(site, name, content(name, state))
        if removed:  # by a user whom it was in the way of
            (site.root / ".git" / "index.lock").unlink()
        (site.root / "notes").write_text("not in any commit\n")

        done = again(site)

        assert_nothing_left(site)
        mine = {name for name, state in states.items() if state == "mine"}
        for name in mine:
            assert (site.root / name).read_text() == f"mine, in {name}\n"
        assert (site.root / "notes").read_text() == "not in any commit\n"
        wanted = OLD if isinstance(done, Skipped) else NEW
        for name in set(CHANGED) - mine:
            path = site.root / name
            assert (path.read_text() if path.exists() else None) == wanted.get(name), name
        assert isinstance(done, Skipped) == bool(mine)
        write(site, "notes", None)
        if isinstance(done, Skipped):
            assert site.tracker.unpublished() == done.reason
            for name in mine:
                write(site, name, OLD.get(name))
            assert isinstance(again(site), Published)
        assert_published(site)
    finally:
        site.close()


def test_staged_work_of_a_user_who_removed_the_lock_is_kept(site: Site) -> None:
    killed(site)
    write(site, "edited", NEW["edited"])
    (site.root / ".git" / "index.lock").unlink()
    write(site, "dir/edited", "staged\n")
    git(site.root, "add", "dir/edited")
    write(site, "dir/edited", OLD["dir/edited"])

    assert isinstance(again(site), Skipped)

    assert git(site.root, "show", ":dir/edited") == "staged"
    assert (site.root / "edited").read_text() == OLD["edited"]
    assert_nothing_left(site)


def test_a_user_who_removed_the_lock_and_went_on_is_left_alone(site: Site) -> None:
    killed(site)
    write(site, "edited", NEW["edited"])
    (site.root / ".git" / "index.lock").unlink()
    mine = commit_files(site.root, {"mine": "1\n"})

    assert isinstance(again(site), Skipped), "the branches have diverged"

    assert git(site.root, "rev-parse", "main") == mine
    assert git(site.root, "status", "--porcelain") == ""
    assert_nothing_left(site)


def test_the_lock_of_another_program_stays(site: Site) -> None:
    killed(site)
    lock = site.root / ".git" / "index.lock"
    lock.unlink()
    lock.write_text("")
    write(site, "edited", NEW["edited"])

    done = again(site)

    assert isinstance(done, Skipped)
    assert "index.lock exists: another git program is at work there, or was killed" in done.reason
    assert lock.read_text() == ""
    assert (site.root / "edited").read_text() == NEW["edited"]
    lock.unlink()
    assert isinstance(again(site), Published)
    assert_published(site)


def test_locks_of_refs_that_a_killed_git_left_are_removed(site: Site) -> None:
    killed(site)
    locks = [site.root / ".git" / name for name in ("refs/heads/main.lock", "HEAD.lock", "ORIG_HEAD.lock")]
    for lock in locks:
        lock.write_text("")
        os.utime(lock, (0, 0))
    assert isinstance(again(site), Published)
    assert_published(site)


def test_links_modes_folders_and_line_ends(make_site: MakeSite) -> None:
    site = make_site(CONFIG)
    root = site.root
    (root / "link").symlink_to("README.md")
    (root / "becomes-folder").write_text("file\n")
    commit_files(root, {".gitattributes": "*.crlf eol=crlf\n", "run": "#!/bin/sh\n", "was-folder/file": "x\n"})
    (root / "text.crlf").write_bytes(b"one\r\ntwo\r\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=More")
    base = git(root, "rev-parse", "HEAD")
    site.run()
    other = site.folder / "other"
    git(site.folder, "clone", "--quiet", str(root), str(other))
    git(other, "rm", "-rq", "becomes-folder", "was-folder", "link")
    (other / "run").chmod(0o755)
    (other / "link").symlink_to("run")
    (other / "text.crlf").write_bytes(b"ONE\r\nTWO\r\n")
    commit_files(other, {"becomes-folder/file": "1\n", "becomes-folder/more": "2\n", "was-folder": "now a file\n"})
    commit = git(other, "rev-parse", "HEAD")
    git(site.paths.hub, "fetch", "--quiet", str(other), "+main:refs/heads/other")
    change = site.submit_commit(commit, base)
    assert start_job(site, **{CRASH_VARIABLE: "publish.locked"}).wait() == -signal.SIGKILL
    assert site.state(change) == "landed"
    # As git would have left it: half of it written.
    (root / "becomes-folder").unlink()
    write(site, "becomes-folder/file", "1\n")
    (root / "was-folder/file").unlink()
    (root / "was-folder").rmdir()
    write(site, "was-folder", "now a")
    (root / "run").chmod(0o755)
    (root / "link").unlink()
    (root / "link").symlink_to("run")
    (root / "text.crlf").write_bytes(b"ONE\r\nT")

    assert isinstance(again(site), Published)

    assert_published(site)
    assert (root / "text.crlf").read_bytes() == b"ONE\r\nTWO\r\n"
    assert os.readlink(root / "link") == "run"


def test_an_ignored_file_in_the_way_is_not_replaced(site: Site) -> None:
    commit_files(site.root, {".gitignore": "secret\n"})
    site.run()
    write(site, "secret", "mine\n")
    site.submit({"secret": "landed\n"})
    site.run()
    assert site.tracker.unpublished() == "untracked files are in the way: secret"
    assert (site.root / "secret").read_text() == "mine\n"
    write(site, "secret", None)
    assert isinstance(again(site), Published)
    assert_published(site)


@contextmanager
def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(source: str, target: str) -> None:
        raise FileExistsError(target) if os.path.exists(target) else PermissionError(1, "no hard links here")

    with monkeypatch.context() as patch:
        patch.setattr("tapeout.gate.fastforward.os.link", refuse)
        yield


def test_a_file_system_without_hard_links(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_hard_links(monkeypatch):
        site.submit({"a.txt": "x"})
        site.run()
        assert_published(site)
        killed(site)
        assert isinstance(again(site), Published)
        assert_published(site)


def test_a_git_that_is_killed_is_put_right_at_once(site: Site) -> None:
    git(site.root, "config", "filter.deadly.smudge", "kill -9 $PPID; cat")
    git(site.root, "config", "filter.deadly.clean", "cat")
    commit_files(site.root, {".gitattributes": "zoo filter=deadly\n"})
    site.run()
    site.submit({"README.md": "landed\n", "zoo": "zoo\n"})
    site.run()
    assert site.tracker.unpublished()
    assert git(site.root, "status", "--porcelain") == ""
    assert (site.root / "README.md").read_text() == "hello\n"
    assert_nothing_left(site)
    git(site.root, "config", "filter.deadly.smudge", "cat")
    assert isinstance(again(site), Published)
    assert_published(site)
