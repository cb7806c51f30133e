"""What the tests of JavaScript, TypeScript, Go and Rust files assert, read with patterns. Pure.

Comments and the insides of strings are blanked out first, so that lines and positions stay.
"""

import re

from tapeout.gate.integrity.assertions import Facts, Weighed

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
    r"(?P<attributes>(?:#\[[^\]]*(?:\[[^\]]*\][^\]]*)*\]\s*)+)(?:pub(?:\([^)]*\))?\s+)?(?:async\s+)?fn\s+(?P<name>\w+)"
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
    code = code_only(text)
    found: dict[str, Facts] = {}
    for match in _JS_CALL.finditer(code):
        start = match.end()
        close = code.find(match["quote"], start)
        if close > 0:
            end = _closing(code, close + 1, "(", ")")
            found[text[start:close]] = _facts(text, code, match.start(), close, end, _JS_ASSERTS, _JS_NOTHING)
    return found


def go_facts(text: str) -> dict[str, Facts]:
    """The test functions by name."""
    code = code_only(text)
    found: dict[str, Facts] = {}
    for match in _GO_FUNCTION.finditer(code):
        ends = _GO_END.search(code, match.end())
        end = ends.start() if ends else len(code)
        found[match["name"]] = _facts(text, code, match.start(), match.end(), end, _GO_ASSERTS, _GO_NOTHING)
    return found


def rust_facts(text: str) -> dict[str, Facts]:
    """The functions with a test attribute by name."""
    code = code_only_rust(text)
    found: dict[str, Facts] = {}
    for match in _RUST_FUNCTION.finditer(code):
        opening = code.find("{", match.end())
        if _RUST_TEST.search(match["attributes"]) and opening > 0:
            end = _closing(code, opening + 1, "{", "}")
            facts = _facts(text, code, match.start("name"), opening, end, _RUST_ASSERTS, _RUST_NOTHING)
            panics = (Weighed("should_panic"),) if "should_panic" in match["attributes"] else ()
            found[match["name"]] = facts._replace(assertions=facts.assertions + panics)
    return found


def _closing(code: str, start: int, opening: str, closing: str) -> int:
    """Where the bracket ends that is open at `start`."""
    depth = 1
    for match in re.compile(f"[{re.escape(opening + closing)}]").finditer(code, start):
        depth += 1 if match[0] == opening else -1
        if not depth:
            return match.start()
    return len(code)


def _facts(
    text: str, code: str, at: int, start: int, end: int, asserts: re.Pattern[str], nothing: re.Pattern[str]
) -> Facts:
    idle = [(match.start(), match.end()) for match in nothing.finditer(code, start, end)]
    places = [match.start() for match in asserts.finditer(code, start, end)]
    real = [place for place in places if not any(first <= place < last for first, last in idle)]
    return Facts(
        line=_line(code, at),
        assertions=tuple(Weighed(_statement(text, place)) for place in real),
        empty_lines=tuple(_line(code, first) for first, _ in idle),
    )


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _statement(text: str, position: int) -> str:
    """The line of an assertion, by which it is known again elsewhere."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return " ".join(text[start : end if end >= 0 else len(text)].split())
