"""Bringing in files of other tools: what becomes what, what is said, and what a second import does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.errors import LostClaim, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.transfer import formats
from tapeout.tracker.transfer.imports import Report
from tests.tracker import tools

AT = "2025-10-16T20:46:08.5-07:00"
UNIX = 1760672768.5


def bead(identity: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "title": f"Bead {identity}", "priority": 1, "created_at": AT, "updated_at": AT, **fields}


def ticket(number: int, **fields: Any) -> dict[str, Any]:
    return {"number": number, "title": f"Ticket {number}", "created_at": AT, "updated_at": AT, **fields}


def bring(tracker: Tracker, *items: dict[str, Any], source: str | None = None) -> Report:
    data = "".join(json.dumps(item) + "\n" for item in items).encode()
    return tracker.import_issues(formats.read(data, "file", source), "file")


def texts(report: Report) -> list[str]:
    return [f"{one.where}: {one.text}" for one in (*report.skipped, *report.remarks)]


class TestBeads:
    def test_every_field_arrives(self, tracker: Tracker) -> None:
        report = bring(
            tracker,
            bead(
                "bd-1", description="Why", design="How", acceptance_criteria="When", notes="Besides", issue_type="bug",
                assignee="ada", owner="ada@example.org", estimated_minutes=90, created_by="grace", external_ref="gh-9",
                due_at="2027-01-31T12:00:00Z", labels=["api", "good first issue"], updated_at="2025-10-18T00:00:00Z",
                comments=[{"id": 7, "issue_id": "bd-1", "author": "edsger", "text": "Hm", "created_at": AT}],
            ),
        )  # fmt: skip
        assert (report.format, report.created, report.updated) == ("beads", 1, 0)
        issue = tracker.issue(report.issues["bd-1"])
        assert issue.body == "Why\n\n## Notes\n\nBesides"
        assert (issue.design, issue.acceptance, issue.type, issue.priority) == ("How", "When", "bug", 1)
        assert (issue.assignee, issue.estimate_minutes, issue.external_ref) == ("ada", 90, "bd-1 gh-9")
        assert (issue.created_by, issue.created_at, issue.updated_at) == ("grace", UNIX, 1760745600.0)
        assert (issue.due_at, issue.labels) == (1801396800.0, ("api", "good-first-issue"))
        comment, rest = tracker.comments(issue.id)
        assert (comment.actor, comment.at, comment.text) == ("edsger", UNIX, "Hm")
        assert '"owner": "ada@example.org"' in rest.text
        assert texts(report) == ["line 1: label 'good first issue' became 'good-first-issue'"]

    @pytest.mark.parametrize(
        ("status", "fields", "state", "label"),
        [
            ("open", {}, "ready", None),
            ("in_progress", {}, "ready", "status:in_progress"),
            ("deferred", {"defer_until": "2999-01-01T00:00:00Z"}, "deferred", "status:deferred"),
            ("deferred", {}, "needs-person", "status:deferred"),
            ("blocked", {}, "needs-person", "status:blocked"),
            ("pinned", {}, "needs-person", "status:pinned"),
            ("of our own making", {}, "needs-person", "status:of-our-own-making"),
            ("closed", {"closed_at": AT}, "done", None),
            ("closed", {"close_reason": "Won't fix, too late"}, "failed", None),
        ],
    )
    def test_status(self, tracker: Tracker, status: str, fields: dict[str, Any], state: str, label: str | None) -> None:
        report = bring(tracker, bead("bd-1", status=status, **fields))
        issue = tracker.issue(report.issues["bd-1"])
        assert issue.state(UNIX) == state
        assert issue.labels == ((label,) if label else ())

    def test_dependencies_of_all_kinds(self, tracker: Tracker) -> None:
        kinds = ["blocks", "conditional-blocks", "waits-for", "related", "relates-to", "discovered-from", "duplicates",
                 "supersedes", "tracks", "parent-child"]  # fmt: skip
        edges = [{"issue_id": "bd-x", "depends_on_id": f"bd-{n}", "type": kind} for n, kind in enumerate(kinds)]
        report = bring(tracker, bead("bd-x", dependencies=edges), *(bead(f"bd-{n}") for n in range(len(kinds))))
        issue = tracker.issue(report.issues["bd-x"])
        names = {identity: name for name, identity in report.issues.items()}
        assert issue.parent == report.issues["bd-9"]
        assert {(names[one.target], one.kind) for one in tracker.dependencies(issue.id)} == {
            ("bd-0", "blocks"), ("bd-1", "conditional"), ("bd-2", "blocks"), ("bd-3", "related"), ("bd-4", "related"),
            ("bd-5", "discovered-from"), ("bd-6", "duplicates"), ("bd-7", "supersedes"),
        }  # fmt: skip
        assert issue.open_blockers == 3
        assert '"tracks"' in tracker.comments(issue.id)[0].text

    def test_what_is_not_there_is_kept_as_a_comment(self, tracker: Tracker) -> None:
        edge = {"issue_id": "bd-1", "depends_on_id": "bd-gone", "type": "blocks"}
        report = bring(tracker, bead("bd-1", dependencies=[edge]))
        (comment,) = tracker.comments(report.issues["bd-1"])
        assert "bd-gone" in comment.text
        assert "bd-gone" in texts(report)[0]
        report = bring(tracker, bead("bd-1", dependencies=[edge]), bead("bd-gone"))
        assert (report.created, report.updated) == (1, 1)
        assert tracker.blockers(report.issues["bd-1"]) == [report.issues["bd-gone"]]

    def test_lines_that_are_no_issues(self, tracker: Tracker) -> None:
        report = bring(
            tracker, {"_type": "memory", "key": "k", "value": "v"}, bead("bd-1", status="tombstone"), source="beads"
        )
        assert report.created == 0
        assert texts(report) == ["line 1: skipped: a 'memory', not an issue", "line 2: bd-1 was deleted there"]

    def test_what_is_deleted_later_is_closed(self, tracker: Tracker) -> None:
        report = bring(tracker, bead("bd-1", description="kept"))
        again = bring(tracker, bead("bd-1", title="gone", status="tombstone", updated_at="2025-11-01T00:00:00Z"))
        issue = tracker.issue(report.issues["bd-1"])
        assert (again.updated, issue.resolution, issue.title, issue.body) == (1, "invalid", "Bead bd-1", "kept")

    def test_a_circle_blocks_nobody_and_is_said(self, tracker: Tracker) -> None:
        report = bring(
            tracker,
            bead("bd-1", dependencies=[{"issue_id": "bd-1", "depends_on_id": "bd-2", "type": "blocks"}]),
            bead("bd-2", dependencies=[{"issue_id": "bd-2", "depends_on_id": "bd-1", "type": "blocks"}]),
        )
        assert [issue.external_ref for issue in tracker.ready()] == ["bd-2"]
        assert "circle" in texts(report)[0]

    def test_long_titles_and_control_characters(self, tracker: Tracker) -> None:
        report = bring(tracker, bead("bd-1", title="x" * 400, description="d"), bead("bd-2", title="a\x1b[2Jb"))
        long, odd = (tracker.issue(report.issues[name]) for name in ("bd-1", "bd-2"))
        assert (len(long.title), long.body) == (300, "x" * 400 + "\n\nd")
        assert odd.title == "a\ufffd[2Jb"


class TestGitHub:
    def test_the_rest_interface(self, tracker: Tracker) -> None:
        address = "https://github.com/octo/cat/issues/12"
        report = bring(
            tracker,
            ticket(
                12, html_url=address, body="a\r\nb", state="closed", state_reason="not_planned", closed_at=AT,
                closed_by={"login": "hubot"}, user={"login": "octocat"}, comments=3, milestone={"title": "v 1"},
                labels=[{"name": "bug"}, {"name": "good first issue"}], assignees=[{"login": "a"}, {"login": "b"}],
            ),
            ticket(13, pull_request={"url": "x"}),
        )  # fmt: skip
        issue = tracker.issue(report.issues["octo/cat#12"])
        assert (issue.external_ref, issue.body, issue.resolution) == ("octo/cat#12", "a\nb", "wontfix")
        assert (issue.created_by, issue.assignee, issue.type) == ("octocat", "a", "bug")
        assert issue.labels == ("assignee:b", "bug", "good-first-issue", "milestone:v-1")
        assert tracker.events(issue=issue.id)[-1].data["by"] == "hubot"
        assert "line 2: skipped: a pull request" in texts(report)
        assert report.created == 1

    def test_gh_issue_list(self, tracker: Tracker) -> None:
        items = [
            {
                "number": 3, "title": "T", "body": "", "state": "CLOSED", "stateReason": "COMPLETED", "createdAt": AT,
                "updatedAt": AT, "closedAt": AT, "author": {"login": "octocat"}, "labels": [{"name": "priority:0"}],
                "comments": [{"author": {"login": "hubot"}, "body": "Hm", "createdAt": AT}], "milestone": None,
            }
        ]  # fmt: skip
        content = formats.read((json.dumps(items) + json.dumps([ticket(4)])).encode(), "file")
        report = tracker.import_issues(content, "file")
        issue = tracker.issue(report.issues["gh-3"])
        assert (report.format, report.created) == ("github", 2)
        assert (issue.resolution, issue.priority, issue.labels, issue.created_by) == ("done", 0, (), "octocat")
        assert [(one.actor, one.at, one.text) for one in tracker.comments(issue.id)] == [("hubot", UNIX, "Hm")]


class TestAgain:
    LATER = "2025-12-01T00:00:00Z"

    def test_a_newer_file_brings_what_changed_in_it(self, tracker: Tracker) -> None:
        identity = bring(tracker, bead("bd-1", labels=["old", "both"], description="d")).issues["bd-1"]
        tracker.edit(identity, {"priority": 4, "title": "Ours"}, add_labels=["here"], remove_labels=["both"])
        tracker.comment(identity, "ours")
        changed = bead(
            "bd-1", labels=["both", "new"], description="e", status="closed", closed_at=self.LATER,
            updated_at=self.LATER, comments=[{"author": "x", "text": "theirs", "created_at": self.LATER}],
        )  # fmt: skip
        report = bring(tracker, changed)
        issue = tracker.issue(identity)
        assert (report.created, report.updated) == (0, 1)
        assert (issue.title, issue.priority, issue.body, issue.resolution) == ("Ours", 4, "e", "done")
        assert issue.labels == ("here", "new")
        assert [one.text for one in tracker.comments(identity)] == ["ours", "theirs"]
        assert bring(tracker, changed).unchanged == 1

    def test_an_older_file_changes_nothing(self, tracker: Tracker) -> None:
        identity = bring(tracker, bead("bd-1", updated_at=self.LATER)).issues["bd-1"]
        report = bring(tracker, bead("bd-1", title="older"))
        assert (report.updated, tracker.issue(identity).title) == (0, "Bead bd-1")
        assert texts(report) == ["line 1: bd-1 is older than the file that was imported before"]

    def test_reopened_there(self, tracker: Tracker) -> None:
        identity = bring(tracker, bead("bd-1", status="closed", closed_at=AT)).issues["bd-1"]
        bring(tracker, bead("bd-1", updated_at=self.LATER))
        assert tracker.issue(identity).status == "open"

    def test_an_edited_export_of_our_own(self, tracker: Tracker) -> None:
        issue = tracker.create(Draft("One", labels=("x",), external_ref="gh-1"))
        (item,) = tracker.export_issues()
        report = bring(tracker, {**item, "title": "Two", "labels": []})
        assert (report.updated, report.issues) == (1, {issue.id: issue.id})
        found = tracker.issue(issue.id)
        assert (found.title, found.labels, found.external_ref) == ("Two", (), "gh-1")
        tracker.edit(issue.id, {"title": "Three"})
        assert bring(tracker, {**item, "title": "Four", "updated_at": item["updated_at"] - 1}).skipped

    def test_github_does_not_take_what_it_cannot_hold(self, tracker: Tracker) -> None:
        first = tracker.create(Draft("First"))
        issue = tracker.create(Draft("One", external_ref="gh-1", depends_on=(first.id,), estimate_minutes=5))
        report = bring(tracker, ticket(1, updated_at="2999-01-01T00:00:00Z"))
        found = tracker.issue(issue.id)
        assert (report.updated, found.title, found.open_blockers, found.estimate_minutes) == (1, "Ticket 1", 1, 5)


class TestRefused:
    @pytest.mark.parametrize(
        ("item", "said"),
        [
            ({"priority": 9}, "line 2, priority: 9 is no whole number from 0 to 4"),
            ({"title": " "}, "line 2, title: it is empty"),
            ({"title": 5}, "line 2, title: 5 is no text"),
            ({"description": "a\0b"}, "line 2, description: the text holds a NUL byte"),
            ({"description": "\ud800"}, "line 2, description: the text is not valid UTF-8"),
            ({"description": "x" * 1_000_001}, "line 2, description: the text is 1,000,001 bytes long"),
            ({"created_at": "yesterday"}, "line 2, created_at: 'yesterday' is no time"),
            ({"created_at": None, "updated_at": None}, "line 2, created_at: it is missing"),
            ({"labels": "x"}, "line 2, labels: expected a list of texts"),
            ({"dependencies": [1]}, "line 2, dependencies: expected a list of objects"),
            ({"dependencies": [{"type": "blocks"}]}, "line 2, dependencies[0].depends_on_id: it is missing"),
            ({"comments": [{"text": "x", "created_at": 5}]}, "line 2, comments[0].created_at: 5 is no time"),
            ({"id": "bd-0"}, "line 2: bd-0 is there already, line 1"),
            ({"due_at": "1950-01-01"}, "line 2, due_at: it is before 1970 or after 9999"),
            ({"assignee": "x" * 301}, "line 2, assignee: it is 301 characters long, 300 is the most"),
            ({"metadata": {"tapeout": {"scope": "x"}}}, "line 2, metadata.tapeout.scope: expected a list of texts"),
            ({"estimated_minutes": True}, "line 2, estimated_minutes: True is no whole number"),
            (
                {"estimated_minutes": 1_000_000_001},
                "line 2, estimated_minutes: 1000000001 is no whole number from 0 to",
            ),
            (
                {"dependencies": [{"issue_id": "bd-1", "depends_on_id": "bd-0", "type": "parent-child"}]},
                "line 1, parent: the issue would be its own ancestor",
            ),
        ],
    )
    def test_all_or_nothing(self, tracker: Tracker, paths: StatePaths, item: dict[str, Any], said: str) -> None:
        before = tools.contents(paths)
        edge = {"issue_id": "bd-0", "depends_on_id": "bd-1", "type": "parent-child"}
        with pytest.raises(UsageError, match=r"^file") as caught:
            bring(tracker, bead("bd-0", dependencies=[edge]), bead("bd-1") | item)
        assert said in caught.value.message
        assert tools.contents(paths) == before

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b'{"id": 1', "file, line 1 is no JSON"),
            (b'\n{"id": "a", "title": "\xff"}', "file, line 2: not valid UTF-8"),
            (b'[5, {"number": 1}]', "file, item 0: 5 is no JSON object"),
            (b'[{"number": 1}', "file is no JSON"),
            (b'{"hello": 1}', "cannot tell the format of file"),
            (b"[" * 100_000, "file is no JSON"),
        ],
    )
    def test_files(self, data: bytes, said: str) -> None:
        with pytest.raises(UsageError) as caught:
            formats.read(data, "file", "github" if b"number" in data else None)
        assert said in caught.value.message

    def test_an_empty_file_is_no_error(self, tracker: Tracker) -> None:
        assert tracker.import_issues(formats.read(b"\n", "file"), "file").created == 0


def refusal(data: bytes, source: str) -> str:
    """What is said against a file."""
    try:
        formats.read(data, "file", source)
    except UsageError as error:
        return error.message
    return "nothing"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["bd-1", AT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "id", "title", "description", "status", "priority", "issue_type", "labels", "dependencies", "comments", "number",
    "metadata", "created_at", "updated_at", "closed_at", "assignees", "milestone", "user", "state", "state_reason",
    "body", "tapeout", "resolution", "scope", "attachments", "node_id", "_type", "html_url", "close_reason",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
    source=st.sampled_from(formats.FORMATS),
)
def test_whatever_the_items_hold_it_is_read_or_refused(fields: dict[str, Any], source: str) -> None:
    item = bead("bd-1", number=1, tapeout=1) | fields
    assert refusal(json.dumps(item).encode(), source).startswith(("file, line 1", "nothing"))


@settings(max_examples=300)
@given(data=st.binary(max_size=40) | st.text(alphabet='[]{}",:1\n x', max_size=30).map(str.encode))
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes) -> None:
    for source in formats.FORMATS:
        assert refusal(data, source).startswith(("file", "nothing"))


def test_a_dry_run_says_the_same_and_writes_nothing(tracker: Tracker, paths: StatePaths) -> None:
    content = formats.read(json.dumps(bead("bd-1", status="hooked")).encode(), "file")
    before = tools.contents(paths)
    tried = tracker.import_issues(content, "file", dry_run=True)
    assert tools.contents(paths) == before
    done = tracker.import_issues(content, "file")
    assert tried._replace(issues={}) == done._replace(issues={})


def test_attachments_come_with_their_content(tracker: Tracker, tmp_path: Path, paths: StatePaths) -> None:
    import pygit2

    from tapeout.base import git

    repository = git.ensure_bare(paths.tracker_git)
    blob = str(repository.create_blob(b"content"))
    issue = tracker.create(Draft("One"))
    with tracker._writing():
        tracker._append(issue.id, "attached", {"name": "a.txt", "blob": blob, "size": 7})
    (item,) = tracker.export_issues()
    other = StatePaths(str(tmp_path / "other"))
    with Tracker.open(other, "bob") as opened:
        bring(opened, item)
        assert [*opened.export_issues()] == [item]
        opened.flush()
        item["attachments"][0]["content"] = "AAAA"
        with pytest.raises(UsageError, match="is not"):
            bring(opened, item)
    found = pygit2.Repository(other.tracker_git)[blob]
    assert isinstance(found, pygit2.Blob)
    assert found.data == b"content"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker.open(StatePaths(str(tmp_path / "other")), "bob") as opened:
        yield opened


def test_a_real_name_is_told_from_one_that_an_export_gave(tracker: Tracker, other: Tracker) -> None:
    bring(other, ticket(1, title="theirs"))
    issue = tracker.create(Draft("ours"))
    (item,) = tracker.export_issues("github")
    assert item["number"] == 1
    report = bring(other, item)
    assert report.created == 1
    assert other.issue(report.issues[f"tapeout-{issue.id}"]).external_ref == f"tapeout-{issue.id}"
    assert bring(other, item).unchanged == 1


def test_an_import_under_a_lost_claim_changes_nothing(tracker: Tracker) -> None:
    issue = bring(tracker, bead("bd-1"), bead("bd-2")).issues["bd-1"]
    stale = tracker.claim(issue, "ada", 0)
    newer = {"title": "Changed", "updated_at": "2025-10-18T00:00:00Z", "notes": "Several operations"}
    with tracker.under_lease("ada", stale.token):
        assert bring(tracker, bead("bd-1", **newer), bead("bd-2"), bead("bd-3", **newer)).created == 1
    tracker.claim(issue, "ben", 60)
    before = tools.contents(tracker.paths)
    again = {**newer, "title": "Changed again", "updated_at": "2025-10-19T00:00:00Z"}
    with tracker.under_lease("ada", stale.token), pytest.raises(LostClaim, match=f"{issue} is held by ben"):
        bring(tracker, bead("bd-4"), bead("bd-1", **again))
    assert tools.contents(tracker.paths) == before
