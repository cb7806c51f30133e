"""Full-text search: right after every write, merge, refold and rebuild, whoever searches and whatever is typed."""

import os
import sqlite3
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, rebuild
from tapeout.tracker.operations import Operation, tick
from tapeout.tracker.query import search
from tests.tracker.tools import finish, python, receive

START = tick(0, time.time())


def found(tracker: Tracker, text: str, within: str = "") -> list[str]:
    return [hit.issue.title for hit in tracker.search(text, within=within)]


def test_every_text_of_an_issue_is_searched(tracker: Tracker) -> None:
    issue = tracker.create(Draft("alpha", body="bravo", acceptance="charlie", design="delta"))
    tracker.comment(issue.id, "echo")
    tracker.comment(issue.id, "foxtrot")
    tracker.create(Draft("other"))
    for word in ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "ECHO", "alpha foxtrot", "brav*"):
        assert found(tracker, word) == ["alpha"], word
    assert found(tracker, "alpha other") == []


def test_the_title_counts_most(tracker: Tracker) -> None:
    tracker.create(Draft("one", body="parser parser and more of it"))
    tracker.create(Draft("the parser and quite a few more words"))
    tracker.create(Draft("two", design="a parser"))
    assert found(tracker, "parser")[0].startswith("the parser")


def test_english_endings_accents_and_identifiers(tracker: Tracker) -> None:
    tracker.create(Draft("Parsing of café menus in read_menu()"))
    for word in ("parse", "parsed", "cafe", "CAFÉ", "read_menu", "menu", "read_menu()"):
        assert len(found(tracker, word)) == 1, word
    assert found(tracker, "menu_read") == []


def test_the_snippet_shows_the_place(tracker: Tracker) -> None:
    tracker.create(Draft("one", body="word " * 500 + "the needle\nin the haystack " + "word " * 500))
    tracker.create(Draft("two", body="needle" + "x" * 100_000 + " needle"))
    snippets = {hit.issue.title: hit.snippet for hit in tracker.search("needle")}
    assert "the **needle** in the haystack" in snippets["one"]
    assert "**needle**" in snippets["two"]
    assert all(len(snippet) <= search.SNIPPET_LENGTH + 2 for snippet in snippets.values())


def test_what_changed_is_found_anew(tracker: Tracker) -> None:
    issue = tracker.create(Draft("before", body="first"))
    assert found(tracker, "first") == ["before"]
    tracker.edit(issue.id, {"title": "after", "body": "second"})
    assert found(tracker, "first") == []
    assert found(tracker, "second") == ["after"]
    tracker.comment(issue.id, "third")
    assert found(tracker, "third before") == []
    assert found(tracker, "third after") == ["after"]


def test_within_a_query_and_a_limit(tracker: Tracker) -> None:
    for number in range(5):
        issue = tracker.create(Draft(f"word {number}", labels=("api",) if number % 2 else ()))
    tracker.close_issue(issue.id)
    assert sorted(found(tracker, "word", "label:api")) == ["word 1", "word 3"]
    assert found(tracker, "word", "is:closed") == ["word 4"]
    assert found(tracker, "word", "-title:word") == []
    assert len(tracker.search("word", 2)) == 2


ODD = ['"', '" OR "', "a AND", "NEAR(a b)", "title:x", "-x", "x*", "*", "^x", "{a b}:c", "(", "a\0b", "\ud800x", "--x"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(), max_size=20) | st.lists(st.sampled_from(ODD), max_size=4).map(" ".join))
@example(text='x" OR title:y*')
@example(text="ª º ² ⅷ")
@example(text="x " * 60)
def test_no_text_is_syntax(tracker: Tracker, text: str) -> None:
    try:
        tracker.search(text)
    except UsageError as error:
        assert "word" in error.message  # noqa: PT017 - either is right


def test_words_that_look_like_syntax_are_found(tracker: Tracker) -> None:
    tracker.create(Draft('say "hello" OR title:x'))
    for text in ('"hello"', "title:x", "OR", 'say "hello" or', "-hello"):
        assert len(found(tracker, text)) == 1, text
    assert found(tracker, "hello OR nothere") == []


def test_batches_and_issues_that_are_written_to_again_and_again(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BATCH", 3)
    issues = [tracker.create(Draft(f"word {number}")) for number in range(10)]
    for number in range(7):
        tracker.edit(issues[0].id, {"body": f"edited {number}"})
        tracker.comment(issues[number].id, f"remark {number}")
    assert len(found(tracker, "word")) == 10
    assert found(tracker, "edited 6") == ["word 0"]
    assert found(tracker, "edited 5") == []
    assert found(tracker, "remark 5") == ["word 5"]


def logged(number: int, clock: int, issue: str, kind: str, **data: object) -> Operation:
    return Operation(f"other.{number}", START + clock, "bo", issue, kind, dict(data), number)


def bring(tracker: Tracker, *operations: Operation) -> None:
    receive(tracker, operations, time.time())


def test_after_a_merge_in_any_order(tracker: Tracker) -> None:
    tracker.create(Draft("ours"))
    assert len(found(tracker, "ours")) == 1
    created = logged(1, 10, "x1", "created", title="theirs", body="old")
    edited = logged(2, 20, "x1", "fields-set", body="new")
    remark = logged(3, 15, "x1", "commented", text="remark")
    bring(tracker, edited, remark)  # an issue that is not there yet
    assert found(tracker, "new") == found(tracker, "remark") == []
    bring(tracker, created)
    assert found(tracker, "new remark") == ["theirs"]
    assert found(tracker, "old") == []
    bring(tracker, logged(4, 12, "x1", "fields-set", title="renamed"))  # older than what was folded: a refold
    assert found(tracker, "renamed new") == ["renamed"]
    assert found(tracker, "theirs") == []


def test_after_a_rebuild(tracker: Tracker, paths: StatePaths) -> None:
    tracker.create(Draft("before"))
    assert found(tracker, "before") == ["before"]
    tracker.flush()
    rebuild.rebuild(paths)
    assert found(tracker, "before") == ["before"]
    tracker.create(Draft("afterwards"))
    assert found(tracker, "afterwards") == ["afterwards"]


def test_writing_makes_no_table(tracker: Tracker, paths: StatePaths) -> None:
    tracker.create(Draft("one"))
    tracker.find("status:open")
    assert _tables(paths) == []
    tracker.search("one")
    assert "search" in _tables(paths)


def _tables(paths: StatePaths) -> list[str]:
    connection = sqlite3.connect(paths.tracker_db)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%search%' AND type = 'table'").fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_a_search_that_is_killed_is_taken_up_by_the_next(
    tracker: Tracker, paths: StatePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.create_many([Draft(f"word {number}") for number in range(20)])
    monkeypatch.setattr(search, "BATCH", 5)
    advance, calls = search._advance, []

    def dying(connection: sqlite3.Connection) -> None:
        advance(connection)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(search, "_advance", dying)
    with pytest.raises(KeyboardInterrupt):
        tracker.search("word")
    monkeypatch.setattr(search, "_advance", advance)
    with Tracker.open(paths, "bo") as other:
        assert len(found(other, "word")) == 20


SEARCHER = """
import sys
import pygit2
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.query import search
search.BATCH = 7
with Tracker.open(StatePaths(sys.argv[1]), sys.argv[2]) as tracker:
    for number in range(15):
        tracker.create(Draft(f"{sys.argv[2]} {number}"))
        assert len(tracker.search(sys.argv[2])) == number + 1
    print(len(tracker.search("seed")))
"""


def test_several_search_and_write_at_once(tracker: Tracker, paths: StatePaths) -> None:
    tracker.create_many([Draft(f"seed {number}") for number in range(50)])
    processes = [python(SEARCHER, paths.root, name) for name in ("ant", "bee", "cat")]
    assert [finish(process).strip() for process in processes] == ["50"] * 3
    assert all(process.returncode == 0 for process in processes)
    assert len(found(tracker, "ant")) == 15


def test_an_sqlite_without_fts5(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_TABLES", tuple(table.replace("fts5", "fts5_missing") for table in search._TABLES))
    tracker.create(Draft("one"))
    for ask in (lambda: tracker.search("one"), lambda: tracker.find("one")):
        with pytest.raises(EnvironmentProblem, match="needs an SQLite with FTS5") as caught:
            ask()
        assert "\n" not in caught.value.message
    assert len(tracker.find("status:open")) == 1


def test_an_index_that_cannot_be_written(tracker: Tracker, paths: StatePaths) -> None:
    tracker.create(Draft("one"))
    tracker._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        tracker.search("one")
    tracker._connection.execute("PRAGMA query_only = 0")
    assert os.path.exists(paths.tracker_db)
    assert found(tracker, "one") == ["one"]
