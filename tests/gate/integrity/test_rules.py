"""Privileged files, suppressions, paths and characters: what is told, and what is none of the gate's business."""

import pytest

from tapeout.config import GateConfig, PrivilegedConfig
from tapeout.gate.integrity.alarm import WHAT_TO_DO, Alarm, findings_of
from tapeout.gate.integrity.change import LINK
from tapeout.gate.integrity.commits import Commit, Commits, commit_alarms
from tapeout.gate.integrity.lookalikes import mixed_word, skeleton
from tapeout.gate.integrity.paths import link_objection, name_objection
from tapeout.tracker.model import PERMISSIONS
from tests.gate.integrity.changes import Paths, alarms, said

PYPROJECT = """
[project]
name = "x"
version = "1"
dependencies = ["a"]
[tool.ruff.lint]
select = ["E"]
[tool.hatch.version]
path = "x"
[tool.coverage.report]
fail_under = 90
"""
PACKAGE = '{"version": "1", "scripts": {"test": "jest"}, "dependencies": {"a": "1"}}'
MAKEFILE = "X = 1\n\ncheck: lint\n\tpytest\n\nlint:\n\truff check\n\nclean:\n\trm -r build\n"
CONFTEST = """import pytest

URL = "x"

@pytest.fixture
def one(): return 1

@pytest.fixture(autouse=True)
def _clean(): ...

def pytest_configure(config): ...
"""

TOOLS, BUILD, STARTUP = ("privileged", "tools"), ("privileged", "build"), ("privileged", "startup")
DEPENDENCIES, GATE, SUPPRESSIONS = (
    ("privileged", "dependencies"),
    ("gate-config", "gate"),
    ("suppressions", "suppressions"),
)

PARTS = [
    ("pyproject.toml", PYPROJECT, 'version = "1"', 'version = "2"', []),
    ("pyproject.toml", PYPROJECT, 'path = "x"', 'path = "y"', []),
    ("pyproject.toml", PYPROJECT, '["a"]', '["a", "b"]', [DEPENDENCIES]),
    ("pyproject.toml", PYPROJECT, '["E"]', '["F"]', [TOOLS]),
    ("pyproject.toml", PYPROJECT, "90", "80", [TOOLS, SUPPRESSIONS]),
    ("pyproject.toml", PYPROJECT, "90", "95", [TOOLS]),
    ("pyproject.toml", PYPROJECT, "[project]", "[project", [TOOLS]),
    ("pyproject.toml", PYPROJECT, "[project]\n", "[build-system]\nrequires = ['x']\n[project]\n", [BUILD]),
    ("package.json", PACKAGE, '"version": "1"', '"version": "2"', []),
    ("package.json", PACKAGE, '"jest"', '"true"', [BUILD]),
    ("package.json", PACKAGE, '"jest"', '"jest", "docs": "typedoc"', []),
    ("package.json", PACKAGE, '"jest"', '"jest", "posttest": "exit 0"', [BUILD]),
    ("package.json", PACKAGE, '"a": "1"', '"a": "2"', [DEPENDENCIES]),
    ("package.json", PACKAGE, "{", '{"jest": {}, ', [TOOLS]),
    ("package.json", PACKAGE, "{", '{"husky": {}, ', [("privileged", "hooks")]),
    ("Makefile", MAKEFILE, "rm -r", "rm -rf", []),
    ("Makefile", MAKEFILE, "ruff check", "true", [BUILD]),
    ("Makefile", MAKEFILE, "X = 1", "X = 2", [BUILD]),
    ("Makefile", MAKEFILE, "clean:", "other:\n\tx\n\nclean:", []),
    ("tests/conftest.py", CONFTEST, "return 1", "return 2", []),
    ("tests/conftest.py", CONFTEST, 'URL = "x"\n', "@pytest.fixture\ndef two(): return 2\n", []),
    ("tests/conftest.py", CONFTEST, "import pytest\n", "import os\nimport pytest\n", []),
    ("tests/conftest.py", CONFTEST, "def _clean(): ...", "def _clean(): 1", [STARTUP]),
    ("tests/conftest.py", CONFTEST, "(config): ...", "(config): 1", [STARTUP]),
    ("tests/conftest.py", CONFTEST, '"x"\n', '"x"\nprint(1)\n', [STARTUP]),
    ("tests/conftest.py", CONFTEST, '"x"\n', '"x"\npytest_plugins = ["evil"]\n', [STARTUP]),
    ("tests/conftest.py", CONFTEST, '"x"\n', '"x"\ncollect_ignore = ["a"]\n', [STARTUP]),
    ("tools/check.sh", "exit 1\n", "1", "0", [GATE]),
    ("tests/test_named.py", "def test_a(): f()\n", "f()", "g()", []),
    ("setup.cfg", "[metadata]\nname = x\n[flake8]\nmax-line-length = 1\n", "name = x", "name = y", []),
    ("setup.cfg", "[metadata]\nname = x\n[flake8]\nignore = A\n", "= A", "= B", [TOOLS]),
    ("Cargo.toml", "[package]\nversion = '1'\n[dependencies]\na = '1'\n", "a = '1'", "a = '2'", [DEPENDENCIES]),
    ("Cargo.toml", "[package]\nversion = '1'\n[lints.rust]\nx = 'deny'\n", "deny", "allow", [TOOLS]),
    ("db/1.sql", "x", "x", "y", [("privileged", "files")]),
    ("src/a.py", "a = f()  # noqa: E1\n", "a =", "b =", []),
    ("src/a.py", "a = f()\n", "f()", "f()  # noqa", [SUPPRESSIONS]),
    ("src/a.py", "a = f()\n", "f()", "f('# noqa')", []),
    ("src/a.py", "a = f()\n", "f()", "f()  # pragma: no cover", [SUPPRESSIONS]),
    ("src/a.ts", "f()\n", "f()", "f('// @ts-ignore')", []),
    ("src/a.ts", "f()\n", "f()", "/* eslint-disable */ f()", [SUPPRESSIONS]),
    ("src/a.rs", "fn a() {}\n", "fn", "#![allow(warnings)]\nfn", [SUPPRESSIONS]),
    ("src/a.rs", "fn a() {}\n", "fn", "// #[allow(warnings)]\nfn", []),
    ("ci.yml", "run: mypy --max-warnings 0\n", "0", "5", [SUPPRESSIONS]),
    ("README.md", "x", "x", "# noqa eslint-disable", []),
    ("src/a.py", "x = 1\n", "1", "'\u202e'", [("source-text", "text")]),
    ("src/a.py", "x = '\u202e'\n", "x =", "y =", [("source-text", "text")]),
    ("src/a.py", "x = '\u202e'\n", "'\n", "'\ny = 1\n", []),
    ("src/a.py", "x = 1\n", "1", "'\u03b1\u03b2 \u043f\u0440\u0438\u0432\u0435\u0442 \U0001f469\u200d\U0001f4bb'", []),
    ("docs/a.md", "x", "x", "zero\u200bwidth", []),
    ("po/a.po", "x", "x", "\u202b", []),
    (".gitattributes", "*.png binary\n", "binary", "binary\n*.md text", []),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "old", "new", "expected"), PARTS)
def test_which_part_of_a_file_a_change_is_about(
    path: str, text: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    assert old in text
    assert said({path: text}, {path: text.replace(old, new, 1)}) == sorted(expected)


ORDINARY = [
    "src/a.py", "tests/test_new.py", "docs/a.md", "README.md", "src/calendar/view.py", "app/types.py",
    "test/__init__.py", "src/site/index.html", "code/main.py", "vendored.txt", "src/hooks/use.ts", "Dockerfile",
    "src/agents/rules.py", "src/\u043f\u0440\u0438\u0432\u0435\u0442.py", "docs/\u65e5\u672c\u8a9e.md",
    "icons/\u00e9t\u00e9.svg",
    "src/config.json", "a.gitignore", ".gitignore", ".editorconfig", "src/conduct.py", "aux_data.csv", "LICENSE",
]  # fmt: skip


@pytest.mark.parametrize("path", ORDINARY)
def test_ordinary_files_are_nobodys_business(path: str) -> None:
    base = {"src/b.py": "", "src/types/a.py": "", "docs/b.md": ""}
    assert alarms(base, {path: "x\n"}) == []


def test_code_that_moves_takes_its_remarks_along() -> None:
    text = "import a  # noqa: F401\nb = 1  # type: ignore[x]\n"
    assert alarms({"src/a.py": text}, {"src/a.py": None, "src/b.py": "\n" + text}) == []
    more = alarms({"src/a.py": text}, {"src/a.py": None, "src/b.py": text + "c = 1  # type: ignore[y]\n"})
    assert [(one.path, one.line, one.reason) for one in more] == [("src/b.py", 3, "adds `type: ignore[y]`")]


def test_a_new_folder_may_bring_a_fixture_for_all_its_tests() -> None:
    """It concerns no test that there is; a hook does, wherever it is."""
    autouse = "import pytest\n\n@pytest.fixture(autouse=True)\ndef _home(): ...\n"
    assert alarms({"tests/test_a.py": ""}, {"tests/new/conftest.py": autouse}) == []
    assert said({"tests/new/test_a.py": ""}, {"tests/new/conftest.py": autouse}) == [STARTUP]
    assert said({}, {"tests/new/conftest.py": "def pytest_exit(): ...\n"}) == [STARTUP]


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("a.py", True), ("conf", True), ("Con", False), ("con.txt", False), ("a ", False), ("a.", False),
        (".git", False), (".GIT ", False), ("git~1", False), (".git::$INDEX_ALLOCATION", False), (".github", True),
        ("a\u200d", False), ("p\u0430y", False), ("\u043f\u0430\u0439", True), ("\udcff", False), ("a\x7f", False),
        ("\ufeffa", False),
    ],
)  # fmt: skip
def test_names(name: str, fine: bool) -> None:
    assert (name_objection(name) == "") is fine


N = 20_000
HOSTILE = {
    "a.test.js": ["it(", "it((a)", "it.a", "it('", 'it("a', "it`", "/*", "// eslint-disable "],
    "tests/a.rs": ["#[", "#[[a]", "#[a]", "#[test] fn a() {", "#[allow(", "#[cfg_attr("],
    "a_test.go": ["func Test(t *testing.T) {\n", "func (a", "//nolint "],
    "tests/test_a.py": ["# type: ignore ", "\u0430a", "aaaa\u00e9", "(", "elif ", "@x\n"],
    "Makefile": ["a b ", "a: a\n", "aaaaaaaaaaaaaaaa "],
    "ci.yml": ["fail_under ", "max-warnings"],
    "pyproject.toml": ["a=[", "'"],
    "package.json": ["[", '{"a":'],
}


@pytest.mark.parametrize("path", HOSTILE)
def test_reading_any_text_takes_time_that_grows_with_it(path: str) -> None:
    """Of what makes a careless pattern try everything: the test's own time limit tells."""
    for piece in HOSTILE[path]:
        alarms({path: "x\n"}, {path: piece * N})
        alarms({path: piece * N}, {path: piece * N + " "})


def test_skeletons() -> None:
    assert skeleton("p\u0430yp\u0430l") == skeleton("paypal") == skeleton("\uff50aypal")
    assert skeleton("caf\u00e9") != skeleton("cafe")
    assert mixed_word("say \u0430dmin") == "\u0430dmin"
    assert not mixed_word("\u03c3_max \u0394x \u00b5s")


def test_links() -> None:
    tree = Paths({"a/x": "", "a/l": "../b", "b/y": "", "loop": "loop"}, {"a/l": LINK, "loop": LINK})
    for path, target in (("b/z", "../a/x"), ("c", "a/l/y"), ("d", "nowhere/yet"), ("e", "./a/../b")):
        assert link_objection(tree, path, target) == ""
    for path, target in (("c", "../x"), ("a/c", "l/../../x"), ("c", "/etc"), ("c", "loop"), ("c", ".GIT/config")):
        assert link_objection(tree, path, target)


def test_commits() -> None:
    honest = Commit(
        "1" * 40, "Fix\n\nSigned-off-by: Ada\nTapeout is mentioned: here", ("Ada <a@x>", "tapeout worker <w@x>")
    )
    assert commit_alarms(Commits((honest,), None)) == []
    forged = honest._replace(message="Fix\n\n TAPEOUT-Attempt: x", names=("Tapeout <tapeout@localhost>",))
    assert len(commit_alarms(Commits((forged,), "2" * 40))) == 3


def test_what_is_said_can_be_printed_and_is_bounded() -> None:
    many = [Alarm("paths", "tree", f"a\x1b[2J\n{number}\udcff", number, "is bad") for number in range(500)]
    (found,) = findings_of(many, frozenset())
    assert found.reason == "a\\x1b[2J\\n0\\udcff: is bad (and 499 more)"
    assert len(found.excerpt.splitlines()) < 30
    assert all(line.isprintable() for line in found.excerpt.splitlines())
    assert "tapeout issue allow ID tree" in found.excerpt


def test_a_permission_silences_its_own_rule_only() -> None:
    found = [Alarm("a", "ci", "", 0, "x"), Alarm("a", "tests", "", 0, "y")]
    assert [finding.reason for finding in findings_of(found, {"ci"})] == ["y"]


def test_every_permission_can_be_configured_and_given() -> None:
    rules = {name for name in PrivilegedConfig.model_fields if name != "files"}
    assert rules | {"files"} == set(PERMISSIONS)
    assert WHAT_TO_DO.keys() <= set(PERMISSIONS)
    assert GateConfig().privileged.model_dump()["dependencies"] == "allow"
