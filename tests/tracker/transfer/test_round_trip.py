"""What one tracker exports, another one imports and exports again: the same, in every format."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import DEPENDENCY_KINDS, ISSUE_TYPES, PERSON_RESOLUTIONS
from tapeout.tracker.transfer import formats
from tests.tracker import tools

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["## Notes\n\nx", "a\n\n## Acceptance criteria\n\nb", "\n\n## Design\n\n", "## Design\n\n## Notes\n\nend", "\r\n"]
)
LABEL = st.text(st.characters(categories=["L", "N"], include_characters="-:./_"), min_size=1, max_size=12)
LABEL |= st.sampled_from(
    ["bug", "enhancement", "type:bug", "type:task", "type:spike", "priority:1", "priority:2", "priority:",
     "status:hooked", "status:deferred", "status:open", "status:closed", "milestone:v1", "milestone:", "assignee:x"]
)  # fmt: skip
GLOB = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
TIME = st.none() | st.floats(0, 4e9)
NAME = st.none() | st.sampled_from(["ada", "grace hopper", "x,y", "é"])
REF = st.none() | st.sampled_from(
    ["gh-5", "gh-5 gh-6", "bd-1", "bd-1 gh-7", "o/r#5", "https://example.org/7", "JIRA-1 and more", "tapeout-", "gh-0"]
)


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    count = draw(st.integers(1, 4))
    made = []
    for number in range(count):
        before = [f"n{one}" for one in range(number)]
        target = st.sampled_from(before) if before else st.nothing()
        links = draw(st.lists(st.tuples(target, st.sampled_from(DEPENDENCY_KINDS)), max_size=3)) if before else []
        made.append(
            Draft(
                draw(TEXT.filter(lambda text: _is_title(text))) if draw(st.booleans()) else f"Issue {number}",
                body=draw(TEXT),
                acceptance=draw(TEXT),
                design=draw(TEXT),
                type=draw(st.sampled_from(ISSUE_TYPES)),
                priority=draw(st.integers(0, 4)),
                labels=tuple(draw(st.lists(LABEL, max_size=4))),
                scope=tuple(draw(st.lists(GLOB, max_size=2))),
                parent=draw(st.none() | target) if before else None,
                agent=draw(NAME),
                assignee=draw(NAME),
                deferred_until=draw(TIME),
                due_at=draw(TIME),
                estimate_minutes=draw(st.none() | st.integers(0, 10**6)),
                external_ref=draw(REF),
                links=tuple(links),
                name=f"n{number}",
            )
        )
    return made


def _is_title(text: str) -> bool:
    words = " ".join(text.split())
    return bool(words) and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in words)


def fill(tracker: Tracker, made: Sequence[Draft], data: st.DataObject) -> None:
    issues = tracker.create_many(made)
    for issue in issues:
        for text in data.draw(st.lists(TEXT.filter(str.strip), max_size=2)):
            tracker.comment(issue.id, text)
        if data.draw(st.booleans()):
            note = data.draw(st.sampled_from(["", "Closed: it failed", "done", "Closed: fine"]))
            tracker.close_issue(issue.id, data.draw(st.sampled_from(PERSON_RESOLUTIONS)), note)
            if data.draw(st.booleans()):
                tracker.reopen(issue.id)
        if data.draw(st.booleans()):
            tracker.edit(issue.id, {"priority": data.draw(st.integers(0, 4))})
        if data.draw(st.booleans()):
            with tracker._writing():
                reason = data.draw(st.sampled_from(["gave up", "its status in Beads is hooked"]))
                tracker._append(issue.id, "gave-up", {"reason": reason})


def exported(tracker: Tracker, to: str) -> list[dict[str, Any]]:
    return list(tracker.export_issues(to))


def as_file(items: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in items).encode()


@pytest.mark.parametrize("to", formats.FORMATS)
@settings(max_examples=40, deadline=None)
@given(made=drafts(), data=st.data())
def test_export_import_export_is_the_same(to: str, made: list[Draft], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Tracker.open(StatePaths(f"{folder}/one"), "ada") as one:
            fill(one, made, data)
            items = exported(one, to)
            content = formats.read(as_file(items), "export")
            assert content.format == to
            # What was exported here is nothing new here; but a label `type:bug` that somebody wrote is read as a type.
            report = one.import_issues(content, "export")
            assert report.created == 0
            assert to != "tapeout" or report.unchanged == len(items)
            assert exported(one, to) == items
        paths = StatePaths(f"{folder}/other")
        with Tracker.open(paths, "bob") as other:
            assert other.import_issues(content, "export").created == len(items)
            assert exported(other, to) == items
            written = len(other.events())
            assert other.import_issues(content, "export")[1:4] == (0, 0, len(items))
            assert len(other.events()) == written
            other.flush()
            before = tools.contents(paths)
            from tapeout.tracker import rebuild

            rebuild.rebuild(paths)
        assert tools.contents(paths) == before


def test_attempts_changes_and_leases_are_told_but_not_brought_in(tracker: Tracker, tmp_path: Path) -> None:
    issue = tracker.create(Draft("One"))
    lease = tracker.claim(issue.id, "somebody", 60)
    (item,) = exported(tracker, "tapeout")
    assert item["lease"]["owner"] == lease.owner
    with Tracker.open(StatePaths(str(tmp_path / "other")), "bob") as other:
        other.import_issues(formats.read(as_file([item]), "export"), "export")
        assert other.issue(issue.id).lease_owner is None


def test_an_export_that_nobody_reads_to_its_end_ends_quietly(tmp_path: Path) -> None:
    with Tracker.open(StatePaths(str(tmp_path / "one")), "ada") as tracker:
        tracker.create_many([Draft("one"), Draft("two")])
        items = tracker.export_issues()
        next(items)
    items.close()  # type: ignore[attr-defined]
