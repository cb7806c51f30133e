"""The page on prompts shows what a worker is really told."""

import re
from pathlib import Path

import pytest

from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, PromptConfig
from tapeout.floor.prompting import Assignment, first_prompt
from tapeout.floor.prompting.parts import PRIORITY
from tapeout.tracker import Tracker
from tapeout.tracker.drafts import parse_drafts
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "reference" / "prompts.md"
LIMITS = PromptConfig()


def test_the_example_is_what_a_worker_is_told(tmp_path: Path) -> None:
    (shown,) = (block.text for block in blocks(PAGE) if not block.info)
    text = (ROOT / "docs" / "examples" / "issues.md").read_text(encoding="utf-8")
    with Tracker.open(StatePaths(str(tmp_path / "state")), "ada") as tracker:
        issue = tracker.create_many(parse_drafts(text, "issues.md"))[0]
    issue = issue._replace(body=issue.body.partition("\n")[0])
    check = CheckConfig(name="tests", kind="test", run="python -m unittest discover -s tests -t .")
    told = first_prompt(Assignment(issue, number=1, branch="main", checks=[check]), LIMITS).text
    assert re.sub(r"Issue \w+ ", "Issue ID ", told) == re.sub(r"Issue \w+ ", "Issue ID ", shown)


@pytest.mark.parametrize(
    ("title", "part", "tokens"),
    [
        ("What to do", "issue", LIMITS.issue),
        ("Acceptance criteria", "acceptance", LIMITS.acceptance),
        ("Design notes", "design", LIMITS.design),
        ("Expected to touch", "scope", LIMITS.acceptance),
        ("Comments", "comments", LIMITS.comments),
        ("What was tried before", "dead_ends", LIMITS.dead_ends),
        ("What landed elsewhere after the same failure", "solutions", LIMITS.solutions),
        ("What the session before left", "handoff", LIMITS.handoff),
        ("The checks that decide", "checks", LIMITS.checks),
    ],
)
def test_budgets_and_importance_are_those_of_the_code(title: str, part: str, tokens: int) -> None:
    text = PAGE.read_text(encoding="utf-8")
    row = rf"^\| {title} \|.*\| {tokens:,} \| {PRIORITY.index(part) + 1} \|$"
    assert re.search(row, text, re.MULTILINE)
    assert text.count("\n| ") - 1 == len(PRIORITY), "a row for every part"
    assert f"{LIMITS.total:,}" in text
    assert f"{LIMITS.finding:,} tokens each" in text
