"""Bare repositories of our own: made once, moved by compare-and-swap, fed without trusting the source."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import (
    STALE_LOCK,
    ensure_bare,
    import_objects,
    is_ancestor,
    move_ref,
    open_bare,
    read_blob,
    resolve,
    signature,
)

REF = "refs/heads/main"


@pytest.fixture
def hub(tmp_path: Path) -> pygit2.Repository:
    return ensure_bare(str(tmp_path / "hub.git"))


def _commit(repository: pygit2.Repository, text: str, parents: tuple[str, ...] = ()) -> str:
    builder = repository.TreeBuilder()
    builder.insert("file", repository.create_blob(text.encode()), 0o100644)
    tree = builder.write()
    who = signature(at=1_700_000_000)
    return str(repository.create_commit(None, who, who, text, tree, list(parents)))


def test_several_processes_make_it_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "hub.git")
    code = f"from tapeout.base.git import ensure_bare; r = ensure_bare({path!r}); print(r.config['gc.auto'])"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(6)]
    assert [process.communicate()[0] for process in started] == [b"0\n"] * 6
    assert os.listdir(tmp_path / "deep") == ["hub.git"]


_NO_FSYNC = """
import ctypes, platform, struct, sys
import pygit2
if sys.argv[2] == "ours":
    import tapeout.base.git
repository = pygit2.Repository(sys.argv[1])
first = {"x86_64": 74, "aarch64": 82}[platform.machine()]  # fsync; the next one is fdatasync
code = b"".join(struct.pack("HBBI", *one) for one in (
    (0x20, 0, 0, 0),            # the number of the system call
    (0x15, 2, 0, first), (0x15, 1, 0, first + 1),
    (0x06, 0, 0, 0x7FFF0000),   # allow
    (0x06, 0, 0, 0x00050005),   # EIO
))
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
try:
    repository.create_blob(b"text")
    print("object not flushed")
except (OSError, pygit2.GitError):
    print("object flushed")
try:
    repository.references.create("refs/heads/other", repository.references["refs/heads/main"].target)
    print("ref not flushed")
except (OSError, pygit2.GitError):
    print("ref flushed")
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}, reason="needs Linux's seccomp"
)
@pytest.mark.parametrize(("who", "said"), [("ours", "flushed"), ("plain", "not flushed")])
def test_objects_and_refs_are_flushed_to_the_disk(hub: pygit2.Repository, who: str, said: str) -> None:
    """What cannot be flushed is not written: seen with a kernel that refuses to. Without our setting it is."""
    assert move_ref(hub, REF, _commit(hub, "1"), None)
    command = [sys.executable, "-c", _NO_FSYNC, hub.path, who]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"object {said}", f"ref {said}"]


def test_git_has_nothing_to_say_about_its_settings(hub: pygit2.Repository) -> None:
    """Also of a repository that an older version made, once it was opened."""
    hub.config["core.fsyncObjectFiles"] = True
    log = ["git", "-C", hub.path, "count-objects"]
    assert "deprecated" in subprocess.run(log, capture_output=True, text=True, check=True).stderr
    ensure_bare(hub.path)
    assert subprocess.run(log, capture_output=True, text=True, check=True).stderr == ""


def test_open_does_not_look_in_parents(hub: pygit2.Repository, tmp_path: Path) -> None:
    (tmp_path / "hub.git" / "below").mkdir()
    with pytest.raises(EnvironmentProblem, match="cannot open"):
        open_bare(str(tmp_path / "hub.git" / "below"))


class TestMoveRef:
    def test_moves_only_from_the_expected_commit(self, hub: pygit2.Repository) -> None:
        one, two, three = (_commit(hub, text) for text in ("1", "2", "3"))
        assert move_ref(hub, REF, one, None)
        assert not move_ref(hub, REF, two, None), "it exists"
        assert move_ref(hub, REF, two, one)
        assert not move_ref(hub, REF, three, one), "it moved"
        assert not move_ref(hub, "refs/heads/other", three, one), "it does not exist"
        assert resolve(hub, REF) == two
        assert resolve(hub, "refs/heads/other") is None

    def test_of_several_movers_one_wins(self, hub: pygit2.Repository) -> None:
        start = _commit(hub, "start")
        move_ref(hub, REF, start, None)
        targets = [_commit(hub, str(number)) for number in range(8)]

        def move(target: str) -> bool:
            return move_ref(open_bare(hub.path), REF, target, start)

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(move, targets))
        assert won.count(True) == 1
        assert resolve(open_bare(hub.path), REF) == targets[won.index(True)]

    def test_unknown_commit_is_an_error_not_a_lost_race(self, hub: pygit2.Repository) -> None:
        with pytest.raises(EnvironmentProblem, match="cannot move"):
            move_ref(hub, REF, "1" * 40, None)

    def test_ref_in_the_way_is_an_error_not_a_lost_race(self, hub: pygit2.Repository) -> None:
        commit = _commit(hub, "x")
        move_ref(hub, "refs/heads/a", commit, None)
        with pytest.raises(EnvironmentProblem, match="refs/heads/a/b"):
            move_ref(hub, "refs/heads/a/b", commit, None)

    def test_lock_of_a_killed_writer_is_broken(self, hub: pygit2.Repository) -> None:
        one, two = _commit(hub, "1"), _commit(hub, "2")
        move_ref(hub, REF, one, None)
        lock = Path(hub.path, REF + ".lock")
        lock.touch()
        os.utime(lock, (lock.stat().st_mtime - 2 * STALE_LOCK,) * 2)
        assert move_ref(hub, REF, two, one)
        assert resolve(hub, REF) == two


class TestImport:
    def test_runs_nothing_of_the_source(self, hub: pygit2.Repository, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        source = pygit2.init_repository(str(tmp_path / "source"), bare=True)
        commit = _commit(source, "x")
        source.references.create(REF, commit)
        script = tmp_path / "evil.sh"
        script.write_text(f'#!/bin/sh\ntouch {canary}\nexec "$@"\n')
        script.chmod(0o755)
        source.config["uploadpack.packObjectsHook"] = str(script)
        source.config["core.fsmonitor"] = str(script)
        source.config["core.sshCommand"] = str(script)
        import_objects(hub, source.path, [f"+{REF}:refs/tapeout/x"])
        assert resolve(hub, "refs/tapeout/x") == commit
        assert not canary.exists()

    def test_refuses_an_object_that_does_not_match_its_hash(self, hub: pygit2.Repository, tmp_path: Path) -> None:
        source = pygit2.init_repository(str(tmp_path / "source"), bare=True)
        good, other = source.create_blob(b"good"), source.create_blob(b"evil")
        builder = source.TreeBuilder()
        builder.insert("file", good, 0o100644)
        who = signature()
        source.create_commit(REF, who, who, "x", builder.write(), [])

        def place(blob: pygit2.Oid) -> Path:
            return Path(source.path, "objects", str(blob)[:2], str(blob)[2:])

        place(good).unlink()
        place(good).write_bytes(place(other).read_bytes())
        with pytest.raises(EnvironmentProblem, match="cannot fetch"):
            import_objects(hub, source.path, [f"+{REF}:{REF}"])
        assert resolve(hub, REF) is None

    def test_missing_source(self, hub: pygit2.Repository, tmp_path: Path) -> None:
        with pytest.raises(EnvironmentProblem, match="cannot fetch from"):
            import_objects(hub, str(tmp_path / "none"), ["+refs/heads/*:refs/heads/*"])


def test_ancestors(hub: pygit2.Repository) -> None:
    one = _commit(hub, "1")
    two = _commit(hub, "2", (one,))
    assert is_ancestor(hub, one, two)
    assert is_ancestor(hub, one, one)
    assert not is_ancestor(hub, two, one)
    assert not is_ancestor(hub, "1" * 40, one)
    assert not is_ancestor(hub, one, "1" * 40)


def test_read_blob(hub: pygit2.Repository) -> None:
    commit = _commit(hub, "content")
    assert read_blob(hub, commit, "file") == b"content"
    assert read_blob(hub, commit, "none") is None
    assert read_blob(hub, commit, "file/below") is None
    assert read_blob(hub, commit, "../file") is None
    assert read_blob(hub, "1" * 40, "file") is None
