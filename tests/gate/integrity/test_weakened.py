"""Tests that keep their name and lose their meaning; and those that were only rewritten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gate.integrity.changes import alarms


def told(path: str, before: str, after: str) -> list[tuple[int, str]]:
    found = alarms({path: before}, {path: after})
    return [(alarm.line, alarm.reason) for alarm in found if alarm.check == "tests-weakened"]


BEFORE = """
def test_a():
    assert f(1) == 2
    assert f(2) == 3
    with pytest.raises(ValueError, match="odd"):
        f(3)
    assert f(0.1) == pytest.approx(0.2, abs=1e-6)
"""

WEAKER = [
    ("    assert f(2) == 3\n", "", 2, "test_a asserts less"),
    ("f(2) == 3", "True", 4, "asserts what is always true"),
    ("f(2) == 3", "1 == 1", 4, "asserts what is always true"),
    ("f(2) == 3", "f == f", 4, "asserts what is always true"),
    ("f(2) == 3", "(f(2), 'is three')", 4, "asserts what is always true"),
    ("f(2) == 3", "f(2) == 3 or True", 4, "asserts what is always true"),
    ("f(2) == 3", "f(2) is not None", 2, "asserts that there is something"),
    ("f(2) == 3", "isinstance(f(2), int)", 2, "asserts that there is something"),
    ("f(2) == 3", "f(2)", None, ""),
    ("ValueError, match", "Exception, match", None, ""),
    ('ValueError, match="odd"', "Exception", 2, "expects any exception"),
    (', match="odd"', "", 2, "expects any message"),
    ("1e-6", "1e-2", 2, "tolerates more"),
    ("1e-6", "1e-9", None, ""),
    (
        "    assert f(2) == 3\n",
        "    try:\n        assert f(2) == 3\n    except Exception:\n        pass\n",
        2,
        "catches",
    ),
    ("    assert f(2) == 3\n", "    with suppress(AssertionError):\n        assert f(2) == 3\n", 2, "catches"),
    ("    assert f(2) == 3\n", "    return\n    assert f(2) == 3\n", 2, "asserts less"),
    ("    assert f(2) == 3\n", "    if False:\n        assert f(2) == 3\n", 2, "asserts less"),
    (BEFORE, "\ndef test_a():\n    f(1)\n", 2, "asserts nothing any more"),
    (BEFORE, "\ndef test_a():\n    if LATER:\n" + BEFORE[14:].replace("    ", "        "), 2, "only under a condition"),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), WEAKER)
def test_a_weakened_python_test(old: str, new: str, line: int | None, reason: str) -> None:
    assert old in BEFORE
    found = told("tests/test_a.py", BEFORE, BEFORE.replace(old, new))
    if not reason:
        assert not found
    else:
        assert any(reason in text for _, text in found), found
        assert line in [number for number, _ in found] or "catches" in reason


REWRITTEN = {
    "a helper": "def check(n, m):\n    assert f(n) == m\n" + BEFORE.replace("assert f(2) == 3", "check(2, 3)"),
    "a loop": BEFORE.replace(
        "    assert f(1) == 2\n    assert f(2) == 3\n", "    for n, m in [(1, 2), (2, 3)]:\n        assert f(n) == m\n"
    ),
    "one comparison": BEFORE.replace(
        "    assert f(1) == 2\n    assert f(2) == 3\n", "    assert [f(1), f(2)] == [2, 3]\n"
    ),
    "two tests": BEFORE.replace("    assert f(2) == 3\n", "") + "\ndef test_two():\n    assert f(2) == 3\n",
    "other values": BEFORE.replace("== 3", "== 4"),
    "more": BEFORE + "    assert f(4) == 5\n",
    "unittest": BEFORE.replace("assert f(2) == 3", "self.assertEqual(f(2), 3)"),
    "an exception that is narrower": BEFORE.replace("ValueError", "OddError"),
    "a cleanup": BEFORE.replace(
        "    assert f(2) == 3\n", "    try:\n        assert f(2) == 3\n    finally:\n        done()\n"
    ),
    "not Python at all": "def test_a(: ...",
}


@pytest.mark.parametrize("how", REWRITTEN)
def test_a_rewritten_test_raises_no_alarm(how: str) -> None:
    assert told("tests/test_a.py", BEFORE, REWRITTEN[how]) == []


CASES = "@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_a(n):\n    assert f(n) == n\n"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (CASES.replace("[1, 2, 3]", "[1]"), "has 1 cases, 3"),
        (CASES.replace("3]", "pytest.param(3, marks=pytest.mark.skip)]"), "has 2 cases, 3"),
        (CASES.replace("[1, 2, 3]", "ALL") + "\nALL = [1, 2]\n", "has 2 cases, 3"),
        (CASES.replace("[1, 2, 3]", "every()"), ""),
        (CASES.replace("[1, 2, 3]", "[1, 2, 4]"), ""),
        (CASES.replace("[1, 2, 3]", "[1, 2]") + CASES.replace("test_a", "test_b").replace("[1, 2, 3]", "[3]"), ""),
        ("def test_a():\n    for n in [1, 2, 3]:\n        assert f(n) == n\n", ""),
    ],
)
def test_cases_of_a_parametrized_test(after: str, reason: str) -> None:
    found = told("tests/test_a.py", CASES, after)
    assert any(reason in text for _, text in found) if reason else not found, found


def test_a_test_that_moved_is_compared_with_what_it_was() -> None:
    weaker = BEFORE.replace("    assert f(2) == 3\n", "")
    found = alarms({"tests/test_a.py": BEFORE}, {"tests/test_a.py": None, "tests/test_b.py": weaker})
    assert [(one.path, one.check) for one in found] == [("tests/test_b.py", "tests-weakened")]


OTHERS = {
    "a.test.ts": (
        "test('adds', () => {\n  expect(add(1, 2)).toBe(3)\n  expect(add(2, 2)).toBe(4)\n})\n",
        "expect(add(2, 2)).toBe(4)",
        "expect(true).toBe(true)",
    ),
    "a_test.go": (
        "func TestAdd(t *testing.T) {\n\tif add(1) != 3 {\n\t\tt.Error()\n\t}\n\trequire.Equal(t, 4, add(2, 2))\n}\n",
        "require.Equal(t, 4, add(2, 2))",
        "require.True(t, true)",
    ),
    "tests/a.rs": (
        "#[test]\nfn adds() {\n    assert_eq!(add(1, 2), 3);\n    assert_eq!(add(2, 2), 4);\n}\n",
        "assert_eq!(add(2, 2), 4)",
        "assert!(true)",
    ),
}


@pytest.mark.parametrize("path", OTHERS)
def test_other_languages(path: str) -> None:
    text, line, constant = OTHERS[path]
    assert told(path, text, text) == []
    assert told(path, "", text) == []
    assert any("always true" in reason for _, reason in told(path, text, text.replace(line, constant)))
    assert any("asserts less" in reason for _, reason in told(path, text, text.replace(line, "// " + line)))
    nothing = "\n".join(
        row for row in text.split("\n") if not any(word in row for word in ("expect", "assert", "t.E", "req"))
    )
    assert any("asserts nothing" in reason for _, reason in told(path, text, nothing))


@given(
    st.text(alphabet="def test_a():\n    assert =1#\"'(){}[]", max_size=120),
    st.sampled_from([".py", ".js", ".go", ".rs"]),
)
def test_any_text_can_be_read_and_is_no_weaker_than_itself(text: str, suffix: str) -> None:
    path = f"tests/test_a{suffix}"
    assert alarms({path: text}, {path: text}) == []
    alarms({path: text}, {path: text[::-1]})
    alarms({}, {path: text})
