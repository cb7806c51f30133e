"""Checks that say more than their exit code: through the gate, with real tools and small scripts."""

import sys

import pytest

from tapeout.gate import GateUnavailable, Verdict, rooms, run_gate_here
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, commit_files

RUFF = f"{sys.executable} -m ruff check --no-cache --isolated --select F --output-format"
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist -p no:timeout -c /dev/null --rootdir=."
MYPY = f"{sys.executable} -m mypy --no-incremental --cache-dir=/dev/null --config-file= --show-column-numbers"


def check(run: str, **fields: object) -> str:
    values = {"name": "unit", "run": run, **fields}
    return "[[check]]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, list | int) else f"'''{value}'''"


def gate(site: Site, revision: str = "HEAD", base: str | None = None) -> Verdict:
    return run_gate_here(site.paths, site.repository, revision, base=base)


def reason(site: Site, revision: str = "HEAD", base: str | None = None) -> str:
    verdict = gate(site, revision, base)
    assert not verdict.passed
    assert [finding.check for finding in verdict.findings] == ["unit"]
    return verdict.findings[0].reason


# Real tools


def test_ruff_by_sarif(make_site: MakeSite) -> None:
    site = make_site(check(f"{RUFF} sarif .", kind="lint", report="sarif"), **{"a.py": "import os\nx = (\n"})
    commit_files(site.root, {"a.py": "import os\n"})
    verdict = gate(site)
    assert verdict.findings[0].reason == "exit code 1: 1 finding: a.py:1:8 F401: `os` imported but unused"
    assert verdict.findings[0].excerpt == "a.py:1:8: error: `os` imported but unused [F401]"
    assert not gate(site, "HEAD~1").passed
    commit_files(site.root, {"a.py": "x = 1\n"})
    assert gate(site).passed


def test_mypy_by_its_lines(make_site: MakeSite) -> None:
    site = make_site(check(f"{MYPY} .", kind="types", report="lines"), **{"a.py": "x: int = 'a'\n"})
    verdict = gate(site)
    assert verdict.findings[0].excerpt == (
        'a.py:1:10: error: Incompatible types in assignment (expression has type "str", variable has type "int")'
        " [assignment]"
    )


JUNIT = check(f"{PYTEST} --junitxml=out/report.xml", kind="test", report="junit", report_file="out/report.xml")


def test_pytest_by_junit(make_site: MakeSite) -> None:
    tests = "def test_ok():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n"
    verdict = gate(make_site(JUNIT, **{"tests__test_a.py": tests}))
    (result,) = verdict.results
    assert result.reason == "exit code 1: 1 of 2 tests failed: tests.test_a::test_bad"
    assert result.excerpt.startswith("tests/test_a.py:6: error: ")
    assert "assert 1 == 2" in result.excerpt
    assert [case.outcome for case in result.report.cases] == ["passed", "failed"]


def test_no_test_by_junit(make_site: MakeSite) -> None:
    skipped = "import pytest\n\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"
    assert reason(make_site(JUNIT, **{"tests__test_a.py": skipped})) == "ran no test"


# Failing closed

EMPTY = '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": []}]}'
ONE = EMPTY.replace("[]", '[{"ruleId": "R", "message": {"text": "bad"}, "level": "LEVEL"}]')
SARIF = {"report": "sarif", "report_file": "out.sarif"}

CLOSED = [
    ("true", SARIF, "its sarif report cannot be used: out.sarif was not written"),
    ("exit 2", SARIF, "exit code 2, and its sarif report cannot be used: out.sarif was not written"),
    (": > out.sarif", SARIF, "its sarif report cannot be used: it is empty"),
    (f"echo '{EMPTY[:40]}' > out.sarif", SARIF, "its sarif report cannot be used: it is no JSON, or cut off: "),
    ("touch old.sarif", {**SARIF, "report_file": "old.sarif"}, ""),
    ("true", {**SARIF, "report_file": "old.sarif"}, "old.sarif was there before the check ran"),
    ("ln -s old.sarif out.sarif", SARIF, "out.sarif cannot be opened: Too many levels of symbolic links"),
    ("ln -s / l", {**SARIF, "report_file": "l/x"}, "l/x cannot be opened: Not a directory"),
    ("mkfifo out.sarif", SARIF, "out.sarif is no file"),
    ("mkdir out.sarif", SARIF, "out.sarif is no file"),
    ("truncate -s 40M out.sarif", SARIF, "out.sarif has 41943040 bytes"),
    ('echo \'{"version": "2.1.0", "runs": []}\'', {"report": "sarif"}, "cannot be used: it has no run"),
    (f"echo '{ONE}'".replace("LEVEL", "error"), {"report": "sarif"}, "exit code 0, but reports 1 finding: R: bad"),
    (f"echo '{ONE}'".replace("LEVEL", "warning"), {"report": "sarif"}, ""),
    (f"echo '{EMPTY}'; exit 3", {"report": "sarif"}, "failed without saying what: its report is empty; exit code 3: "),
    ("echo Killed; exit 1", {"report": "lines"}, "failed without saying what: its report is empty; exit"),
    ("yes x | head -c 5000000; echo a.py:1: bad", {"report": "lines"}, "bytes of it are missing"),
    ("echo 'a.py:1: bad'; kill -9 $$", {"report": "lines"}, "was killed by SIGKILL"),
    ("echo '<testsuite/>' > r.xml", {"report": "junit", "report_file": "r.xml", "kind": "test"}, "ran no test"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "fields", "why"), CLOSED, ids=[f"{run[:20]}" for run, _, _ in CLOSED])
def test_a_report_that_cannot_be_believed_fails(
    make_site: MakeSite, run: str, fields: dict[str, object], why: str
) -> None:
    site = make_site(check(run, **fields), **{"old.sarif": EMPTY})
    if why:
        assert why in reason(site)
    else:
        assert gate(site).passed


def test_a_process_killed_while_memory_ran_out(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(rooms, "memory_kills", lambda: next(kills))
    assert reason(make_site(check("kill -9 $$"))) == "was killed by SIGKILL: this machine ran out of memory"


COUNTED = "echo $(cat count) passed"


def test_a_test_run_that_shrinks_by_half_is_suspicious(make_site: MakeSite) -> None:
    site = make_site(check(COUNTED, kind="test"), count="40")
    for number, state in (("60", "landed"), ("30", "landed"), ("14", "failed"), ("15", "landed"), ("1", "landed")):
        change = site.submit({"count": number})
        site.run()
        assert site.state(change) == state, number
        if state == "failed":
            assert site.verdict(change)["reason"].startswith(
                "unit: ran 14 tests, where the target branch ran 30: less than 50% of them."
            )


# Versions


def test_the_version_is_recorded_and_required(make_site: MakeSite) -> None:
    good = check("true", version="echo tool 1.4.2", expects=">=1.4,<2")
    verdict = gate(make_site(good))
    assert verdict.results[0].version == "tool 1.4.2"
    bad = make_site(check("true", version="echo tool 1.4.2", expects="1.5"))
    change = bad.submit({"a.txt": "x"})
    bad.run()
    assert bad.state(change) == "queued", "the machine is at fault"
    assert "check unit: its version is 'tool 1.4.2', and '1.5' is required" in (bad.tracker.queue_stopped() or "")
    with pytest.raises(GateUnavailable, match=r"'1\.5' is required"):
        gate(bad)


@pytest.mark.parametrize("command", ["no-such-tool --version", "exit 3", "true"])
def test_a_tool_that_does_not_tell_its_version_is_the_machines_fault(make_site: MakeSite, command: str) -> None:
    with pytest.raises(GateUnavailable, match="its version is not known"):
        gate(make_site(check("true", version=command)))


def test_a_change_that_brings_another_version_is_refused(make_site: MakeSite) -> None:
    site = make_site(check("true", version="cat version", expects="1"), version="1.0\n")
    change = site.submit({"version": "2.0\n"})
    site.run()
    assert site.state(change) == "failed"
    assert site.verdict(change)["reason"] == "unit: with this change its version is '2.0', and '1' is required"


# Paths, needs, advice


def test_a_check_runs_only_if_the_change_touches_its_paths(make_site: MakeSite) -> None:
    site = make_site(check("test ! -e src/deep/a.py", paths=["src/**", "*.toml"]) + check("true", name="other"))
    free, touching = site.submit({"docs/a.md": "x"}), site.submit({"src/deep/a.py": "x"})
    site.run()
    assert [site.state(change) for change in (free, touching)] == ["landed", "failed"]
    notes = ["unit: not needed: the change touches nothing of src/**, *.toml"]
    assert site.verdict(free)["notes"] == notes
    assert site.verdict(free)["reason"] == f"all 2 checks passed ({notes[0]})"
    evidence = site.evidence(site.merges_of(free)[0])
    assert evidence is not None
    assert evidence["checks"][0]["skipped"] == "the change touches nothing of src/**, *.toml"
    assert gate(site).results[0].skipped == "", "a person who asks gets an answer"


def test_a_check_waits_for_what_it_needs(make_site: MakeSite) -> None:
    site = make_site(
        check("true", name="last", needs=["middle"]) + check("false", name="middle", needs=["unit"]) + check("true")
    )
    verdict = gate(site)
    assert [(result.name, result.reason) for result in verdict.results] == [
        ("last", "was not run: it needs middle, which did not pass"),
        ("middle", "exit code 1"),
        ("unit", ""),
    ]


def test_what_an_advisory_check_finds_is_told_and_refuses_nothing(make_site: MakeSite) -> None:
    site = make_site(check("echo a.txt:1: ugly; exit 1", report="lines", blocking=False) + check("true", name="other"))
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    assert site.verdict(change)["notes"] == ["unit (advisory): exit code 1: 1 finding: a.txt:1: ugly"]
    evidence = site.evidence(site.main)
    assert evidence is not None
    assert (evidence["checks"][0]["passed"], evidence["checks"][0]["blocking"]) == (False, False)
    assert evidence["checks"][0]["diagnostics"] == ["a.txt:1: error: ugly"]


# Ratchets

RATCHET = check(f"{RUFF} sarif .", kind="lint", report="sarif", ratchet=True)
OLD = "import os\nimport sys\n"


def test_only_what_is_new_counts(make_site: MakeSite) -> None:
    site = make_site(RATCHET, **{"a.py": OLD})
    moved = site.submit({"a.py": "# a comment\n\n" + OLD + "x = 1\n"}, title="moved lines")
    site.run()
    assert site.state(moved) == "landed", site.verdict(moved)
    assert site.verdict(moved)["notes"] == ["unit: 2 findings that the base has too"]

    worse = site.submit({"a.py": "import re\n" + OLD}, title="one more")
    better = site.submit({"b.py": "x = 1\n"}, title="nothing")
    site.run()
    assert [site.state(change) for change in (worse, better)] == ["failed", "landed"]
    assert site.verdict(worse)["reason"] == "unit: exit code 1: 1 new finding: a.py:1:8 F401: `re` imported but unused"
    assert "os" not in site.verdict(worse)["findings"][0]["excerpt"]

    renamed = site.submit({"a.py": None, "src/c.py": "# a comment\n\n" + OLD + "x = 1\n"}, title="renamed")
    site.run()
    assert site.state(renamed) == "landed"


def test_a_gate_run_compares_with_the_base_that_it_is_given(make_site: MakeSite) -> None:
    site = make_site(RATCHET, **{"a.py": OLD})
    commit_files(site.root, {"b.py": "import re\n"})
    assert gate(site).passed, "by itself nothing is new"
    assert "1 new finding: b.py:1:8 F401" in reason(site, base="HEAD~1")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("echo a.py:1: x; exit 1", "echo a.py:1: x; exit 2", "without a new finding, where the base ends with 1"),
        ("echo a.py:1: x", "echo a.py:1: x", ""),
        ("exit 1", "exit 1", "failed without saying what"),
        ("exit 1", "echo a.py:1: x; exit 1", "1 new finding"),
        ("kill -9 $$", "echo a.py:1: x; exit 1", "the base cannot be compared with: it was killed by SIGKILL"),
        ("kill -9 $$", "true", ""),
        ("echo a.py:1: x; exit 1", "echo a.py:1: x; kill -9 $$", "was killed by SIGKILL"),
        ("echo a.py:1: x; exit 1", "echo a.py:1: x; echo a.py:1: x; exit 1", "1 new finding"),
        ("echo a.py:1: warning: x", "echo a.py:2: warning: new", ""),
    ],
)  # fmt: skip
def test_a_ratchet_fails_closed(make_site: MakeSite, before: str, after: str, why: str) -> None:
    site = make_site(
        check("sh ./tool.sh", report="lines", ratchet=True, kind="lint"), **{"tool.sh": before, "a.py": ""}
    )
    commit_files(site.root, {"tool.sh": after})
    verdict = gate(site, base="HEAD~1")
    assert verdict.passed == (not why)
    assert why in verdict.reason
