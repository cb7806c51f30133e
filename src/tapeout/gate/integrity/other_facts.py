"""What the tests of JavaScript, TypeScript, Go and Rust files assert, read with patterns. Pure.

Comments and the insides of strings are blanked out first, so that lines and positions stay.
"""

import re

from tapeout.gate.integrity.assertions import Facts, Weighed
from tapeout.gate.integrity.positions import Lines, spans

_ROW = 300
"""Characters of a line by which an assertion is known again."""

_JS_CALL = re.compile(
    r"(?<![\w.$])(?:it|test)(?:\.\w+)*\s*(?:\((?:[^()]|\([^()]*\))*\)\s*|`[^`]*`\s*)?\(\s*(?P<quote>['\"`])"
)
_JS_ASSERTS = re.compile(r"\bexpect\w*\s*(?:\.\w+\s*)*\(|\bassert\w*(?:\.\w+)*\s*\(|\.should\b|\bt\.\w+\s*\(")
_JS_NOTHING = re.compile(
    r"\bexpect\s*\(\s*(?P<value>true|1|!0)\s*\)\s*\.\s*(?:toBe|toEqual|toStrictEqual|toBeTruthy|toBeDefined)\s*"
    r"\(\s*(?:true|1|!0)?\s*\)|\bassert(?:\.ok)?\s*\(\s*(?:true|1|!0)\s*[,)]"
)

_GO_FUNCTION = re.compile(r"^func\s+(?:\([^)]*\)\s*)?(?P<name>(?:Test|Fuzz)\w*)\s*\(", re.MULTILINE)
_GO_END = re.compile(r"^\}", re.MULTILINE)
_GO_ASSERTS = re.compile(
    r"\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s*\(|\b(?:require|assert|is|qt|check|must)\w*(?:\.\w+)?\s*\(|\bpanic\("
)
_GO_NOTHING = re.compile(r"\b(?:assert|require)\.(?:True\s*\([^,()]*,\s*true|False\s*\([^,()]*,\s*false)\s*[,)]")

_RUST_FUNCTION = re.compile(
    r"(?P<attributes>(?:#\[[^\[\]]{0,300}(?:\[[^\[\]]{0,300}\][^\[\]]{0,300}){0,8}\]\s{0,80}){1,16})"
    r"(?:pub(?:\([^)]{0,80}\))?\s+)?(?:async\s+)?fn\s+(?P<name>\w+)"
)
_RUST_TEST = re.compile(r"#\[(?:\w+::)*test\b")
_RUST_ASSERTS = re.compile(
    r"\b(?:debug_)?assert\w*!|\bpanic!|\bunreachable!|\.unwrap(?:_err)?\s*\(|\.expect(?:_err)?\s*\(|\bcheck\w*\(|\bassert\w*\("
)
_RUST_NOTHING = re.compile(r"\bassert!\s*\(\s*true\s*[,)]|\bassert_eq!\s*\(\s*true\s*,\s*true\s*[,)]")

_TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""",
    re.DOTALL,
)
_RUST_TOKENS = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\\n])'""", re.DOTALL)


def code_only(text: str, tokens: re.Pattern[str] = _TOKENS) -> str:
    """The text with comments and the insides of strings as spaces."""
    return tokens.sub(_blanked, text)


def code_only_rust(text: str) -> str:
    """As `code_only`: in Rust a single quote may begin a lifetime."""
    return code_only(text, _RUST_TOKENS)


def _blanked(match: re.Match[str]) -> str:
    found = match[0]
    quote = found[0] if found[0] in "\"'`" else " "
    inside = "".join("\n" if c == "\n" else " " for c in found[1:-1])
    return f"{quote}{inside}{quote}" if len(found) > 1 else found


def javascript_facts(text: str) -> dict[str, Facts]:
    """The `it` and `test` calls by title."""
    reader = _Reader(text, code_only(text), _JS_ASSERTS, _JS_NOTHING)
    found: dict[str, Facts] = {}
    for match, following in spans(_JS_CALL, reader.code):
        close = reader.code.find(match["quote"], match.end(), following)
        if close > 0:
            end = _closing(_ROUND, reader.code, close + 1, following)
            found[text[match.end() : close]] = reader.facts(match.start(), close, end)
    return found


def go_facts(text: str) -> dict[str, Facts]:
    """The test functions by name."""
    reader = _Reader(text, code_only(text), _GO_ASSERTS, _GO_NOTHING)
    found: dict[str, Facts] = {}
    for match, following in spans(_GO_FUNCTION, reader.code):
        ends = _GO_END.search(reader.code, match.end(), following)
        found[match["name"]] = reader.facts(match.start(), match.end(), ends.start() if ends else following)
    return found


def rust_facts(text: str) -> dict[str, Facts]:
    """The functions with a test attribute by name."""
    reader = _Reader(text, code_only_rust(text), _RUST_ASSERTS, _RUST_NOTHING)
    found: dict[str, Facts] = {}
    for match, following in spans(_RUST_FUNCTION, reader.code):
        opening = reader.code.find("{", match.end(), following)
        if _RUST_TEST.search(match["attributes"]) and opening > 0:
            end = _closing(_CURLY, reader.code, opening + 1, following)
            facts = reader.facts(match.start("name"), opening, end)
            panics = (Weighed("should_panic"),) if "should_panic" in match["attributes"] else ()
            found[match["name"]] = facts._replace(assertions=facts.assertions + panics)
    return found


_ROUND, _CURLY = re.compile("[()]"), re.compile("[{}]")


def _closing(brackets: re.Pattern[str], code: str, start: int, end: int) -> int:
    """Where the bracket ends that is open at `start`; `end` if it does not before."""
    depth = 1
    for match in brackets.finditer(code, start, end):
        depth += 1 if match[0] in "({" else -1
        if not depth:
            return match.start()
    return end


class _Reader:
    """Reads what parts of one file assert."""

    def __init__(self, text: str, code: str, asserts: re.Pattern[str], nothing: re.Pattern[str]) -> None:
        self.code = code
        self._lines = Lines(code)
        self._rows = text.split("\n")
        self._asserts = asserts
        self._nothing = nothing

    def facts(self, at: int, start: int, end: int) -> Facts:
        """What the test asserts that begins `at` and whose body is between `start` and `end`."""
        idle = [(match.start(), match.end()) for match in self._nothing.finditer(self.code, start, end)]
        starts = {place for first, last in idle for place in range(first, last)}
        places = [match.start() for match in self._asserts.finditer(self.code, start, end)]
        return Facts(
            line=self._lines.at(at),
            assertions=tuple(Weighed(self._row(place)) for place in places if place not in starts),
            empty_lines=tuple(self._lines.at(first) for first, _ in idle),
        )

    def _row(self, position: int) -> str:
        """The line of an assertion, by which it is known again elsewhere."""
        return " ".join(self._rows[self._lines.at(position) - 1][:_ROW].split())
