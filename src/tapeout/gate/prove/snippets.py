"""Known defects, as text that is added to the end of a file of the language. Pure data.

Every snippet is harmless to the repository: it lives in a scratch copy only. Keys and tokens are put together from
pieces, so that a scanner of this very file finds none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snippet:
    """One defect in one language."""

    name: str
    """What is wrong, for people."""
    kinds: frozenset[str]
    """Kinds of checks that can be expected to see it."""
    text: str
    """What is added to the end of a file."""
    in_tests: bool = False
    """It belongs into a file of tests."""


def _tangled(header: str, open_: str, close: str, end: str) -> str:
    """A function of twenty conditions, each inside the one before."""
    depth = 20
    opened = [("    " * (level + 1)) + open_.format(level=level) for level in range(depth)]
    closed = [("    " * (level + 1)) + close for level in reversed(range(depth)) if close]
    return "\n".join([header, *opened, "    " * (depth + 1) + end, *closed])


def _kinds(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PYTHON = (
    Snippet(
        "failing assertion",
        _kinds("test custom"),
        "\n\nimport unittest\n\n\nclass TapeoutPlanted(unittest.TestCase):\n    def test_planted(self):\n"
        '        self.assertEqual(1, 2, "planted by tapeout gate prove")\n',
        in_tests=True,
    ),
    Snippet("wrong type", _kinds("types custom"), '\n\ndef tapeout_planted() -> int:\n    return "text"\n'),
    Snippet("badly laid out line", _kinds("lint"), "\n\ntapeout_planted   =  [1,2 ,3]\n"),
    Snippet(
        "undefined name", _kinds("lint types"), "\n\ndef tapeout_planted() -> None:\n    tapeout_undefined_name()\n"
    ),
    Snippet("unused import", _kinds("lint"), "\n\nimport os as tapeout_unused\n"),
    Snippet(
        "tangled function",
        _kinds("complexity"),
        "\n\n"
        + _tangled("def tapeout_planted(x: list[int]) -> None:", "if x[{level}] > {level}:", "", "x.clear()")
        + "\n",
    ),
    Snippet(
        "untested function",
        _kinds("coverage"),
        "\n\ndef tapeout_planted(number: int) -> int:\n    if number > 1:\n        number += 1\n"
        "    else:\n        number -= 1\n    return number\n",
    ),
    Snippet("import of a package that nothing declares", _kinds("dependencies"), "\n\nimport tapeout_undeclared\n"),
    Snippet("error at import", _kinds("test custom"), '\n\nraise RuntimeError("planted by tapeout gate prove")\n'),
    Snippet("syntax error", _kinds("build types lint complexity test custom"), "\n\ndef tapeout_planted(:\n"),
)

_JAVASCRIPT = (
    Snippet(
        "failing test", _kinds("test custom"), '\nthrow new Error("planted by tapeout gate prove");\n', in_tests=True
    ),
    Snippet("undefined name", _kinds("lint types"), "\ntapeoutUndefinedName();\n"),
    Snippet("unused variable", _kinds("lint"), "\nconst tapeoutUnused = 1;\n"),
    Snippet(
        "tangled function",
        _kinds("complexity"),
        "\n" + _tangled("function tapeoutPlanted(x) {", "if (x > {level}) {{", "}", "x();") + "\n}\n",
    ),
    Snippet("untested function", _kinds("coverage"), "\nexport function tapeoutPlanted(x) {\n  return x ? 1 : 2;\n}\n"),
    Snippet(
        "import of a package that nothing declares", _kinds("dependencies build"), '\nimport "tapeout-undeclared";\n'
    ),
    Snippet("error at import", _kinds("test custom"), '\nthrow new Error("planted by tapeout gate prove");\n'),
    Snippet("syntax error", _kinds("build types lint complexity test custom"), "\nfunction tapeoutPlanted( {\n"),
)

_TYPESCRIPT = (
    Snippet("wrong type", _kinds("types build custom"), '\nexport const tapeoutPlanted: number = "text";\n'),
    *_JAVASCRIPT,
)

_GO = (
    Snippet(
        "failing test",
        _kinds("test custom"),
        '\nfunc TestTapeoutPlanted(t *testing.T) { t.Fatal("planted by tapeout gate prove") }\n',
        in_tests=True,
    ),
    Snippet("wrong type", _kinds("build types lint test custom"), '\nvar tapeoutPlanted int = "text"\n'),
    Snippet("assignment to itself", _kinds("lint"), "\nfunc tapeoutPlanted(x int) { x = x }\n"),
    Snippet(
        "tangled function",
        _kinds("complexity"),
        "\n" + _tangled("func tapeoutPlanted(x int) {", "if x > {level} {{", "}", "x++") + "\n}\n",
    ),
    Snippet(
        "untested function",
        _kinds("coverage"),
        "\nfunc tapeoutPlanted(x int) int {\n\tif x > 1 {\n\t\treturn 1\n\t}\n\treturn 2\n}\n",
    ),
    Snippet("syntax error", _kinds("build types lint complexity test custom"), "\nfunc tapeoutPlanted( {\n"),
)

_RUST = (
    Snippet(
        "failing test",
        _kinds("test custom"),
        '\n#[test]\nfn tapeout_planted_test() { panic!("planted by tapeout gate prove"); }\n',
    ),
    Snippet("wrong type", _kinds("build types lint test custom"), '\npub const TAPEOUT_PLANTED: i32 = "text";\n'),
    Snippet(
        "comparison with true",
        _kinds("lint"),
        "\npub fn tapeout_planted(x: bool) -> bool { if x == true { return true; } false }\n",
    ),
    Snippet(
        "tangled function",
        _kinds("complexity"),
        "\n" + _tangled("pub fn tapeout_planted(x: i32) {", "if x > {level} {{", "}", "drop(x);") + "\n}\n",
    ),
    Snippet(
        "untested function",
        _kinds("coverage"),
        "\npub fn tapeout_planted(x: i32) -> i32 { if x > 1 { 1 } else { 2 } }\n",
    ),
    Snippet("syntax error", _kinds("build types lint complexity test custom"), "\nfn tapeout_planted( {\n"),
)  # fmt: skip

SNIPPETS: dict[str, tuple[Snippet, ...]] = {
    ".py": _PYTHON,
    ".js": _JAVASCRIPT, ".jsx": _JAVASCRIPT, ".mjs": _JAVASCRIPT, ".cjs": _JAVASCRIPT,
    ".ts": _TYPESCRIPT, ".tsx": _TYPESCRIPT, ".mts": _TYPESCRIPT, ".cts": _TYPESCRIPT,
    ".go": _GO,
    ".rs": _RUST,
}  # fmt: skip
"""By the suffix of a file."""

KEYS = (
    ("access key", "AKIA" + "Q3EGRJ7LZ2XK5WNB"),
    ("token", "ghp" + "_" + "x7Kq2mPz9RtL4vWn8BsYcD3fGhJ5kA6eQ1uT"),
    (
        "private key",
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA7vXmJr9q\n-----END RSA " + "PRIVATE KEY-----",
    ),
)
"""What a scanner for secrets knows: none of them opens anything."""
