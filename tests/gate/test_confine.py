"""Which sandbox a gate run gets, what its verdict says of it, and that toolchains go on working."""

import os
import sys
from pathlib import Path

import pytest

from tapeout.base.sandbox import Absence, Limits
from tapeout.config import parse_config
from tapeout.gate import GateUnavailable, confine, run_gate_here, sandbox_warning, summary
from tests.gate.conftest import MakeSite, needs_bubblewrap
from tests.gate.site import CONFIG, Site

NONE = Absence(("bubblewrap: not permitted", "Landlock: this kernel has none"))


def with_gate(text: str) -> str:
    return f"[gate]\n{text}\n{CONFIG}"


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "detect", lambda: NONE)


@pytest.mark.usefixtures("no_sandbox")
def test_where_one_is_required_the_queue_stops_and_blames_nobody(make_site: MakeSite) -> None:
    site = make_site(with_gate('sandbox = "required"'))
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "queued"
    assert site.main == site.main_at_start
    stopped = site.tracker.queue_stopped() or ""
    assert "there is no sandbox here, and [gate] sandbox is required: bubblewrap: not permitted" in stopped
    with pytest.raises(GateUnavailable, match="required"):
        run_gate_here(site.paths, site.repository)


@pytest.mark.usefixtures("no_sandbox")
def test_where_there_is_none_verdict_evidence_and_status_say_so(site: Site) -> None:
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    evidence = site.evidence(site.main)
    assert evidence is not None
    assert evidence["sandbox"] == f"none: {NONE.reason}"
    assert site.verdict(change)["sandbox"] == evidence["sandbox"]
    assert run_gate_here(site.paths, site.repository).warning == f"checks run without a sandbox: {NONE.reason}"
    assert sandbox_warning(site.paths) == f"checks run without a sandbox: {NONE.reason}"


def test_switched_off_it_is_said_too(make_site: MakeSite) -> None:
    site = make_site(with_gate('sandbox = "off"'))
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.passed
    assert summary(verdict)["sandbox"] == "none: switched off by [gate] sandbox"
    assert "switched off" in sandbox_warning(site.paths)


@needs_bubblewrap
def test_with_one_there_is_no_warning(site: Site) -> None:
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.sandbox.startswith("bubblewrap ")
    assert verdict.warning == sandbox_warning(site.paths) == ""


@needs_bubblewrap
def test_a_sandbox_that_cannot_be_set_up_this_time_is_the_machines_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = site.submit({"a.txt": "x"})
    monkeypatch.setattr("tapeout.base.sandbox.bubblewrap.network", lambda wanted: ["--no-such-option"])
    site.run()
    assert site.state(change) == "queued"
    assert "the sandbox cannot be set up: bwrap: Unknown option" in (site.tracker.queue_stopped() or "")


def test_a_check_that_says_what_bubblewrap_says_is_a_failed_check(make_site: MakeSite) -> None:
    site = make_site(
        "[[check]]\nname = 'unit'\nrun = '''test -e a.txt || exit 0; echo \"bwrap: Can't mount proc\"; exit 1'''\n"
    )
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "failed"
    assert site.tracker.queue_stopped() is None


def test_limits_are_the_checks_own_or_the_gates() -> None:
    text = '[gate]\nmemory = "2GB"\nprocesses = 7\nfile_size = "1MB"\n' + CONFIG + 'memory = "1GB"\n'
    config = parse_config(text)
    assert confine.limits_for(config.check[0], config) == Limits(
        memory=2**30, processes=7, file_size=2**20, output=2**30
    )
    assert (confine.limits_for(parse_config(CONFIG).check[0], parse_config(CONFIG)).memory or 0) > 2**20


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user"
    for name in ("tools/bin", "cache/deep", "sdk", ".ssh"):
        (folder / name).mkdir(parents=True)
    (folder / ".ssh/id").write_text("secret")
    (folder / "cache/deep/file").write_text("cached\n")
    (folder / "sdk/file").write_text("sdk\n")
    (folder / "tools/bin/tool").write_text("#!/bin/sh\necho tool works\n")
    (folder / "tools/bin/tool").chmod(0o755)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", f"{folder}/tools/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SDK_HOME", str(folder / "sdk"))
    monkeypatch.setenv("USERS_HOME", str(folder))
    return folder


def test_tools_on_path_folders_that_are_named_and_variables_that_are_passed_on_are_readable(
    make_site: MakeSite, home: Path
) -> None:
    look = f"tool && cat {home}/cache/deep/file $SDK_HOME/file && ! cat {home}/.ssh/id && ! touch {home}/cache/new"
    gate = 'readable = ["~/cach*"]\npass_env = ["SDK_HOME", "USERS_HOME"]\n'
    site = make_site(f"[gate]\n{gate}[[check]]\nname = 'unit'\nrun = '''{look}'''\n")
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.passed or verdict.warning, verdict.findings


def test_the_interpreter_that_runs_the_tests_works(make_site: MakeSite) -> None:
    site = make_site(f'[[check]]\nname = "unit"\nrun = ["{sys.executable}", "-c", "import pytest, sqlite3, ssl"]\n')
    assert run_gate_here(site.paths, site.repository).passed


@needs_bubblewrap
def test_a_check_has_a_folder_for_temporary_files_of_everybody_to_itself(make_site: MakeSite, tmp_path: Path) -> None:
    first = "test ! -e /tmp/mark && echo x > /tmp/mark && test -w /dev/shm && echo x > /dev/shm/mark"
    site = make_site(
        f"[[check]]\nname = 'first'\nrun = '''{first}'''\n"
        f"[[check]]\nname = 'second'\nrun = '''{first} && test ! -e {tmp_path}/anything'''\n"
    )
    (tmp_path / "anything").write_text("x")
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.passed, verdict.reason
    assert not Path("/tmp/mark").exists()


@needs_bubblewrap
def test_a_check_that_lacks_the_network_is_told_how_to_get_it(make_site: MakeSite) -> None:
    script = "import urllib.request; urllib.request.urlopen('http://name.invalid')"
    site = make_site(f'[[check]]\nname = "unit"\nrun = ["{sys.executable}", "-c", "{script}"]\n')
    verdict = run_gate_here(site.paths, site.repository)
    assert "say `network = true` in the [[check]] unit" in verdict.reason
