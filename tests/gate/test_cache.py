"""What is reused from earlier runs, what must not be, and that losing it costs nothing but time."""

import os
import sqlite3
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.config import CheckConfig
from tapeout.gate import Verdict, cache, run_gate_here
from tapeout.gate.cache import Cache, Sighting, key_of
from tapeout.gate.order import Measured, run_order
from tapeout.gate.toolchain import programs, toolchain
from tapeout.gate.versions import fits, version_line
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, commit_files

pytestmark = pytest.mark.usefixtures("unconfined")


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file outside, in which checks leave a line each time that they run."""
    return tmp_path / "ran"


def check(run: str, name: str = "unit", kind: str = "lint", more: str = "") -> str:
    return f"[[check]]\nname = '{name}'\nkind = '{kind}'\nrun = '''{run}'''\n{more}\n"


def gate(site: Site, revision: str = "HEAD", *, fresh: bool = False) -> Verdict:
    return run_gate_here(site.paths, site.repository, revision, fresh=fresh)


def times(ran: Path) -> int:
    return len(ran.read_text().splitlines()) if ran.exists() else 0


def test_a_pass_is_reused_for_the_same_files_and_says_so(make_site: MakeSite, ran: Path) -> None:
    site = make_site(check(f"echo x >> {ran}; echo a.txt:1: warning: hm", more="report = 'lines'"))
    first, second = gate(site), gate(site)
    assert times(ran) == 1
    (result,) = second.results
    assert (result.cached, result.passed) == (first.run, True)
    assert result.log_digest == first.results[0].log_digest
    assert result.report == first.results[0].report
    assert gate(site, fresh=True).results[0].cached == ""
    assert times(ran) == 2

    commit_files(site.root, {"README.md": "hello\n"}, "another commit of the same files")
    assert gate(site).results[0].cached == first.run
    commit_files(site.root, {"other.txt": "x"})
    assert gate(site).results[0].cached == ""
    assert times(ran) == 3


def test_the_evidence_of_a_landed_commit_names_the_run_whose_pass_it_is(make_site: MakeSite, ran: Path) -> None:
    """A candidate that was gated and could not land is made again: the same files, another commit."""
    site = make_site(check(f"echo x >> {ran}"))
    change = site.submit({"a.txt": "x"})
    site.run()
    first = site.evidence(site.main)
    assert first is not None
    assert first["checks"][0]["cached"] == ""
    again = run_gate_here(site.paths, site.repository, "HEAD")
    assert again.results[0].cached == first["run"]
    assert times(ran) == 1
    assert site.state(change) == "landed"


@pytest.mark.parametrize("kind", ["custom", "commits", "scope", "size", "coverage", "secrets"])
def test_what_may_look_at_commits_counts_for_one_commit_only(make_site: MakeSite, ran: Path, kind: str) -> None:
    site = make_site(check(f"echo x >> {ran}; git log -1 --format=%s", kind=kind))
    gate(site)
    gate(site)
    assert times(ran) == 1
    commit_files(site.root, {}, "another message")
    gate(site)
    assert times(ran) == 2


@pytest.mark.parametrize(
    "config",
    [
        check("echo x >> {ran}; exit 1"),
        check("echo x >> {ran}", more="cacheable = false"),
        check("echo x >> {ran}", kind="dependencies"),
    ],
)
def test_failures_and_what_must_not_be_cached_run_again(make_site: MakeSite, ran: Path, config: str) -> None:
    site = make_site(config.replace("{ran}", str(ran)))
    assert [gate(site).results[0].cached for _ in range(2)] == ["", ""]
    assert times(ran) == 2


def _tool(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "mytool").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "mytool").chmod(0o755)


def test_another_tool_or_environment_is_another_key(
    make_site: MakeSite, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site("[gate]\npass_env = ['MODE']\n" + check(f"mytool && echo x >> {ran}"))
    _tool(tmp_path / "bin", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    gate(site)
    gate(site)
    assert times(ran) == 1
    stamp = (tmp_path / "bin/mytool").stat()
    _tool(tmp_path / "bin", "true 0")  # as long as before, and as old
    os.utime(tmp_path / "bin/mytool", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    gate(site)
    assert times(ran) == 2
    monkeypatch.setenv("MODE", "strict")
    gate(site)
    assert times(ran) == 3


def test_packages_of_a_python_are_part_of_the_toolchain(tmp_path: Path) -> None:
    made = tmp_path / "env"
    (made / "bin").mkdir(parents=True)
    (made / "bin/python3").symlink_to(sys.executable)
    packages = made / "lib/python3.11/site-packages"
    (packages / "ruff-0.14.1.dist-info").mkdir(parents=True)
    (made / "bin/ruff").write_text(f"#!{made}/bin/python3\nimport ruff\n")
    (made / "bin/ruff").chmod(0o755)
    environment = {"PATH": f"{made}/bin"}
    seen = {toolchain([["sh", "-c", "cd x && ruff check ."]], environment)}
    seen.add(toolchain([["python3", "-m", "ruff"]], environment))
    assert len(seen) == 2
    (packages / "ruff-0.14.1.dist-info").rename(packages / "ruff-0.14.2.dist-info")
    seen.add(toolchain([["sh", "-c", "cd x && ruff check ."]], environment))
    seen.add(toolchain([["python3", "-m", "ruff"]], environment))
    assert len(seen) == 4


def test_programs_are_found_wherever_a_command_names_them(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "plain").write_text("x")
    argv = ["sh", "-c", f"A=b one --plain && (two|{tmp_path}/three) > 'x y' ; missing 'unclosed"]
    assert {os.path.basename(name) for name in programs(argv, f"{tmp_path}:relative::")} == {"one", "two", "three"}


def test_a_version_is_asked_once_a_tree(make_site: MakeSite, ran: Path) -> None:
    site = make_site(check("true", more=f"version = 'echo x >> {ran}; echo 1.2'"))
    assert [gate(site).results[0].version for _ in range(2)] == ["1.2", "1.2"]
    assert times(ran) == 1


RATCHET = "report = 'lines'\nratchet = true"


def test_findings_of_a_base_are_reused(make_site: MakeSite, ran: Path) -> None:
    site = make_site(check(f"echo x >> {ran}; echo README.md:1: old; exit 1", more=RATCHET))
    for number in range(3):
        change = site.submit({f"{number}.txt": "x"})
        site.run()
        assert site.state(change) == "landed"
    # The first run also runs on the base; then each base is what was gated before.
    assert times(ran) == 4


# The file itself


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "value", "folder"])
def test_a_damaged_file_is_only_slower(make_site: MakeSite, ran: Path, damage: str) -> None:
    site = make_site(check(f"echo x >> {ran}"))
    gate(site)
    path = Path(site.paths.gate_cache)
    if damage == "value":
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE result SET value = ?", (zlib.compress(b'{"run": 1}'),))
        connection.close()
    else:
        content = path.read_bytes()
        for file in path.parent.glob("gate-cache.db*"):
            file.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            path.write_bytes({"text": b"no database" * 100, "empty": b"", "cut": content[: len(content) // 2]}[damage])
    assert gate(site).passed
    assert gate(site).passed
    assert times(ran) >= 2


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Cache]:
    found = Cache(str(tmp_path / "cache.db"), now=iter(range(10**9)).__next__)
    yield found
    found.close()


def test_it_is_bounded(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 5)
    monkeypatch.setattr(cache, "MOST_SIGHTINGS", 3)
    for number in range(9):
        kept.put(key_of(number=number), "unit", {"number": number})
        kept.note_flaky("unit", Sighting(f"test{number}", "", "t"))
        kept.note_tests("unit", f"tree{number}", number)
    kept.sweep()
    assert [kept.get(key_of(number=number)) for number in range(9)] == [None] * 4 + [{"number": n} for n in range(4, 9)]
    assert sorted(seen.test for seen in kept.sightings("unit")) == ["test6", "test7", "test8"]
    assert kept.tests_ran("unit", ["none", "tree8", "tree7"]) == 8
    assert kept.tests_ran("unit", ["tree0"]) is None
    kept.put("big", "unit", os.urandom(cache.LARGEST_ENTRY).hex())
    assert kept.get("big") is None


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    clock = [0.0]
    kept = Cache(str(tmp_path / "cache.db"), now=lambda: clock[0])
    kept.put("a", "unit", 1)
    assert kept.get("a") == 1
    clock[0] = cache.LONGEST_LIFE
    assert kept.get("a") is None
    kept.close()


def test_recent_runs_weigh_more(kept: Cache) -> None:
    for _ in range(50):
        kept.measure("unit", 1.0, failed=False)
    for _ in range(50):
        kept.measure("unit", 3.0, failed=True)
    found = kept.measured()["unit"]
    assert 2.7 < found.seconds < 3.0
    assert 0.9 < found.failures / found.runs < 1.0


# The order


def checks(needs: dict[str, tuple[str, ...]]) -> list[CheckConfig]:
    return [CheckConfig(name=name, run="true", needs=names) for name, names in needs.items()]


def names(found: list[CheckConfig]) -> list[str]:
    return [check.name for check in found]


def test_what_finds_failures_soonest_runs_first() -> None:
    plan = checks({"slow": (), "cheap": (), "unsure": (), "new": ()})
    measured = {"slow": Measured(20, 1, 60), "cheap": Measured(20, 0, 0.5), "unsure": Measured(20, 15, 30)}
    assert names(run_order(plan, measured)) == ["new", "cheap", "unsure", "slow"]
    assert names(run_order(plan)) == ["slow", "cheap", "unsure", "new"]
    assert names(run_order(checks({"a": ("c",), "b": (), "c": ("b",)}))) == ["b", "c", "a"]


@given(st.data())
def test_any_order_has_each_check_once_and_after_its_needs(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    needs: dict[str, tuple[str, ...]] = {}
    for number in data.draw(st.permutations(range(count))):
        earlier = data.draw(st.permutations(sorted(needs)))
        needs[f"c{number}"] = tuple(earlier[: data.draw(st.integers(0, 3))])
    shuffled = dict(data.draw(st.permutations(list(needs.items()))))
    figures = st.builds(Measured, st.floats(1, 9), st.floats(0, 1), st.floats(0, 99))
    measured = data.draw(st.none() | st.dictionaries(st.sampled_from(sorted(needs)), figures))
    found = names(run_order(checks(shuffled), measured))
    assert sorted(found) == sorted(needs)
    assert all(found.index(need) < found.index(name) for name in needs for need in needs[name])


def test_with_fail_fast_what_failed_most_runs_first(make_site: MakeSite, ran: Path) -> None:
    two = check(f"echo x >> {ran}", "slow") + check("false", "fails")
    site = make_site("[gate]\nfail_fast = true\n" + two)
    assert [result.name for result in gate(site).results] == ["slow", "fails"]
    kept = Cache(site.paths.gate_cache)
    kept.measure("slow", 1000.0, failed=False)
    kept.close()
    assert [result.name for result in gate(site, fresh=True).results] == ["slow", "fails"], "as declared"
    commit_files(site.root, {"a.txt": "x"})
    assert [result.name for result in gate(site).results] == ["fails"]


# Versions


@pytest.mark.parametrize(
    ("version", "expected", "does"),
    [
        ("ruff 0.14.3", "0.14", True), ("ruff 0.14.3", "ruff 0.14", True), ("ruff 0.14.3", "0.1", False),
        ("ruff 0.14.3", "ruff 0.1", False), ("mypy 1.18.2 (compiled: yes)", ">=1.17,<3", True), ("v20.1.0", "20", True),
        ("mypy 1.18.2", "<1.18", False), ("mypy 1.18", "==1.18.0", True), ("mypy 1.18", "!=1.18", False),
        ("tool 2", ">1.9.9", True), ("tool 1.10", ">=1.9", True), ("no number", ">=1", False),
        ("no number", "no", True),
        ("git version 2.43.0", "<= 2.43", True), ("1.2.3", "2", False),
    ],
)  # fmt: skip
def test_versions(version: str, expected: str, does: bool) -> None:
    assert fits(version, expected) is does


def test_the_line_of_a_version() -> None:
    assert version_line("\nLoading ...\n\x1b[1mtool 1.2\nbuilt today\n") == "[1mtool 1.2"
    assert version_line("next") == "next"
    assert version_line("") == ""


def test_a_hit_reads_little(make_site: MakeSite, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which everything is known checks nothing out."""
    site = make_site(check(f"echo x >> {ran}"))
    gate(site)

    def no(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is to be checked out")

    monkeypatch.setattr("tapeout.gate.rooms.Checkout", no)
    assert gate(site).results[0].cached
