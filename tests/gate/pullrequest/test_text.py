"""Titles and descriptions: whatever a title says, no forge acts upon it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.gate.harmless import harmless
from tapeout.gate.pullrequest.text import TITLE_CHARS, Landed, body_of, title_of

COMMIT = "a" * 40
RECORD = {"issue": "tp-1", "run": "r1", "checks": [{"name": "unit", "passed": True}]}
ACTS = re.compile(r"@\w|#\w|://|GH-\d|\[(skip|no) ci\]|\[ci skip\]", re.IGNORECASE)


@pytest.mark.parametrize(
    "title",
    [
        "Thanks @everybody and @org/team",
        "closes #12",
        "Fixes: ada/work#12",
        "resolves GH-12",
        "closes https://forge.example/ada/work/issues/12",
        "done [skip ci] [ci skip] [no ci]",
        "`code` @ada `closes #12`",
        "``` \n@ada\n```",
        "<img src=https://evil.example/x> <!-- @ada",
        "\x1b[2Jclear\r\n\r\ncloses #12",
        "up\u202eside\u2066 down @\u200bada #\u200b12",
        "@" * 500 + "ada",
        "--body=hello",
        "$(touch ran) `touch ran` ; touch ran",
    ],
)
def test_hostile_titles(title: str) -> None:
    landed = [Landed(COMMIT, title, RECORD)]
    for text in (title_of(landed), body_of(landed, branch="main"), title_of(landed * 3)):
        assert not ACTS.search(text)
        assert "\x1b" not in text
        assert not re.search("[\u202a-\u202e\u2066-\u2069\r]", text)
    line = body_of(landed, branch="main").splitlines()[2]
    assert line.startswith("- `")
    assert line.endswith("`")
    assert line.count("`") == 2, "it cannot leave the code that it stands in"


@given(st.text(), st.integers(min_value=1, max_value=200))
def test_any_text_is_one_bounded_harmless_line(text: str, limit: int) -> None:
    line = harmless(text, limit)
    assert len(line) <= limit
    assert not ACTS.search(line)
    assert line.replace("\u200b", "").isprintable()
    assert harmless(line, limit) == line


@given(st.lists(st.builds(Landed, st.just(COMMIT), st.text(), st.none() | st.just(RECORD)), max_size=80))
def test_descriptions_are_bounded(landed: list[Landed]) -> None:
    body = body_of(landed, branch="main")
    assert len(body) < 65_536
    assert not ACTS.search(body)
    assert len(title_of(landed)) <= TITLE_CHARS
    assert title_of(landed)
    assert ("- and more" in body) == (len(landed) > 50)


def test_the_longest_description_fits() -> None:
    checks = [{"name": f"{number:060}", "passed": True} for number in range(100)]
    record = {**RECORD, "checks": checks}
    body = body_of([Landed(COMMIT, "x" * 1000, record)] * 60, branch="main")
    assert len(body) < 65_536
    assert body.count("- and more") == 1
    assert "80 more" in body


@pytest.mark.parametrize("record", [{}, {"checks": 3}, {"checks": [None, {"passed": "yes"}], "issue": None, "run": []}])
def test_evidence_of_any_shape(record: dict[str, object]) -> None:
    assert COMMIT in body_of([Landed(COMMIT, "", record)], branch="main")


def test_ordinary_titles_stay_as_they_are() -> None:
    for title in ("Greet by name", "C# and F# support", "Größe: 5 €, naïve 日本語", "a@ b # c", "Skip CI's cache"):
        assert harmless(title, TITLE_CHARS).replace("\u200b", "") == title
    assert harmless("C# and F# support", TITLE_CHARS) == "C# and F# support"
