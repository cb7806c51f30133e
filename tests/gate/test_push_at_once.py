"""Pushes that are killed, that meet each other, or the packing of the hub; and how a hub is set up for them."""

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeout.base import packing
from tapeout.base.faults import CRASH_VARIABLE
from tapeout.base.packing import LOCK, pack_if_scattered, pack_whole
from tapeout.gate import prepare_hub
from tapeout.gate.receive.setup import HOOKS, hook_text
from tests.gate.conftest import MakeSite
from tests.gate.pushing import clone, push, refused
from tests.gate.site import CONFIG, ENV, Site, commit_files, git


class TestKilled:
    @pytest.mark.parametrize("step", ["checked", "kept", "submitted"])
    def test_at_a_step_the_same_push_again_is_in_the_queue_once(self, site: Site, work: Path, step: str) -> None:
        refused(push(site, work, **{CRASH_VARIABLE: f"push.{step}"}))
        issues = len(site.tracker.issues())
        assert issues == len(site.tracker.changes()) == (1 if step == "submitted" else 0)
        assert push(site, work).returncode == 0
        (change,) = site.tracker.changes()
        assert len(site.tracker.issues()) == 1
        site.run()
        assert site.state(change) == "landed"
        assert not site.tracker.attempts(running=True)


class TestAtOnce:
    def test_two_pushes(self, site: Site) -> None:
        folders = [clone(site, f"clone{number}") for number in range(2)]
        for number, folder in enumerate(folders):
            commit_files(folder, {f"{number}.txt": "x"})
        running = [
            subprocess.Popen(["git", "push", "-q", site.paths.hub, "HEAD:refs/for/main"], cwd=one, env=ENV, stderr=-3)
            for one in folders
        ]
        assert [process.wait() for process in running] == [0, 0]
        assert len(site.tracker.changes()) == 2
        site.run()
        assert not site.tracker.changes()
        site.assert_main_is_validated()

    def test_the_same_commit_from_several_is_in_the_queue_once(self, site: Site, work: Path) -> None:
        words = ["git", "push", "-q", site.paths.hub, "HEAD:refs/for/main"]
        running = [subprocess.Popen(words, cwd=work, env=ENV, stderr=-3) for _ in range(4)]
        assert [process.wait() for process in running] == [0, 0, 0, 0]
        assert len(site.tracker.changes()) == 1
        assert len(site.tracker.issues()) == 1

    def test_many_in_a_row_and_the_packs_of_the_hub_stay_few(
        self, site: Site, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packing, "PACK_LIMIT", 3)
        for number in range(4):
            git(work, "reset", "-q", "--hard", "origin/main")
            commit_files(work, {f"{number}.txt": "x"}, f"Change {number}")
            done = push(site, work)
            assert done.returncode == 0, done.stderr
        assert len(site.tracker.changes()) == 4
        assert pack_if_scattered(site.paths.hub)
        packs = [name for name in os.listdir(site.folder / "state/hub.git/objects/pack") if name.endswith(".pack")]
        assert len(packs) < 3
        git(site.paths.hub, "fsck", "--connectivity-only")

    def test_while_the_hub_is_packed(self, site: Site, work: Path) -> None:
        stop = site.folder / "stop"
        with _packing(site, stop):
            for number in range(4):
                git(work, "reset", "-q", "--hard", "origin/main")
                commit_files(work, {f"{number}.txt": "x"}, f"Change {number}")
                done = push(site, work)
                assert done.returncode == 0, done.stderr
        assert len(site.tracker.changes()) == 4
        git(site.paths.hub, "fsck", "--connectivity-only")
        site.run()
        assert not site.tracker.changes()

    def test_while_somebody_links_the_hubs_objects(self, site: Site, work: Path) -> None:
        with open(os.path.join(site.paths.hub, LOCK)) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            assert push(site, work).returncode == 0
        assert pack_whole(site.paths.hub)


@contextlib.contextmanager
def _packing(site: Site, stop: Path) -> Iterator[None]:
    """Somebody packs the hub again and again."""
    import sys

    program = (
        "import os, sys; from tapeout.base.packing import pack_whole\n"
        "while not os.path.exists(sys.argv[2]): pack_whole(sys.argv[1])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, site.paths.hub, str(stop)], env=ENV)
    try:
        yield
    finally:
        stop.touch()
        assert process.wait() == 0


class TestSetup:
    def test_hooks_and_settings_are_put_right_again(self, site: Site, work: Path) -> None:
        hooks = Path(site.paths.hub, "hooks")
        (hooks / "pre-receive").write_text("#!/bin/sh\nexit 0\n")
        (hooks / "proc-receive").unlink()
        git(site.paths.hub, "config", "core.hooksPath", "/nowhere")
        git(site.paths.hub, "config", "receive.maxInputSize", "5000")
        prepare_hub(site.paths, site.repository, "main")
        for name in HOOKS:
            assert (hooks / name).read_text() == hook_text(name)
            assert os.access(hooks / name, os.X_OK)
        assert git(site.paths.hub, "config", "receive.maxInputSize") == "5000", "a person's own limit stays"
        assert push(site, work).returncode == 0

    def test_another_target_branch(self, make_site: MakeSite) -> None:
        site = make_site('[project]\nbranch = "main"\n' + CONFIG)
        git(site.root, "branch", "team/trunk")
        prepare_hub(site.paths, site.repository, "team/trunk")
        work = clone(site)
        commit_files(work, {"a.txt": "x"})
        refused(push(site, work), "the hub lands on team/trunk", "HEAD:refs/for/team/trunk")
        assert push(site, work, "HEAD:refs/for/team/trunk").returncode == 0
