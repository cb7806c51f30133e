"""The documented schema of our own format says what is written and read."""

import json
from typing import Any

from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import DEPENDENCY_KINDS, ISSUE_TYPES, RESOLUTIONS
from tapeout.tracker.transfer import Attachment, Note, Record, native
from tests.docs.pages import ROOT
from tests.docs.test_reference import problems

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/reference/issue.schema.json").read_text(encoding="utf-8"))

FULL = Record(
    "line 1", "abc", "Title", 1.5, 2.5, "body", "acceptance", "design", "bug", 1, "landed", 2.5, "ada", "c" * 40,
    ("x",), ("*.py",), "def", "agent", "grace", "why", 3.5, 4.5, 5, "gh-1", "edsger", (("ghi", "conditional"),),
    (Note("ada", 1.5, "hm"), Note(None, 1.5, "hm")), (Attachment("a", "b" * 40, 1, None, 1.5, b"x"),),
    history={"attempts": [{}], "changes": [{}], "lease": {"owner": "ada", "expires": 1.5}},
)  # fmt: skip


def test_every_field_is_in_the_schema_and_fits_it() -> None:
    item = json.loads(json.dumps(native.write(FULL)))
    assert item.keys() == SCHEMA["properties"].keys()
    assert problems(item, SCHEMA) == []


def test_a_small_issue_fits(tracker: Tracker) -> None:
    tracker.create(Draft("One"))
    (item,) = tracker.export_issues()
    assert problems(item, SCHEMA) == []
    assert item.keys() == {*SCHEMA["required"], "created_by"}


def test_its_words_are_those_of_the_model() -> None:
    words = SCHEMA["properties"]
    assert words["type"]["enum"] == [*ISSUE_TYPES]
    assert words["resolution"]["enum"] == [*RESOLUTIONS]
    assert words["dependencies"]["items"]["properties"]["kind"]["enum"] == [*DEPENDENCY_KINDS]
    assert words["tapeout"]["const"] == native.VERSION
