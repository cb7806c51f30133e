"""Law 5: everything but a known success is a failure with its reason; and a check cannot fool the next one."""

import os
from pathlib import Path

import pygit2
import pytest

from tapeout.base.git import signature
from tapeout.gate import GateUnavailable, Verdict, examine, rooms, run_gate_here
from tapeout.gate.runs import RUN_VARIABLE
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_files, git

TREE = pygit2.enums.ObjectType.TREE


def check(run: str, kind: str = "custom", name: str = "unit", timeout: str = "30s") -> str:
    return f"[[check]]\nname = '{name}'\nkind = '{kind}'\nrun = '''{run}'''\ntimeout = '{timeout}'\n"


NO_SANDBOX = "[gate]\nsandbox = 'off'\n"
"""For what only a check without a sandbox can try."""


def gate(site: Site, revision: str = "HEAD") -> Verdict:
    return run_gate_here(site.paths, site.repository, revision)


FAILURES = [
    ("exit 3", "custom", "exit code 3"),
    ("kill -SEGV $$", "custom", "was killed by SIGSEGV"),
    ("sh -c 'kill -9 $$'; exit $?", "custom", "was killed by SIGKILL"),
    ("sleep 60", "custom", "timed out after 0.3 s"),
    ("true", "test", "printed nothing, so no test is known to have run"),
    ("echo; echo ' '", "test", "printed nothing, so no test is known to have run"),
    ("echo 'no tests ran in 0.01s'", "test", "ran no test"),
    ("echo 'Ran 0 tests in 0.000s'; echo; echo OK", "test", "ran no test"),
    ("printf '\\377\\376 error\\n'; exit 1", "custom", "exit code 1: \ufffd\ufffd error"),
]


@pytest.mark.parametrize(("run", "kind", "reason"), FAILURES)
def test_a_check_fails_closed_with_its_reason(make_site: MakeSite, run: str, kind: str, reason: str) -> None:
    verdict = gate(make_site(check(run, kind, timeout="0.3s" if "sleep" in run else "30s")))
    assert not verdict.passed
    assert [(finding.check, finding.reason) for finding in verdict.findings] == [("unit", reason)]


def test_findings_name_files_as_the_repository_does(make_site: MakeSite) -> None:
    verdict = gate(make_site(check('echo "$PWD/src/a.py:1: bad"; exit 1')))
    assert verdict.findings[0].excerpt == "src/a.py:1: bad"


def test_what_succeeds_passes(make_site: MakeSite) -> None:
    verdict = gate(make_site(check("true") + check("echo 1 passed", "test", "other")))
    assert verdict.passed
    assert verdict.reason == "all 2 checks passed"


def test_all_findings_are_collected_or_with_fail_fast_only_the_first(make_site: MakeSite) -> None:
    two = check("exit 1") + check("exit 2", name="other")
    assert len(gate(make_site(two)).findings) == 2
    first_only = gate(make_site("[gate]\nfail_fast = true\n" + two))
    assert [finding.check for finding in first_only.findings] == ["unit"]
    assert not first_only.passed


@pytest.mark.parametrize(
    "command",
    ['run = "no-such-program-here --version"', 'run = ["no-such-program-here"]', 'run = ["./README.md"]'],
)
def test_a_missing_program_stops_the_queue_and_blames_nobody(make_site: MakeSite, command: str) -> None:
    site = make_site(f'[[check]]\nname = "unit"\n{command}\n')
    change = site.submit({"a.txt": "x"})
    site.run()

    assert site.state(change) == "queued"
    assert site.main == site.main_at_start
    reason = site.tracker.queue_stopped()
    assert reason is not None
    assert "check unit: a command" in reason
    with pytest.raises(GateUnavailable, match="check unit"):
        gate(site)


def test_a_command_that_the_change_itself_removed_is_its_own_fault(make_site: MakeSite) -> None:
    site = make_site(check("sh ./check.sh || exit 127"), **{"check.sh": "exit 0\n"})
    change = site.submit({"check.sh": None})
    site.run()
    assert site.state(change) == "failed"
    assert site.verdict(change)["reason"].endswith("unit: a command was not found (exit code 127)")
    assert site.tracker.queue_stopped() is None


def test_a_full_disk_stops_the_queue_and_blames_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change = site.submit({"bad.txt": "x"})
    monkeypatch.setattr(examine, "disk_is_full", lambda folder: True)
    site.run()
    assert site.state(change) == "queued"
    assert "disk is full" in (site.tracker.queue_stopped() or "")


def test_a_disk_that_fills_while_the_gate_writes_stops_the_queue(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change = site.submit({"a.txt": "x"})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(rooms, "Checkout", full)
    site.run()
    assert site.state(change) == "queued"
    assert "No space left on device" in (site.tracker.queue_stopped() or "")


def test_the_checkout_is_the_exact_commit_with_a_real_repository(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(
        check('test "$(git rev-parse HEAD)" = "$WANTED" && test -z "$(git status --porcelain)"', name="head")
        + check("! git symbolic-ref -q HEAD && git log -1 --format=%s && git describe --tags", name="history")
        + check('test "$(git rev-parse origin/main)" = "$WANTED"', name="base")
        + check('test -z "$(ls .git/hooks 2>/dev/null)" && git fsck --connectivity-only', name="sound")
        + "[gate]\npass_env = ['WANTED']\n"
    )
    commit = commit_files(site.root, {"a.txt": "x"})
    monkeypatch.setenv("WANTED", commit)
    git(site.root, "tag", "-a", "v1", "-m", "one")
    git(site.root, "tag", "v2")
    git(site.root, "pack-refs", "--all")
    (site.root / "a.txt").write_text("not committed")
    verdict = gate(site)
    assert verdict.passed, verdict.reason


def test_checks_get_a_small_environment_of_their_own(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_TOKEN", "PASSED_ON", "TAPEOUT_ATTEMPT"):
        monkeypatch.setenv(name, "value")
    site = make_site(check("env; exit 1") + "[gate]\npass_env = ['PASSED_ON']\n")
    verdict = gate(site)
    log = Path(site.paths.evidence, verdict.run, "unit.log").read_text()
    seen = dict(line.split("=", 1) for line in log.splitlines() if "=" in line)
    assert "SECRET_TOKEN" not in seen
    assert "TAPEOUT_ATTEMPT" not in seen
    assert seen["PASSED_ON"] == "value"
    assert seen[RUN_VARIABLE] == verdict.run
    for name in ("HOME", "TMPDIR"):
        assert seen[name].startswith(os.path.join(site.paths.gate, verdict.run))


@pytest.mark.parametrize(
    "damage",
    [
        "echo 'x' > README.md",
        "rm README.md",
        "rm -rf src",
        "rm -rf src; ln -s @decoy src",
        "chmod 000 src",
        "chmod +x README.md",
        "echo junk > ignored.log; mkdir -p deep/er; echo junk > deep/er/file",
        "printf 'w0rld\\n' > new; touch -r README.md new; mv new README.md",
        "git commit -q --allow-empty -m x; git update-index --assume-unchanged README.md; echo x > README.md",
        "rm -rf .git",
        "echo '[alias] status = !true' >> .git/config; mkdir .git/hooks; echo x > untracked",
        "rm -rf .git; ln -s @decoy .git",
        "git update-ref refs/heads/x HEAD~0; git tag -f t; echo HEAD > .git/info-file",
        "git checkout -q --orphan x; git rm -rqf .",
        'rm -rf "$PWD"',
        'rm -rf "$PWD"; ln -s @decoy "$PWD"',
        'mv "$PWD" ../away; cp -r ../away "$PWD"',
        'chmod 500 "$PWD"',
        'touch -r README.md ../ref; printf "w0rld\\n" > README.md; touch -r ../ref README.md',
        'mkdir -p "$HOME/.config/git"; git config --global user.name x; echo x > "$TMPDIR/x"',
    ],
)
@pytest.mark.parametrize("confined", ["", NO_SANDBOX], ids=["sandbox", "no sandbox"])
def test_one_check_cannot_change_what_the_next_one_sees(
    make_site: MakeSite, tmp_path: Path, damage: str, confined: str
) -> None:
    decoy = tmp_path / "decoy"  # where links lead: nothing of it may change
    decoy.mkdir(mode=0o555)
    (decoy / "precious").write_text("x")
    state = (decoy.stat().st_mode, (decoy / "precious").stat().st_ctime_ns)
    damage = damage.replace("@decoy", str(decoy))
    look = (
        'test -z "$(git status --porcelain --ignored)" && test -z "$(git ls-files -v | grep -v ^H)"'
        ' && test "$(cat README.md src/a.txt)" = "$(printf "hello\\na")" && test ! -x README.md && test -d src'
        ' && test "$(git log -1 --format=%s)" = work && test -z "$(ls -A "$HOME" "$TMPDIR" | grep -v :)"'
        " && git fsck --connectivity-only"
    )
    site = make_site(
        confined + check(damage, name="first") + check(f"{look} || {{ git status; ls -lA; exit 1; }}", name="second")
        + check(look, name="third"),
        **{"src__a.txt": "a", ".gitignore": "*.log\n"},
    )  # fmt: skip
    verdict = gate(site)
    assert [(result.name, result.reason, result.excerpt) for result in verdict.results[1:]] == [
        ("second", "", ""),
        ("third", "", ""),
    ]
    assert (decoy.stat().st_mode, (decoy / "precious").stat().st_ctime_ns) == state


def test_a_check_that_moves_the_folder_of_its_run_fails_and_ends_the_run(make_site: MakeSite, tmp_path: Path) -> None:
    decoy = tmp_path / "decoy"
    for name in ("home", "tmp", "code"):
        (decoy / name).mkdir(parents=True)
        (decoy / name / "precious").write_text("x")
    damage = f'run=$(dirname "$PWD"); mv "$run" {tmp_path}/away; ln -s {decoy} "$run"'
    verdict = gate(make_site(NO_SANDBOX + check(damage) + check("true", name="second")))
    assert [(finding.check, finding.reason) for finding in verdict.findings] == [
        ("unit", "moved the folder of its run away")
    ]
    assert not verdict.passed
    assert all((decoy / name / "precious").exists() for name in ("home", "tmp", "code"))


@pytest.mark.parametrize("name", [".git", ".GIT", ".."])
def test_hostile_paths_in_a_tree_are_the_changes_fault(site: Site, name: str) -> None:
    hub = site.hub

    def entry(mode: str, path: str, identity: pygit2.Oid) -> bytes:
        return f"{mode} {path}\0".encode() + identity.raw

    inner = hub.write(TREE, entry("100644", "config", hub.create_blob(b"[core]\n\tfsmonitor = touch /tmp/x\n")))
    tree = hub[site.main].peel(pygit2.Tree)
    entries = [entry("40000", name, inner)]
    entries += [entry(f"{item.filemode:o}", item.name or "", item.id) for item in tree]
    outer = hub.write(TREE, b"".join(entries))
    author = signature("agent")
    commit = hub.create_commit(None, author, author, "x", outer, [pygit2.Oid(hex=site.main)])
    change = site.submit_commit(str(commit), site.main)
    site.run()
    assert site.state(change) == "failed"
    assert site.verdict(change)["reason"].startswith("change: ")
    assert site.main == site.main_at_start
    assert site.tracker.queue_stopped() is None


def test_links_that_lead_out_of_the_checkout_stay_links(make_site: MakeSite, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    overwrite = check("test -e link/precious && echo overwritten > link/file; true")
    site = make_site(NO_SANDBOX + overwrite + check("test ! -e link/file", name="second"))
    (site.root / "link").symlink_to(outside)
    commit_files(site.root, {})
    assert not gate(site).results[1].passed, "the check wrote outside, which its rights allow"
    assert (outside / "precious").read_text() == "x"


def test_gate_run_judges_any_commit_by_its_own_file(site: Site) -> None:
    bad = commit_files(site.root, {"bad.txt": "x"})
    commit_files(site.root, {"tapeout.toml": CONFIG.replace("bad.txt", "other.txt")})
    assert gate(site).passed
    assert not gate(site, bad).passed
    assert gate(site, "HEAD~2").passed
    evidence = Path(site.paths.evidence, gate(site).run, "verdict.json")
    assert evidence.exists()
