"""The tests that JavaScript, TypeScript, Go and Rust files define. Pure.

Read with patterns after comments are blanked out. Good enough to see that a test is gone; whatever these patterns do
not understand is not protected, which `tests-kept` says in its documentation.
"""

import re
from collections import Counter
from collections.abc import Iterable

from tapeout.gate.integrity.positions import spans

_C_LIKE = re.compile(
    r"""(?P<keep>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_RUST_LIKE = re.compile(r"""(?P<keep>"(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/""", re.DOTALL)

_JS = re.compile(
    r"""(?<![\w.$])(?P<word>it|test|xit|xtest|fit|describe|xdescribe|fdescribe|suite|context)
    (?P<chain>(?:\.\w+)*)\s*
    (?:\((?:[^()'"`]|\([^()]*\))*\)\s*|`[^`]*`\s*)?      # the table of it.each
    \(\s*(?P<quote>['"`])(?P<title>(?:\\.|(?!(?P=quote)).)*)(?P=quote)""",
    re.VERBOSE | re.DOTALL,
)
_JS_SKIP_WORDS = frozenset({"xit", "xtest", "xdescribe"})
_JS_ONLY_WORDS = frozenset({"fit", "fdescribe"})
_JS_GROUPS = frozenset({"describe", "xdescribe", "fdescribe", "suite", "context"})
_JS_SKIPS = frozenset({"skip", "todo", "skipIf", "runIf", "fails", "failing", "fixme"})

_GO = re.compile(r"^func\s+(?:\([^)]*\)\s*)?(?P<name>(?:Test|Fuzz|Example)\w*)\s*\(", re.MULTILINE)
_GO_END = re.compile(r"^\}", re.MULTILINE)
_GO_SKIP = re.compile(r"\.Skip(?:f|Now)?\(")

_RUST = re.compile(
    r"(?P<attributes>(?:#\[[^\[\]]{0,300}(?:\[[^\[\]]{0,300}\][^\[\]]{0,300}){0,8}\]\s{0,80}){1,16})"
    r"(?:pub(?:\([^)]{0,80}\))?\s+)?(?:async\s+)?fn\s+(?P<name>\w+)"
)
_RUST_TEST = re.compile(r"#\[(?:\w+::)*test\b")
_RUST_IGNORE = re.compile(r"#\[(?:ignore\b|cfg_attr\([^)]*\bignore\b)")


def javascript_tests(texts: Iterable[str]) -> Counter[str]:
    """Titles of `it` and `test` calls that run. A skipped group takes all of its file's later tests with it, `.only`
    all others of its file."""
    found: Counter[str] = Counter()
    for text in texts:
        calls = list(_JS.finditer(_without_comments(text, _C_LIKE)))
        only = any(_has(call, _JS_ONLY_WORDS, frozenset({"only"})) for call in calls)
        group_skipped = False
        for call in calls:
            skipped = _has(call, _JS_SKIP_WORDS, _JS_SKIPS)
            if call["word"] in _JS_GROUPS:
                group_skipped = group_skipped or skipped
            elif not (skipped or group_skipped) and (not only or _has(call, _JS_ONLY_WORDS, frozenset({"only"}))):
                found[call["title"]] += 1
    return found


def go_tests(texts: Iterable[str]) -> Counter[str]:
    """Names of test functions without a `t.Skip`."""
    found: Counter[str] = Counter()
    for text in texts:
        code = _without_comments(text, _C_LIKE)
        for match, following in spans(_GO, code):
            end = _GO_END.search(code, match.end(), following)
            if not _GO_SKIP.search(code, match.end(), end.start() if end else following):
                found[match["name"]] += 1
    return found


def rust_tests(texts: Iterable[str]) -> Counter[str]:
    """Names of functions with a test attribute and no `ignore`."""
    return Counter(
        match["name"]
        for text in texts
        for match in _RUST.finditer(_without_comments(text, _RUST_LIKE))
        if _RUST_TEST.search(match["attributes"]) and not _RUST_IGNORE.search(match["attributes"])
    )


def _has(call: re.Match[str], words: frozenset[str], links: frozenset[str]) -> bool:
    return call["word"] in words or not links.isdisjoint(call["chain"].split("."))


def _without_comments(text: str, tokens: re.Pattern[str]) -> str:
    return tokens.sub(lambda match: match["keep"] or " ", text)
