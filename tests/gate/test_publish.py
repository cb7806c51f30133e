"""Landed commits reach the user's branch or remote when that is safe, and are never forced."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tapeout.base.paths import Repository
from tapeout.gate import Published, Skipped, load_config, publish
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_files, git


def landed(site: Site) -> str:
    """Something landed in the hub, published to nobody yet."""
    site.submit({"landed.txt": "x\n", "README.md": "hello\nlanded\n"})
    folder = str(site.folder / "elsewhere")
    if not os.path.isdir(folder):
        git(site.folder, "clone", "-q", "--bare", str(site.root), folder)
    from tapeout.gate import run_queue

    run_queue(site.paths, Repository(folder, folder))
    return site.main


def try_publish(site: Site, repository: Repository | None = None) -> Published | Skipped | None:
    config = load_config(site.hub, site.main)
    return publish(site.paths, repository or site.repository, config, site.tracker)


def users_main(site: Site) -> str:
    return git(site.root, "rev-parse", "refs/heads/main")


def test_a_clean_checkout_is_fast_forwarded(site: Site) -> None:
    commit = landed(site)
    assert try_publish(site) == Published(commit)
    assert users_main(site) == commit
    assert (site.root / "landed.txt").exists()
    assert git(site.root, "status", "--porcelain") == ""
    assert try_publish(site) == Published(commit)
    assert site.kinds().count("published") == 2, "the clone in `landed`, then ours: what is there already is no news"


def test_untracked_files_elsewhere_do_not_matter(site: Site) -> None:
    (site.root / "notes.txt").write_text("mine")
    commit = landed(site)
    assert try_publish(site) == Published(commit)
    assert (site.root / "notes.txt").read_text() == "mine"


def test_a_branch_that_is_checked_out_nowhere_is_moved(site: Site) -> None:
    git(site.root, "checkout", "-q", "-b", "feature")
    (site.root / "README.md").write_text("dirty, but on another branch")
    commit = landed(site)
    assert try_publish(site) == Published(commit)
    assert users_main(site) == commit
    assert (site.root / "README.md").read_text() == "dirty, but on another branch"


def test_a_detached_head_does_not_matter(site: Site) -> None:
    git(site.root, "checkout", "-q", "--detach")
    commit = landed(site)
    assert try_publish(site) == Published(commit)
    assert users_main(site) == commit
    assert not (site.root / "landed.txt").exists()


def test_a_linked_worktree_that_has_the_branch_is_fast_forwarded(site: Site) -> None:
    git(site.root, "checkout", "-q", "--detach")
    linked = site.folder / "linked tree"
    git(site.root, "worktree", "add", "-q", str(linked), "main")
    commit = landed(site)
    assert try_publish(site) == Published(commit)
    assert (linked / "landed.txt").exists()
    assert not (site.root / "landed.txt").exists()


def test_a_repository_reached_through_a_linked_worktree(site: Site) -> None:
    linked = site.folder / "linked"
    git(site.root, "worktree", "add", "-q", "-b", "feature", str(linked))
    commit = landed(site)
    assert try_publish(site, Repository(str(linked), site.repository.git_dir)) == Published(commit)
    assert (site.root / "landed.txt").exists(), "main is checked out in the main work tree"


def test_a_bare_repository(site: Site) -> None:
    bare = site.folder / "bare.git"
    git(site.folder, "clone", "-q", "--bare", str(site.root), str(bare))
    commit = landed(site)
    assert try_publish(site, Repository(str(bare), str(bare))) == Published(commit)
    assert git(bare, "rev-parse", "main") == commit


def test_a_worktree_whose_folder_is_gone_holds_nothing(site: Site) -> None:
    git(site.root, "checkout", "-q", "--detach")
    linked = site.folder / "linked"
    git(site.root, "worktree", "add", "-q", str(linked), "main")
    os.rename(linked, site.folder / "moved away")
    commit = landed(site)
    assert try_publish(site) == Published(commit)


def test_hooks_of_the_user_do_not_run(site: Site) -> None:
    for name in ("post-merge", "post-checkout", "reference-transaction", "pre-push", "post-index-change"):
        hook = site.root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {site.folder}/hook-ran\n")
        hook.chmod(0o755)
    landed(site)
    assert isinstance(try_publish(site), Published)
    assert not (site.folder / "hook-ran").exists()


def modified(site: Site) -> None:
    (site.root / "README.md").write_text("my edit\n")


def staged(site: Site) -> None:
    (site.root / "mine.txt").write_text("x")
    git(site.root, "add", "mine.txt")


def untracked_in_the_way(site: Site) -> None:
    (site.root / "landed.txt").write_text("mine\n")


def diverged(site: Site) -> None:
    commit_files(site.root, {"mine.txt": "x"})


def rebasing(site: Site) -> None:
    git(site.root, "checkout", "-q", "-b", "other")
    commit_files(site.root, {"README.md": "other\n"})
    git(site.root, "checkout", "-q", "-b", "onto", "main")
    git(site.root, "checkout", "-q", "main")
    git(site.root, "-c", "sequence.editor=echo break >", "rebase", "-q", "-i", "--root")


def rebasing_elsewhere(site: Site) -> None:
    git(site.root, "checkout", "-q", "--detach")
    linked = site.folder / "linked"
    git(site.root, "worktree", "add", "-q", str(linked), "main")
    git(linked, "-c", "sequence.editor=echo break >", "rebase", "-q", "-i", "--root")


def branch_deleted(site: Site) -> None:
    git(site.root, "checkout", "-q", "-b", "other")
    git(site.root, "branch", "-D", "main")


def index_locked(site: Site) -> None:
    (site.root / ".git" / "index.lock").write_text("")


def twice_checked_out(site: Site) -> None:
    git(site.root, "worktree", "add", "-q", "--force", str(site.folder / "second"), "main")


def repository_gone(site: Site) -> None:
    os.rename(site.root, site.folder / "moved")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (modified, "has uncommitted changes"),
        (staged, "has uncommitted changes"),
        (untracked_in_the_way, "untracked files are in the way: landed.txt"),
        (diverged, "have diverged: run `git pull"),
        (rebasing, "a rebase of main is going on"),
        (rebasing_elsewhere, "a rebase of main is going on"),
        (branch_deleted, "has no branch main any more"),
        (index_locked, "index.lock"),
        (twice_checked_out, "checked out in several work trees"),
        (repository_gone, "cannot open the repository"),
    ],
)
def test_what_is_not_safe_is_skipped_with_one_clear_reason(
    site: Site, prepare: Callable[[Site], None], reason: str
) -> None:
    landed(site)
    prepare(site)
    root = site.root if site.root.exists() else site.folder / "moved"
    before = git(root, "for-each-ref") + git(root, "rev-parse", "HEAD")
    found = try_publish(site)
    assert isinstance(found, Skipped)
    assert reason in found.reason
    assert "\n" not in found.reason
    assert git(root, "for-each-ref") + git(root, "rev-parse", "HEAD") == before
    assert site.events()[-1].data == {"what": "publish-skipped", "reason": found.reason}


def test_what_was_skipped_comes_with_the_next_landing(site: Site) -> None:
    (site.root / "README.md").write_text("my edit\n")
    first = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(first) == "landed", "what publishing cannot do does not hold up landing"
    assert not (site.root / "a.txt").exists()
    git(site.root, "checkout", "-q", "README.md")
    site.submit({"b.txt": "x"})
    site.run()
    assert (site.root / "a.txt").exists()
    assert (site.root / "b.txt").exists()


def test_a_pull_as_the_reason_says_brings_both_sides_together(site: Site) -> None:
    landed(site)
    diverged(site)
    found = try_publish(site)
    assert isinstance(found, Skipped)
    command = found.reason.partition("`git ")[2].partition("`")[0].split()
    git(site.root, *command)
    change = site.submit({"c.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    for name in ("c.txt", "mine.txt", "landed.txt"):
        assert (site.root / name).exists()


def remote_site(make_site: MakeSite) -> tuple[Site, Path]:
    site = make_site('[project]\npublish = "remote:origin"\n' + CONFIG)
    remote = site.folder / "remote.git"
    git(site.folder, "clone", "-q", "--bare", str(site.root), str(remote))
    git(site.root, "remote", "add", "origin", "../remote.git")
    git(site.root, "fetch", "-q", "origin")
    return site, remote


def test_a_remote_gets_landed_commits(make_site: MakeSite) -> None:
    site, remote = remote_site(make_site)
    site.submit({"a.txt": "x"})
    site.run()
    assert git(remote, "rev-parse", "main") == site.main
    assert users_main(site) == site.main_at_start, "the user's branch is left alone"
    git(site.root, "pull", "-q", "origin", "main")
    site.submit({"b.txt": "x"})
    site.run()
    assert git(remote, "rev-parse", "main") == site.main


def test_a_remote_that_went_on_is_not_forced(make_site: MakeSite) -> None:
    site, remote = remote_site(make_site)
    git(site.folder, "clone", "-q", str(remote), "colleague")
    commit_files(site.folder / "colleague", {"theirs.txt": "x"})
    git(site.folder / "colleague", "push", "-q")
    theirs = git(remote, "rev-parse", "main")
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    assert git(remote, "rev-parse", "main") == theirs
    assert "main of origin has commits that the landed work lacks" in site.events()[-1].data["reason"]


@pytest.mark.parametrize("url", ["../nowhere.git", "ext::sh -c touch% ran", "file:///nowhere"])
def test_a_remote_that_cannot_be_reached_is_a_reason(make_site: MakeSite, url: str) -> None:
    site, _ = remote_site(make_site)
    git(site.root, "remote", "set-url", "origin", url)
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    assert site.events()[-1].data["reason"].startswith("cannot push to origin: ")


def test_an_unknown_remote_and_none(make_site: MakeSite) -> None:
    site = make_site('[project]\npublish = "remote:upstream"\n' + CONFIG)
    assert try_publish(site) == Skipped("your repository has no remote upstream")
    none = make_site('[project]\npublish = "none"\n' + CONFIG)
    none.submit({"a.txt": "x"})
    none.run()
    assert try_publish(none) is None
    assert users_main(none) == none.main_at_start
