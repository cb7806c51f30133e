"""A change keeps the tests that it is judged by."""

import pytest

from tapeout.gate.globs import matches
from tapeout.gate.integrity.kept import removed_tests
from tests.gate.site import Site

PY = """
import unittest, pytest

def test_plain(): assert 1
async def test_async(): assert 1
def helper(): ...

class TestThing(unittest.TestCase):
    def test_method(self): ...
    class TestInner:
        def test_deep(self): ...

if True:
    def test_conditional(): ...
"""
PY_TESTS = ["TestThing.TestInner.test_deep", "TestThing.test_method", "test_async", "test_conditional", "test_plain"]

JS = """
describe('group', () => {
  it("adds 'two' numbers", () => { expect(1).toBe(1) })  // it('not a test')
  test.each([[1, 2], [3, 4]])(`multiplies %i`, () => {})
  it(
    'spans lines', async () => {})
  /* it('commented out', () => {}) */
})
"""
JS_TESTS = ["adds 'two' numbers", "multiplies %i", "spans lines"]

GO = """package m
import "testing"
func TestAdd(t *testing.T) {
	t.Run("x", func(t *testing.T) {})
}
// func TestNot(t *testing.T) {}
func FuzzIt(f *testing.F) {
}
func helper() { t.Skip() }
"""
GO_TESTS = ["FuzzIt", "TestAdd"]

RUST = """
#[cfg(test)]
mod tests {
    #[test]
    fn adds<'a>() { let c = 'x'; }
    #[tokio::test(flavor = "multi_thread")]
    #[should_panic]
    pub async fn waits() {}
    // #[test] fn not() {}
    #[allow(dead_code)]
    fn helper() {}
}
"""
RUST_TESTS = ["adds", "waits"]


@pytest.mark.parametrize(
    ("path", "text", "tests"),
    [
        ("tests/test_a.py", PY, PY_TESTS),
        ("a.test.ts", JS, JS_TESTS),
        ("a_test.go", GO, GO_TESTS),
        ("tests/a.rs", RUST, RUST_TESTS),
        ("tests/a_spec.rb", "it 'works'", ["a_spec.rb"]),
        ("tests/run.sh", "true", ["run.sh"]),
        ("tests/data.json", "{}", []),
        ("tests/README.md", "# it('x')", []),
        ("t.py", "def test_a(): match x::\nclass TestB:\n  def test_c(self): ?", ["TestB.test_c", "test_a"]),
    ],
)  # fmt: skip
def test_a_removed_file_takes_its_tests_with_it(path: str, text: str, tests: list[str]) -> None:
    assert removed_tests({path: text}, {}) == tests
    assert removed_tests({path: text}, {path: text}) == []
    assert removed_tests({}, {path: text}) == []


METHOD = "class TestX:\n  def test_a(self): ..."


@pytest.mark.parametrize(
    ("path", "before", "after", "removed"),
    [
        ("t.py", "def test_a(): ...", "def test_b(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "def test_b(): ...\ndef test_a(): ...", []),
        ("t.py", "def test_a(): ...", "# def test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "'''\ndef test_a(): ...\n'''", ["test_a"]),
        ("t.py", "def test_a(): ...", "if False:\n    def test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "def f():\n    def test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "import pytest\n@pytest.mark.skip\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "@pytest.mark.skipif(True, reason='x')\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "@pytest.mark.xfail\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "@pytest.mark.parametrize('x', [1])\ndef test_a(x): ...", []),
        ("t.py", "def test_a(): ...", "def test_a():\n    pytest.skip('later')", ["test_a"]),
        ("t.py", "def test_a(): ...", "pytestmark = pytest.mark.skip\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "pytestmark = [pytest.mark.slow]\ndef test_a(): ...", []),
        ("t.py", "def test_a(): ...", "pytest.skip('x', allow_module_level=True)\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "x = pytest.importorskip('nope')\ndef test_a(): ...", ["test_a"]),
        ("t.py", "def test_a(): ...", "def test_a(: ...", []),
        ("t.py", "def test_a(): ...", "syntax error here", ["test_a"]),
        ("t.py", "@pytest.mark.skip\ndef test_a(): ...", "", []),
        ("t.py", METHOD, "@unittest.skip('x')\nclass TestX:\n  def test_a(self): ...", ["TestX.test_a"]),
        ("t.py", METHOD, "class TestX:\n  __test__ = False\n  def test_a(self): ...", ["TestX.test_a"]),
        ("t.py", METHOD, "class X:\n  def test_a(self): ...", ["TestX.test_a"]),
        ("t.py", METHOD, "class TestX:\n  def test_a(self):\n    self.skipTest('x')", ["TestX.test_a"]),
        ("t.py", "def test_a(): ...", "def test_a(): items.skip(2)", []),
        ("t.js", "it('a')", "it.skip('a')", ["a"]),
        ("t.js", "it('a')", "xit('a')", ["a"]),
        ("t.js", "it('a')", "it.todo('a')", ["a"]),
        ("t.js", "it('a')", "// it('a')", ["a"]),
        ("t.js", "it('a')\nit('b')", "it.only('a')\nit('b')", ["b"]),
        ("t.js", "describe('g'); it('a')", "describe.skip('g'); it('a')", ["a"]),
        ("t.js", "it('a')", "test('a')", []),
        ("t.js", "submit('a')", "", []),
        ("t.js", "const glob = 'src/**/*.js'\nit('a')\n// */", "const glob = 'src/**/*.js'\nit('a')", []),
        ("t_test.go", "func TestA(t *testing.T) {\n}\n", "func TestA(t *testing.T) {\n\tt.Skip()\n}\n", ["TestA"]),
        ("t_test.go", "func TestA(t *testing.T) {\n}\n", "func TestB(t *testing.T) {\n}\n", ["TestA"]),
        ("t.rs", "#[test]\nfn a() {}", "#[test]\n#[ignore]\nfn a() {}", ["a"]),
        ("t.rs", "#[test]\nfn a() {}", "#[ignore = \"slow\"]\n#[test]\nfn a() {}", ["a"]),
        ("t.rs", "#[test]\nfn a() {}", "fn a() {}", ["a"]),
        ("t.sh", "true", "  \n", ["t.sh"]),
        ("t.sh", "true", "false", []),
    ],
)  # fmt: skip
def test_removed_renamed_and_newly_skipped_tests(path: str, before: str, after: str, removed: list[str]) -> None:
    assert removed_tests({path: before}, {path: after}) == removed


def test_moving_tests_between_files_is_fine() -> None:
    assert removed_tests({"tests/old.py": PY}, {"tests/new.py": PY}) == []
    assert removed_tests({"a.js": JS}, {"b.test.tsx": JS}) == []
    assert removed_tests({"tests/a.sh": "x"}, {"tests/sub/a.sh": "y"}) == []


def test_a_test_of_the_same_name_elsewhere_does_not_make_up_for_a_removed_one() -> None:
    text = "def test_a(): ..."
    assert removed_tests({"a.py": text, "b.py": text}, {"a.py": text + "\n"}) == ["test_a"]


@pytest.mark.parametrize(
    ("path", "glob", "fits"),
    [
        ("test_a.py", "**/test_*.py", True),
        ("a/b/test_a.py", "**/test_*.py", True),
        ("a/xtest_a.py", "**/test_*.py", False),
        ("tests/a/b", "tests/**", True),
        ("tests", "tests/**", False),
        ("xtests/a", "tests/**", False),
        ("a/b.test.ts", "**/*.test.*", True),
        ("a/b.py", "*.py", False),
        ("b.py", "?.py", True),
        ("b.py", "[!a].py", True),
        ("a.py", "[!a].py", False),
        ("a+(b).py", "a+(b).py", True),
        ("a\nb.py", "*.py", True),
    ],
)
def test_globs(path: str, glob: str, fits: bool) -> None:
    assert matches(path, [glob]) is fits


def test_a_change_that_deletes_a_test_fails_the_gate(site: Site) -> None:
    first = site.submit({"tests/test_a.py": "def test_a(): ...\ndef test_b(): ...\n"})
    site.run()
    deletes = site.submit({"tests/test_a.py": "def test_b(): ...\n"})
    skips = site.submit({"tests/test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...\n"})
    site.run()  # they are in each other's way: one that lands would leave the others a conflict with main
    removes = site.submit({"tests/test_a.py": None})
    site.run()
    moves = site.submit({"tests/test_a.py": None, "tests/test_z.py": "def test_a(): ...\ndef test_b(): ...\n"})
    site.run()

    assert site.state(first) == "landed"
    for change, count in ((deletes, "1 test that exists"), (skips, "1 test that exists"), (removes, "2 tests")):
        assert site.state(change) == "failed"
        finding = site.verdict(change)["findings"][0]
        assert finding["check"] == "tests-kept"
        assert count in finding["reason"]
        assert "test_a" in finding["excerpt"]
    assert site.state(moves) == "landed"


def test_tests_that_main_got_meanwhile_are_not_missed_in_an_older_change(site: Site) -> None:
    old_base = site.main
    site.submit({"tests/test_new.py": "def test_new(): ...\n"})
    older = site.submit({"a.txt": "x"}, base=old_base)
    site.run()
    assert site.state(older) == "landed"
