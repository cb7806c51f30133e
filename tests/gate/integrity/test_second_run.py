"""The tests of the target branch run on a change that edits tests, and the tests of a bug's change without it."""

from collections.abc import Mapping

import pygit2
import pytest

from tapeout.config import parse_config
from tapeout.gate.integrity import Part, alarms_of, read_findings
from tapeout.gate.integrity.change import read_change
from tapeout.gate.integrity.judging import only_tests
from tapeout.gate.integrity.privileged import Surroundings
from tapeout.gate.integrity.second_run import to_prove, to_restore, with_files
from tapeout.tracker import Draft
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.integrity.changes import change
from tests.gate.site import Site, commit_tree

AROUND = Surroundings(("tests/**", "**/test_*.py"))

CONFIG = """
[[check]]
name = "unit"
kind = "test"
run = "python3 -m unittest -q 2>&1 && echo OK"
timeout = "30s"
"""

CODE = "def add(a, b):\n    return a + abs(b)\n"
FIXED = "def add(a, b):\n    return a + b\n"
TESTS = """import unittest
from calc import add

class Add(unittest.TestCase):
    def test_small(self):
        self.assertEqual(add(1, 2), 3)
"""
SHOWS = """import unittest
from calc import add

class Bug(unittest.TestCase):
    def test_negative(self):
        self.assertEqual(add(1, -2), -1)
"""
SHOWS_NOTHING = SHOWS.replace("add(1, -2), -1", "add(1, 2), 3")


def site_of(make_site: MakeSite, more: str = "") -> Site:
    return make_site(CONFIG + more, **{"calc.py": CODE, "test_calc.py": TESTS})


def submit(site: Site, files: Mapping[str, str | None], kind: str = "bug") -> Change:
    draft = Draft("Fix it", type=kind)  # type: ignore[arg-type]
    issue = site.tracker.create(draft)
    lease = site.tracker.claim(issue.id, owner=f"{issue.id}-1")
    site.tracker.start_attempt(lease, f"{issue.id}-1", agent="scripted", host="here", pid=1, pid_started=0.0)
    return site.tracker.submit(lease, f"{issue.id}-1", commit=commit_tree(site.hub, [site.main], files), base=site.main)


def checks(site: Site, one: Change) -> list[str]:
    return [finding["check"] for finding in site.verdict(one)["findings"]]


def test_the_tests_of_a_bug_must_fail_without_the_change(make_site: MakeSite) -> None:
    site = site_of(make_site)
    nothing = submit(site, {"calc.py": FIXED, "test_bug.py": SHOWS_NOTHING})
    feature = submit(site, {"other.py": "x = 1\n", "test_other.py": SHOWS_NOTHING}, kind="feature")
    only_tests = submit(site, {"test_only.py": SHOWS_NOTHING})
    shown = submit(site, {"calc.py": FIXED, "test_bug.py": SHOWS})
    without = submit(site, {"more.py": "x = 1\n"})
    site.run()
    assert checks(site, nothing) == ["bug-tests"]
    assert "test_bug.py" in site.verdict(nothing)["findings"][0]["excerpt"]
    assert [site.state(one) for one in (feature, only_tests, shown, without)] == ["landed"] * 4
    site.assert_main_is_validated()


def test_that_can_be_switched_off_or_allowed(make_site: MakeSite) -> None:
    site = site_of(make_site, "[gate]\nbug_tests = false\n")
    off = submit(site, {"calc.py": FIXED, "test_bug.py": SHOWS_NOTHING})
    site.run()
    assert site.state(off) == "landed"

    site = site_of(make_site)
    allowed = submit(site, {"calc.py": FIXED, "test_bug.py": SHOWS_NOTHING})
    site.tracker.allow(allowed.issue, ["tests"])
    site.run()
    assert site.state(allowed) == "landed"


def test_behaviour_that_is_meant_to_change_needs_a_person(make_site: MakeSite) -> None:
    site = site_of(make_site)
    files = {"calc.py": "def add(a, b):\n    return str(a + b)\n", "test_calc.py": TESTS.replace(", 3)", ", '3')")}
    refused, allowed = (submit(site, files, "feature") for _ in range(2))
    site.tracker.allow(allowed.issue, ["tests"])
    site.run()
    assert checks(site, refused) == ["base-tests"]
    finding = site.verdict(refused)["findings"][0]
    assert "test_small" in finding["excerpt"]
    assert "issue allow" in finding["excerpt"]
    assert site.state(allowed) == "landed"


def test_a_test_that_is_only_rewritten_lands(make_site: MakeSite) -> None:
    site = site_of(make_site)
    rewritten = submit(site, {"calc.py": CODE + "\n", "test_calc.py": TESTS.replace("3)", "3, 'sum')")}, "chore")
    moved = submit(site, {"tests/__init__.py": "", "tests/test_more.py": TESTS, "test_calc.py": None}, "chore")
    site.run()
    assert [site.state(one) for one in (rewritten, moved)] == ["landed", "landed"]


def test_the_second_run_has_the_test_checks_and_what_they_need() -> None:
    more = "".join(f"[[check]]\nname = '{name}'\nrun = 'x'\n" for name in ("lint", "make", "slow"))
    config = parse_config(
        CONFIG + "needs = ['make']\npaths = ['src/**']\n" + more + "kind = 'test'\nblocking = false\n"
    )
    found = only_tests(config).check
    assert [check.name for check in found] == ["unit", "make"]
    assert found[0].paths == ()


def test_which_files_are_put_back() -> None:
    base = {"src/a.py": "", "tests/test_a.py": "1", "tests/README.md": "1", "tests/conftest.py": "1"}

    def restored(files: Mapping[str, str | None]) -> list[str]:
        return [one.path for one in to_restore(change(base, files).files, AROUND)]

    assert restored({"src/a.py": "2", "tests/test_new.py": "2"}) == []
    assert restored({"tests/README.md": "2"}) == []
    assert restored({"tests/test_a.py": "2", "tests/test_new.py": "2"}) == ["tests/test_a.py", "tests/test_new.py"]
    assert restored({"tests/test_a.py": None}) == ["tests/test_a.py"]
    assert restored({"pytest.ini": "x"}) == ["pytest.ini"]
    assert restored({"pyproject.toml": "[tool.pytest.ini_options]\nx = 1\n"}) == ["pyproject.toml"]
    assert restored({"pyproject.toml": "[project]\nname = 'x'\n"}) == []


def test_which_files_are_proven() -> None:
    base = {"src/a.py": "", "tests/test_a.py": "1"}

    def proven(files: Mapping[str, str | None]) -> list[str]:
        return [one.path for one in to_prove(change(base, files).files, AROUND)]

    assert proven({"src/a.py": "2"}) == []
    assert proven({"tests/test_b.py": "2"}) == []
    assert proven({"tests/test_a.py": None, "src/a.py": "2"}) == []
    assert proven({"tests/test_b.py": "2", "src/a.py": "2"}) == ["tests/test_b.py"]


def test_the_other_tree_is_exact_and_the_same_each_time(site: Site) -> None:
    base = commit_tree(site.hub, [site.main], {"tests/a": "1", "tests/gone": "1", "tests/folder": "1", "src": "1"})
    after = {"tests/a": "2", "tests/gone": None, "tests/new": "2", "tests/folder": None, "src": "2"}
    candidate = commit_tree(site.hub, [base], after)
    candidate = commit_tree(site.hub, [candidate], {"tests/folder/inside": "2"})
    files = to_restore(read_change(site.hub, base, candidate).files, AROUND)
    made = with_files(site.hub, candidate, base, files)
    assert made == with_files(site.hub, candidate, base, files)
    tree = site.hub[made].peel(pygit2.Commit).tree
    assert {one.name for one in tree["tests"]} == {"a", "gone", "folder"}  # type: ignore[union-attr]
    assert tree["tests/a"].data == tree["tests/folder"].data == b"1"  # type: ignore[union-attr]
    assert tree["src"].data == b"2"  # type: ignore[union-attr]


def test_paths_of_any_bytes_can_be_read(site: Site) -> None:
    hub = site.hub
    blob = hub.create_blob(b"x\n")
    names = [b"\xff\xfe.py", b"tests", b"tapeout.toml"]
    below = hub.write(pygit2.enums.ObjectType.TREE, b"100644 test_\xff.py\0" + blob.raw)
    ids = {
        b"tests": (b"40000", below),
        b"tapeout.toml": (b"100644", hub[site.main].peel(pygit2.Tree)["tapeout.toml"].id),
    }
    entries = b"".join(
        mode + b" " + name + b"\0" + identity.raw
        for name, (mode, identity) in sorted((name, ids.get(name, (b"100644", blob))) for name in names)
    )
    tree = hub.write(pygit2.enums.ObjectType.TREE, entries)
    who = pygit2.Signature("agent", "a@x")
    commit = str(hub.create_commit(None, who, who, "x", tree, [pygit2.Oid(hex=site.main)]))
    found = alarms_of(read_change(hub, site.main, commit), AROUND)
    assert sum(alarm.check == "paths" for alarm in found) == 2
    submitted = site.submit_commit(commit, site.main)
    site.run()
    assert site.state(submitted) == "failed"


@pytest.mark.parametrize("count", [1_000])
def test_a_change_of_a_thousand_files_is_read_without_looking_at_the_rest(site: Site, count: int) -> None:
    """What is read grows with the change, not with the repository."""
    text = "".join(f"def test_{n}():\n    assert f({n}) == {n}  # a remark\n\n" for n in range(20))
    plenty = commit_tree(site.hub, [site.main], {f"rest/{n // 100}/{n}.py": "x = 1\n" for n in range(3 * count)})
    base = commit_tree(site.hub, [plenty], {f"tests/{n // 50}/test_{n}.py": text for n in range(count)})
    after = text.replace("== 7 ", "== 8 ")
    commit = commit_tree(site.hub, [base], {f"tests/{n // 50}/test_{n}.py": after for n in range(count)})
    assert read_findings(site.hub, Part(base, commit, commit, base), parse_config(CONFIG)) == ()
