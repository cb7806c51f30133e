"""Each kind of sandbox that works here keeps the same promises, and a machine without any is told why."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured, run_captured
from tapeout.base.sandbox import (
    Absence,
    Confined,
    Limits,
    Policy,
    Sandbox,
    available,
    bubblewrap,
    detect,
    detection,
    landlock,
    run_confined,
)
from tapeout.base.sandbox.bubblewrap import Bubblewrap
from tapeout.base.sandbox.cgroup import task_group
from tapeout.base.sandbox.landlock import Landlock
from tapeout.base.sandbox.nothing import Nothing

WORKING = [found for found in available() if isinstance(found, Sandbox)] if sys.platform == "linux" else []

each_sandbox = pytest.mark.parametrize("sandbox", WORKING, ids=lambda sandbox: type(sandbox).__name__)

needs_bubblewrap = pytest.mark.skipif(
    not any(isinstance(found, Bubblewrap) for found in WORKING), reason="bubblewrap does not work here"
)


def run(sandbox: Sandbox, policy: Policy, script: str, cwd: Path) -> Captured:
    confinement = Confined(sandbox, policy)
    return run_confined(confinement, ["sh", "-c", script], cwd=str(cwd), env=dict(os.environ), timeout=30)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("work", "home/tools/bin", "home/.ssh", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home/.ssh/id").write_text("secret")
    (tmp_path / "home/tools/bin/tool").write_text("#!/bin/sh\necho tool works\n")
    (tmp_path / "home/tools/bin/tool").chmod(0o755)
    (tmp_path / "other/file").write_text("other")
    return tmp_path


@pytest.fixture
def policy(place: Path) -> Policy:
    return Policy(writable=(str(place / "work"),), hidden=(str(place / "home"),), readable=(str(place / "home/tools"),))


@each_sandbox
def test_only_what_is_writable_is_written(sandbox: Sandbox, policy: Policy, place: Path) -> None:
    script = "echo x > made; echo x > ../other/file; echo x > ../other/new; mkdir ../home/new; rm ../other/file; true"
    assert run(sandbox, policy, script, place / "work").exit_code == 0
    assert (place / "work/made").read_text() == "x\n"
    assert sorted(os.listdir(place / "other")) == ["file"]
    assert (place / "other/file").read_text() == "other"
    assert sorted(os.listdir(place / "home")) == [".ssh", "tools"]


@each_sandbox
def test_what_is_hidden_is_not_read_but_what_is_shown_in_it_works(
    sandbox: Sandbox, policy: Policy, place: Path
) -> None:
    done = run(
        sandbox, policy, f"cat {place}/home/.ssh/id {place}/other/file; {place}/home/tools/bin/tool", place / "work"
    )
    assert "secret" not in done.output
    assert "other" in done.output
    assert done.output.endswith("tool works\n")


@each_sandbox
def test_exit_codes_and_missing_programs_are_told_as_they_are(sandbox: Sandbox, policy: Policy, place: Path) -> None:
    assert run(sandbox, policy, "exit 3", place / "work").exit_code == 3
    assert run(sandbox, policy, "no-such-program", place / "work").exit_code == 127
    assert run(sandbox, policy, "kill -SEGV $$", place / "work").exit_code in {-11, 139}


@each_sandbox
def test_what_is_left_running_is_ended(sandbox: Sandbox, policy: Policy, place: Path) -> None:
    done = run(sandbox, policy, "setsid sleep 1000 & env -i setsid sleep 1000 & echo done", place / "work")
    assert done.output == "done\n"
    assert done.exit_code == 0


@each_sandbox
def test_a_file_that_is_too_large_is_not_written(sandbox: Sandbox, place: Path) -> None:
    policy = Policy(writable=(str(place / "work"),), limits=Limits(file_size=100_000, open_files=50))
    done = run(sandbox, policy, "ulimit -n; exec head -c 1000000 /dev/zero > big", place / "work")
    assert done.output.startswith("50\n")
    assert done.exit_code in {-25, 153}
    assert (place / "work/big").stat().st_size <= 100_000


@needs_bubblewrap
def test_replaced_folders_and_links_lead_where_they_should(place: Path) -> None:
    sandbox = next(found for found in WORKING if isinstance(found, Bubblewrap))
    (place / "home/link").symlink_to("tools")
    (place / "scratch").mkdir()
    policy = Policy(
        writable=(str(place / "work"),),
        hidden=(str(place / "home"),),
        readable=(str(place / "home/link/bin"),),
        replaced=((str(place / "other"), str(place / "scratch")),),
    )
    script = f"{place}/home/link/bin/tool; ls {place}/other; echo x > {place}/other/new; ls / >/dev/null && echo listed"
    assert run(sandbox, policy, script, place / "work").output == "tool works\nlisted\n"
    assert (place / "scratch/new").exists()
    assert not (place / "other/new").exists()


@needs_bubblewrap
def test_a_file_that_is_hidden_cannot_be_read(place: Path) -> None:
    sandbox = next(found for found in WORKING if isinstance(found, Bubblewrap))
    done = run(sandbox, Policy(hidden=(str(place / "other/file"),)), f"cat {place}/other/file", place / "work")
    assert done.exit_code == 1
    assert (place / "other/file").read_text() == "other"


def test_without_a_sandbox_limits_still_hold(place: Path) -> None:
    policy = Policy(limits=Limits(file_size=100_000))
    assert run(Nothing(), policy, "exec head -c 1000000 /dev/zero > big", place / "work").exit_code == -25


def test_the_one_that_is_found_works() -> None:
    found = detect()
    assert detect() is found, "tried once"
    assert isinstance(found, Sandbox) == bool(WORKING)


def test_a_machine_without_any_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\ntest \"$1\" = --version && echo bubblewrap 9 && exit\necho 'bwrap: not permitted'; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "programs", lambda: iter([str(broken), str(tmp_path / "missing")]))
    monkeypatch.setattr(landlock, "abi_version", lambda: 0)
    monkeypatch.setattr(detection, "_LINUX", True)
    found = detect.__wrapped__()
    assert isinstance(found, Absence)
    assert len(found.reasons) == 3
    assert found.reasons[0] == f"bubblewrap ({broken}): the sandbox cannot be set up: bwrap: not permitted"
    assert "program not found" in found.reasons[1]
    assert found.reasons[2] == "Landlock: this kernel has none"
    monkeypatch.setattr(detection, "_LINUX", False)
    assert isinstance(detect.__wrapped__(), Absence)


def test_one_that_lets_everything_through_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrapper that only pretends, or a kernel that does not enforce: the version number proves nothing."""
    liar = tmp_path / "bwrap"
    liar.write_text('#!/bin/sh\ntest "$1" = --version && echo bubblewrap 9 && exit\n'
                    'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')  # fmt: skip
    liar.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "programs", lambda: iter([str(liar)]))
    monkeypatch.setattr(landlock, "abi_version", lambda: 0)
    assert isinstance(detect.__wrapped__(), Absence)


@pytest.mark.skipif(not any(isinstance(found, Landlock) for found in WORKING), reason="no Landlock here")
def test_landlock_works_inside_of_another_sandbox(place: Path, policy: Policy) -> None:
    """Where the gate's own tests run in the gate: nested namespaces are not to be had there."""
    program = "from tapeout.base.sandbox import available; print([type(one).__name__ for one in available()])"
    script = f"PYTHONPATH={os.pathsep.join(sys.path)} TMPDIR=$PWD {sys.executable} -c '{program}'"
    done = run(WORKING[0], policy, script, place / "work")
    assert "Landlock" in done.output, done.output


def test_a_child_that_cannot_be_confined_is_not_started(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(1, "no")

    with pytest.raises(EnvironmentProblem):
        run_captured(["touch", "made"], cwd=str(tmp_path), env={}, timeout=5, before_exec=refuse)
    assert not (tmp_path / "made").exists()


def test_what_killed_attempts_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("old", "new"):
        (tmp_path / f"tapeout-sandbox-{name}/hidden").mkdir(parents=True)
    os.utime(tmp_path / "tapeout-sandbox-old", (0, 0))
    list(available())
    assert [path.name for path in tmp_path.glob("tapeout-sandbox-*")] == ["tapeout-sandbox-new"]


@each_sandbox
def test_whoever_was_refused_a_process_is_known(sandbox: Sandbox, place: Path) -> None:
    with task_group(1) as group:
        if group is None:
            pytest.skip("only root can make a group of processes in which the kernel counts them")
    policy = Policy(writable=(str(place / "work"),), limits=Limits(processes=10))
    for tasks, refused in ((5, ""), (60, "was kept from starting more than 40 processes and threads")):
        script = f"(for i in $(seq {tasks}); do sleep 40 & done) 2>/dev/null || true"
        assert run(sandbox, policy, script, place / "work").stopped == refused
