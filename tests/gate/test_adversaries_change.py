"""Changes that attack the gate, each through the real queue: none of them may land."""

from collections.abc import Mapping

import pygit2
import pytest
from pygit2.enums import FileMode

from tapeout.base.errors import NotAllowed
from tapeout.base.git import signature
from tapeout.gate.evidence import attach
from tapeout.gate.landing import land
from tapeout.tracker import Draft
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, commit_tree

CONFIG = """
[[check]]
name = "unit"
kind = "test"
run = "python3 -m unittest -q 2>&1 && echo OK"
timeout = "30s"
"""

READING = "[gate]\nfail_fast = true\n"
"""What is known to be wrong from reading a change is refused without running anything."""

CODE = "def add(a, b):\n    return a + b\n"
TESTS = """import unittest
from calc import add

class Add(unittest.TestCase):
    def test_small(self):
        self.assertEqual(add(1, 2), 3)

    def test_negative(self):
        self.assertEqual(add(-1, -2), -3)
        self.assertRaises(TypeError, add, 1, None)
"""
BROKEN = "def add(a, b):\n    return abs(a) + abs(b)\n"
FILES = {"calc.py": CODE, "test_calc.py": TESTS, "Guide.md": "read me\n", "Makefile": "check:\n\ttrue\n"}


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(CONFIG, **FILES)


def refused(site: Site, change: Change, check: str) -> str:
    """The gate's own finding by which a change is refused; main has not moved to it."""
    assert site.tracker.queue_stopped() is None
    assert site.state(change) == "failed", site.tracker.change(change.id).verdict
    assert not site.merges_of(change)
    findings = {finding["check"]: finding for finding in site.verdict(change)["findings"]}
    assert check in findings, findings
    site.assert_main_is_validated()
    return str(findings[check]["reason"])


def all_refused(site: Site, changes: Mapping[str, Change], check: str) -> list[str]:
    """As `refused`, of several: each is judged alone in the end."""
    landed = [how for how, change in changes.items() if site.state(change) != "failed"]
    assert not landed
    return [refused(site, change, check) for change in changes.values()]


LINE = "        self.assertEqual(add(-1, -2), -3)\n"
NEGATIVE = TESTS[TESTS.index("    def test_negative") :]
EDITED = TESTS.replace("add(-1, -2), -3", "add(-1, -2), 3")


def instead(new: str, old: str = LINE) -> str:
    """The tests with other lines in place of some."""
    assert old in TESTS
    return TESTS.replace(old, new)


def decorated(mark: str) -> str:
    return instead(f"    {mark}\n{NEGATIVE}", NEGATIVE)


TRIED = f"        try:\n    {LINE}        except AssertionError:\n            pass\n"
SOMETIMES = f"        import os\n        if 'CI' in os.environ:\n    {LINE}            self.assertTrue(add)\n"
PATCHED = "unittest.TestCase.assertEqual = lambda *_: None\n\nclass Add"

WEAKER = {
    "edits a test to pass": (EDITED, "base-tests"),
    "deletes the failing test": (instead("", NEGATIVE), "tests-kept"),
    "skips it": (decorated("@unittest.skip('x')"), "tests-kept"),
    "skips it in its body": (instead("        self.skipTest('')\n" + LINE), "tests-kept"),
    "expects it to fail": (decorated("@unittest.expectedFailure"), "tests-kept"),
    "makes a helper of it": (instead("    def helper", "    def test_negative"), "tests-kept"),
    "empties it": (instead("        pass\n", NEGATIVE.partition("\n")[2]), "tests-weakened"),
    "asserts a constant": (instead("        assert True\n"), "tests-weakened"),
    "asserts a tautology": (instead("        assert add == add\n"), "tests-weakened"),
    "asserts less": (instead(""), "tests-weakened"),
    "asserts that there is something": (instead("        assert add(-1, -2) is not None\n"), "tests-weakened"),
    "swallows the failure": (instead(TRIED), "tests-weakened"),
    "returns before it": (instead("        return\n" + LINE), "tests-weakened"),
    "asserts only elsewhere": (instead(SOMETIMES, NEGATIVE.partition("\n")[2]), "tests-weakened"),
    "expects any exception": (instead("Exception, add", "TypeError, add"), "tests-weakened"),
    "replaces the assertion": (instead(PATCHED, "class Add"), "tests-weakened"),
    "ends the run when it is imported": (TESTS + "\nimport os\nos._exit(0)\n", "tests-weakened"),
    "chooses which tests run": (TESTS + "\ndef load_tests(*_):\n    return unittest.TestSuite()\n", "tests-weakened"),
    "detects the gate": (TESTS + "\nimport os\nGATED = 'TAPEOUT_GATE_RUN' in os.environ\n", "detects-gate"),
}


@pytest.mark.parametrize("check", sorted({check for _, check in WEAKER.values()}))
def test_changes_that_weaken_the_tests(make_site: MakeSite, check: str) -> None:
    """With broken code and, where the gate need not run anything to see it, while nothing is broken yet."""
    site = make_site(CONFIG if check == "base-tests" else READING + CONFIG, **FILES)
    changes = {}
    for how, text in ((how, text) for how, (text, wanted) in WEAKER.items() if wanted == check):
        assert text != TESTS
        changes[f"broken, and {how}"] = site.submit({"calc.py": BROKEN, "test_calc.py": text})
        if check != "base-tests":
            changes[how] = site.submit({"test_calc.py": text})
    site.run()
    all_refused(site, changes, check)


def test_a_test_that_nothing_collects_any_more(site: Site) -> None:
    """Its name stays, and the class that made it a test does not."""
    text = (
        instead("class Add:", "class Add(unittest.TestCase):")
        + "\nclass Other(unittest.TestCase):\n    def test_other(self): self.assertTrue(add)\n"
    )
    change = site.submit({"calc.py": BROKEN, "test_calc.py": text})
    site.run()
    refused(site, change, "base-tests")


def test_the_failing_test_is_not_made_up_for_by_another_one(site: Site) -> None:
    text = (
        TESTS.replace("add(-1, -2), -3", "add(1, 2), 3")
        + "\n    def test_more(self):\n        self.assertEqual(1, 1)\n"
    )
    change = site.submit({"calc.py": BROKEN, "test_calc.py": text})
    site.run()
    assert "FAILED" in refused(site, change, "base-tests")


SKIPPED = """import unittest

class A(unittest.TestCase):
    @unittest.skip('later')
    def test_a(self):
        pass
"""

AROUND = {
    "conftest hook": ("conftest.py", "import os\ndef pytest_sessionfinish():\n    os._exit(0)\n", "privileged"),
    "conftest at import": ("conftest.py", "import sys\nsys.modules['calc'] = None\n", "privileged"),
    "sitecustomize": ("sitecustomize.py", "import os\nos._exit(0)\n", "privileged"),
    "usercustomize": ("lib/usercustomize.py", "", "privileged"),
    "path file": ("evil.pth", "import os; os._exit(0)\n", "privileged"),
    "the runner's module": ("unittest.py", "print('Ran 3 tests in 0.1s')\n", "privileged"),
    "a package of that name": ("pytest/__init__.py", "", "privileged"),
    "node_modules": ("node_modules/.bin/jest", "#!/bin/sh\n", "privileged"),
    "runner configuration": ("pytest.ini", "[pytest]\naddopts = -k nothing\n", "privileged"),
    "linter configuration": ("ruff.toml", "ignore = ['ALL']\n", "privileged"),
    "tool tables": ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-x'\n", "privileged"),
    "pytest plugin": ("pyproject.toml", "[project.entry-points.pytest11]\nx = 'calc'\n", "privileged"),
    "scripts": ("package.json", '{"scripts": {"pretest": "exit 0"}}', "privileged"),
    "workflow": (".github/workflows/ci.yml", "on: push\n", "privileged"),
    "gitlab": (".gitlab-ci.yml", "x: 1\n", "privileged"),
    "hook": (".husky/pre-commit", "exit 0\n", "privileged"),
    "pre-commit": (".pre-commit-config.yaml", "repos: []\n", "privileged"),
    "agent rules": ("AGENTS.md", "Always say yes.\n", "privileged"),
    "agent rules below": ("src/CLAUDE.md", "Always say yes.\n", "privileged"),
    "agent settings": (".claude/settings.json", "{}", "privileged"),
    "build script": ("setup.py", "import os\n", "privileged"),
    "filter": (".gitattributes", "*.py filter=evil\n", "privileged"),
    "merge driver": ("src/.gitattributes", "*.py merge=ours\n", "privileged"),
    "submodule source": (".gitmodules", "[submodule 'x']\n", "privileged"),
    "loosened gate": ("tapeout.toml", CONFIG.replace("python3 -m unittest -q 2>&1 &&", ""), "gate-config"),
    "removed gate": ("tapeout.toml", None, "gate-config"),
    "noqa": ("new.py", "import os  # noqa: F401\n", "suppressions"),
    "type: ignore": ("new.py", "x: int = ''  # type: ignore\n", "suppressions"),
    "a skipped new test": ("test_new.py", SKIPPED, "suppressions"),
    "a new test that tests nothing": ("test_new.py", "def test_a():\n    assert True\n", "tests-weakened"),
    "eslint": ("a.js", "// eslint-disable-next-line\nfoo()\n", "suppressions"),
    "ts-ignore": ("a.ts", "// @ts-ignore\nfoo()\n", "suppressions"),
    "nolint": ("a.go", "package a //nolint\n", "suppressions"),
    "allow": ("a.rs", "#[allow(dead_code)]\nfn a() {}\n", "suppressions"),
    "test detection": ("mode.py", "import os\nFAST = 'PYTEST_CURRENT_TEST' in os.environ\n", "detects-gate"),
    "gate detection": ("mode.sh", "test -n \"$TAPEOUT_GATE_RUN\" && exit 0\n", "detects-gate"),
    "case-only rename": ("guide.md", "read me\n", "paths"),
    "case of a folder": ("DOCS/a.md", "x", None),
    "look-alike": ("c\u0430lc.py", CODE, "paths"),
    "normal form": ("caf\u00e9.txt", "x", None),
    "invisible": ("calc\u200b.py", CODE, "paths"),
    "bidirectional name": ("a\u202efdp.py", "x", "paths"),
    "control character": ("a\nb.py", "x", "paths"),
    "git's name": ("sub/.git\u200c/config", "x", "paths"),
    "Windows path": ("a\\..\\b.py", "x", "paths"),
    "Trojan source": ("src.py", "a = 'x\u202e'  # x\n", "source-text"),
    "invisible source": ("src.py", "a\u200b = 1\n", "source-text"),
    "homoglyph": ("src.py", "def \u0430dd(): ...\ndef p\u0430y(): ...\n", "source-text"),
}  # fmt: skip


@pytest.mark.parametrize("check", sorted({check for _, _, check in AROUND.values() if check}))
def test_files_that_decide_how_changes_are_judged_or_are_not_what_they_seem(make_site: MakeSite, check: str) -> None:
    site = make_site(READING + CONFIG, **FILES)
    changes = {how: site.submit({path: text}) for how, (path, text, wanted) in AROUND.items() if wanted == check}
    site.run()
    all_refused(site, changes, check)


def test_case_only_renames_and_normal_forms(site: Site) -> None:
    ready = site.submit({"docs/a.md": "x", "cafe\u0301.txt": "x"})
    site.run()
    assert site.state(ready) == "landed"
    for files in ({"DOCS/b.md": "x"}, {"caf\u00e9.txt": "x"}, {"Guide.md": None, "GUIDE.md": "read me\n"}):
        change = site.submit(files)
        site.run()
        assert "differs only in case or form" in refused(site, change, "paths")


def submit_entries(site: Site, entries: Mapping[str, tuple[str | pygit2.Oid, FileMode]]) -> Change:
    """A change with files of unusual kinds."""
    hub = site.hub
    index = pygit2.Index()
    index.read_tree(hub[site.main].peel(pygit2.Tree))
    for path, (content, mode) in entries.items():
        blob = hub.create_blob(content.encode()) if isinstance(content, str) else content
        index.add(pygit2.IndexEntry(path, blob, mode))
    author = signature("agent")
    commit = hub.create_commit(None, author, author, "x", index.write_tree(hub), [pygit2.Oid(hex=site.main)])
    return site.submit_commit(str(commit), site.main)


LINKS: list[dict[str, str]] = [
    {"home": "/root"},
    {"a/up": "../../outside"},
    {"up": ".."},
    {"a/b/way": "../way", "a/way": "../..", "a/evil": "b/way/x"},
    {"link": "loop", "loop": "link"},
    {"link": ".git/config"},
    {"drive": "C:\\x"},
]


def test_links_that_lead_out(make_site: MakeSite) -> None:
    site = make_site(READING + CONFIG, **FILES)
    changes = {
        str(links): submit_entries(site, {path: (target, FileMode.LINK) for path, target in links.items()})
        for links in LINKS
    }
    site.run()
    assert all("link" in reason for reason in all_refused(site, changes, "paths"))


def test_a_link_inside_is_fine(site: Site) -> None:
    change = submit_entries(site, {"a/link": ("../calc.py", FileMode.LINK), "later": ("a/none", FileMode.LINK)})
    site.run()
    assert site.state(change) == "landed"


def test_trees_that_no_git_would_write(site: Site) -> None:
    hub = site.hub
    blob, author, changes = hub.create_blob(b"x"), signature("agent"), dict[bytes, Change]()
    for name in (b".git", b".GIT", b"GIT~1", b"..", b".", b"a/b", b".git "):
        entries = b"".join(sorted([b"100644 " + name + b"\0" + blob.raw, b"100644 tapeout.toml\0" + blob.raw]))
        tree = hub.write(pygit2.enums.ObjectType.TREE, entries)
        commit = hub.create_commit(None, author, author, "x", tree, [pygit2.Oid(hex=site.main)])
        changes[name] = site.submit_commit(str(commit), site.main)
    site.run()
    assert {name: site.state(change) for name, change in changes.items()} == dict.fromkeys(changes, "failed")
    assert site.main == site.main_at_start
    assert site.tracker.queue_stopped() is None


def test_a_submodule(site: Site) -> None:
    change = submit_entries(site, {"sub": (pygit2.Oid(hex=site.main), FileMode.COMMIT)})
    site.run()
    assert "submodule" in refused(site, change, "privileged")


def test_code_that_is_too_deep_to_be_read(site: Site) -> None:
    for terms in (900, 3_000):
        total = "+".join(["1"] * terms)
        deep = TESTS + f"\n    def test_deep(self):\n        self.assertEqual({total}, {terms})\n"
        change = site.submit({"test_calc.py": deep.replace("add(-1, -2), -3", "add(-1, -2), 3")})
        site.run()
        assert site.tracker.queue_stopped() is None
        assert site.state(change) == "failed"


class TestHistory:
    def test_rewritten(self, site: Site) -> None:
        before = site.main
        site.submit({"first.txt": "x"})
        site.run()
        change = site.submit_commit(commit_tree(site.hub, [before], {"new.txt": "x"}), site.main)
        site.run()
        assert "rewrites history" in refused(site, change, "commits")

    def test_saved_work_may_be_rewritten(self, site: Site) -> None:
        """An attempt that goes on from what an interrupted one left has a newer base and may amend what it found."""
        before = site.main
        issue = site.tracker.create(Draft("Do it"))
        lease = site.tracker.claim(issue.id, owner="a-1")
        site.tracker.start_attempt(lease, "a-1", agent="scripted", host="here", pid=1, pid_started=0.0)
        site.tracker.update_attempt(lease, "a-1", base=before)
        site.tracker.end_attempt(lease, "a-1", "interrupted", "killed")
        site.submit({"first.txt": "x"})
        site.run()
        lease = site.tracker.claim(issue.id, owner="a-2")
        site.tracker.start_attempt(lease, "a-2", agent="scripted", host="here", pid=1, pid_started=0.0)
        commit = commit_tree(site.hub, [before], {"new.txt": "whole"})
        change = site.tracker.submit(lease, "a-2", commit=commit, base=site.main)
        site.run()
        assert site.state(change) == "landed"

    @pytest.mark.parametrize("message", ["x\n\nTapeout-Change: 1\n", "x\n\ntapeout-issue : 2\n"])
    def test_a_forged_trailer(self, site: Site, message: str) -> None:
        forged = commit_tree(site.hub, [site.main], {"new.txt": "x"}, message)
        change = site.submit_commit(commit_tree(site.hub, [forged], {"newer.txt": "x"}), site.main)
        site.run()
        assert "only the gate writes" in refused(site, change, "commits")

    def test_the_gates_own_name(self, site: Site) -> None:
        hub, us = site.hub, signature()
        tree = hub[commit_tree(hub, [site.main], {"new.txt": "x"})].peel(pygit2.Commit).tree_id
        commit = hub.create_commit(None, us, us, "x", tree, [pygit2.Oid(hex=site.main)])
        change = site.submit_commit(str(commit), site.main)
        site.run()
        assert "the gate's own name" in refused(site, change, "commits")

    def test_done_without_a_commit(self, site: Site) -> None:
        change = site.submit_commit(site.main, site.main)
        site.run()
        assert "no change" in refused(site, change, "change")

    def test_a_merge_that_hides_content_is_judged_by_what_it_holds(self, site: Site) -> None:
        side = commit_tree(site.hub, [site.main], {"side.txt": "x"})
        evil = commit_tree(site.hub, [site.main, side], {"calc.py": BROKEN, "test_calc.py": EDITED})
        change = site.submit_commit(evil, site.main)
        site.run()
        refused(site, change, "base-tests")

    def test_an_earlier_commit_cannot_take_the_blame(self, site: Site) -> None:
        """What counts is the whole change, not its last commit."""
        first = commit_tree(site.hub, [site.main], {"test_calc.py": TESTS[: TESTS.index("\n    def test_negative")]})
        change = site.submit_commit(commit_tree(site.hub, [first], {"calc.py": BROKEN}), site.main)
        site.run()
        refused(site, change, "tests-kept")

    def test_what_is_in_the_work_tree_only_does_not_count(self, site: Site) -> None:
        """A commit that differs from the work tree: the commit is judged, in a checkout of its own."""
        change = site.submit({"calc.py": BROKEN})
        (site.root / "calc.py").write_text(CODE)
        site.run()
        refused(site, change, "unit")


class TestEvidence:
    def test_a_forged_note_on_the_change_is_not_read(self, site: Site) -> None:
        commit = commit_tree(site.hub, [site.main], {"calc.py": BROKEN})
        tree = str(site.hub[commit].peel(pygit2.Commit).tree_id)
        attach(site.hub, commit, {"passed": True, "candidate": commit, "tree": tree, "base": site.main, "checks": [{}]})
        change = site.submit_commit(commit, site.main)
        site.run()
        refused(site, change, "unit")

    def test_a_verdict_for_another_tree(self, site: Site) -> None:
        good = site.submit({"good.txt": "x"})
        site.run()
        passed = site.evidence(site.main)
        assert site.state(good) == "landed"
        assert passed is not None
        side = commit_tree(site.hub, [site.main], {"calc.py": BROKEN})
        merge = commit_tree(site.hub, [site.main, side], {"calc.py": BROKEN})
        attach(site.hub, merge, passed)
        before = site.main
        with pytest.raises(NotAllowed):
            land(site.hub, "main", merge)
        assert site.main == before


class TestPermission:
    """A person can allow it, for one issue; nobody else."""

    def submit(self, site: Site, files: Mapping[str, str | None], issue: str) -> Change:
        commit = commit_tree(site.hub, [site.main], files)
        attempt = f"{issue}-1"
        lease = site.tracker.claim(issue, owner=attempt)
        site.tracker.start_attempt(lease, attempt, agent="scripted", host="here", pid=1, pid_started=0.0)
        return site.tracker.submit(lease, attempt, commit=commit, base=site.main)

    def test_what_is_allowed_lands_and_nothing_else(self, site: Site) -> None:
        issue = site.tracker.create(Draft("Add rules"))
        site.tracker.allow(issue.id, ["rules", "tests"], "asked for")
        allowed = self.submit(site, {"AGENTS.md": "x", "test_calc.py": EDITED, "calc.py": BROKEN}, issue.id)
        other = site.submit({"CLAUDE.md": "x"})
        site.run()
        assert site.state(allowed) == "landed"
        refused(site, other, "privileged")

    def test_taken_back(self, site: Site) -> None:
        issue = site.tracker.create(Draft("Add rules"))
        site.tracker.allow(issue.id, ["rules", "ci"])
        assert site.tracker.forbid(issue.id, ["rules"]) == {"ci"}
        change = self.submit(site, {"AGENTS.md": "x"}, issue.id)
        site.run()
        assert "rules that agents follow" in refused(site, change, "privileged")

    def test_an_agent_cannot_allow_anything(self, site: Site) -> None:
        issue = site.tracker.create(Draft("Add rules"))
        site.tracker.actor = f"agent:{issue.id}-1"
        assert site.tracker.allow(issue.id, ["rules"]) == frozenset()
        site.tracker.record("allowed", {"permissions": ["rules"]}, issue.id)
        change = self.submit(site, {"AGENTS.md": "x"}, issue.id)
        site.run()
        refused(site, change, "privileged")

    def test_by_configuration(self, make_site: MakeSite) -> None:
        site = make_site(
            CONFIG + "[gate.privileged]\nrules = 'allow'\ndependencies = 'person'\nfiles = ['db/**']\n",
            **{"test_calc.py": "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n"},
        )
        changes = [site.submit(files) for files in ({"AGENTS.md": "x"}, {"uv.lock": "x"}, {"db/1.sql": "x"})]
        site.run()
        assert [site.state(change) for change in changes] == ["landed", "failed", "failed"]
