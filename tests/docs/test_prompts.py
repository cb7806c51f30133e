"""The page on prompts shows what a worker is really told."""

import re
from pathlib import Path

from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig
from tapeout.floor import prompt
from tapeout.tracker import Tracker
from tapeout.tracker.drafts import parse_drafts
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "reference" / "prompts.md"


def test_the_example_is_what_a_worker_is_told(tmp_path: Path) -> None:
    (shown,) = (block.text for block in blocks(PAGE))
    text = (ROOT / "docs" / "examples" / "issues.md").read_text(encoding="utf-8")
    with Tracker.open(StatePaths(str(tmp_path / "state")), "ada") as tracker:
        issue = tracker.create_many(parse_drafts(text, "issues.md"))[0]
    issue = issue._replace(body=issue.body.partition("\n")[0])
    check = CheckConfig(name="tests", kind="test", run="python -m unittest discover -s tests -t .")
    told = prompt.first_prompt(prompt.Assignment(issue, number=1, branch="main", checks=[check]))
    assert re.sub(r"Issue \w+ ", "Issue ID ", told) == re.sub(r"Issue \w+ ", "Issue ID ", shown)


def test_the_budgets_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for part, tokens in (
        ("body", prompt.BODY_TOKENS),
        ("Acceptance criteria", prompt.ACCEPTANCE_TOKENS),
        ("Comments", prompt.COMMENTS_TOKENS),
        ("What was tried before", prompt.HISTORY_TOKENS),
    ):
        assert re.search(rf"^\| {part} \|.*\| {tokens:,} \|$", text, re.MULTILINE), part
    assert f"({prompt.FINDING_TOKENS:,} tokens each)" in text
