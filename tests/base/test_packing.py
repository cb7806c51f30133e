"""Packing the hub: nothing is lost, nobody who links its objects gets half of them."""

import fcntl
import threading
from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import ensure_bare, signature
from tapeout.base.packing import LOCK, linking, loose_objects, pack_if_scattered
from tapeout.base.paths import StatePaths
from tapeout.workspaces import create, remove


def grow(repository: pygit2.Repository, commits: int, name: str = "refs/heads/main") -> str:
    """Add commits, each with a file of its own content."""
    commit = None
    for number in range(commits):
        builder = repository.TreeBuilder()
        builder.insert("file", repository.create_blob(f"{name} {number}".encode()), pygit2.enums.FileMode.BLOB)
        parents: list[pygit2.Oid] = [commit] if commit is not None else []
        commit = repository.create_commit(None, signature(), signature(), f"{number}", builder.write(), parents)
    repository.references.create(name, str(commit), force=True)
    return str(commit)


@pytest.fixture
def hub(tmp_path: Path) -> pygit2.Repository:
    return ensure_bare(str(tmp_path / "hub.git"))


def test_a_small_repository_is_left_alone(hub: pygit2.Repository) -> None:
    grow(hub, 3)
    assert not pack_if_scattered(hub.path)


def test_packing_keeps_everything_also_what_no_ref_reaches(hub: pygit2.Repository) -> None:
    head = grow(hub, 200)
    stray = str(hub.create_blob(b"no ref leads here"))

    assert pack_if_scattered(hub.path, limit=0)

    assert loose_objects(hub.path) == 0
    fresh = pygit2.Repository(hub.path)
    assert fresh[stray].read_raw() == b"no ref leads here"
    assert len(list(fresh.walk(head))) == 200
    assert all("file" in commit.tree for commit in fresh.walk(head))


def test_nobody_packs_while_somebody_links(hub: pygit2.Repository) -> None:
    grow(hub, 200)
    with linking(hub.path):
        assert not pack_if_scattered(hub.path, limit=0)
    assert pack_if_scattered(hub.path, limit=0)


def test_a_repository_that_is_not_ours_gets_no_lock(tmp_path: Path) -> None:
    theirs = pygit2.init_repository(str(tmp_path / "theirs"), bare=True)
    with linking(theirs.path):
        assert not Path(theirs.path, LOCK).exists()


def test_a_pack_that_fails_says_so(hub: pygit2.Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(hub, 200)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentProblem, match="git"):
        pack_if_scattered(hub.path, limit=0)
    with open(Path(hub.path, LOCK), encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released


def test_workspaces_made_while_the_hub_is_packed_again_and_again_are_whole(tmp_path: Path) -> None:
    paths = StatePaths(str(tmp_path))
    repository = ensure_bare(paths.hub)
    base = grow(repository, 50)
    done = threading.Event()
    packed = 0

    def pack() -> None:
        nonlocal packed
        writer = pygit2.Repository(paths.hub)
        while not done.is_set():
            grow(writer, 20, f"refs/heads/other{packed}")
            packed += pack_if_scattered(paths.hub, limit=0)

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        for number in range(25):
            workspace = create(paths, f"a-{number}", base)
            assert Path(workspace.code, "file").exists()
            clone = pygit2.Repository(workspace.code)
            assert len(list(clone.walk(base))) == 50
            remove(paths, f"a-{number}")
    finally:
        done.set()
        thread.join()
    assert packed
