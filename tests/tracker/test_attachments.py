"""Files that belong to issues: they travel with the log, survive all that it survives, and stay where they are."""

import os
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import EnvironmentProblem, NotAllowed, NotFound, UsageError
from tapeout.base.packing import pack_if_scattered
from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, rebuild
from tapeout.tracker.commands.attachments import MAX_ATTACHMENT_BYTES, safe_name
from tapeout.tracker.operations import Operation, tick
from tests.tracker.tools import delete_index, receive

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def issue(tracker: Tracker) -> str:
    return tracker.create(Draft("one")).id


def test_attach_read_detach(tracker: Tracker, issue: str) -> None:
    attached = tracker.attach(issue[:8], "logs/run 1.log", CONTENT)
    assert (attached.name, attached.size, attached.issue, attached.actor) == ("run 1.log", 2560, issue, "ada")
    empty = tracker.attach(issue, "empty", b"")
    assert tracker.attachments(issue) == [attached, empty]
    assert tracker.attachment(issue, "run 1.log") == tracker.attachment(issue, "1") == attached
    assert (tracker.attachment_content(attached), tracker.attachment_content(empty)) == (CONTENT, b"")
    assert tracker.detach(issue, "2") == empty
    assert tracker.attachments(issue) == [attached]
    for which in ("2", "0", "empty", "", "²", "9" * 5000):
        with pytest.raises(NotFound):
            tracker.attachment(issue, which)


def test_they_survive_packing_and_a_lost_index(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        issue = tracker.create(Draft("one")).id
        attached = tracker.attach(issue, "a", CONTENT)
        tracker.flush()
        assert pack_if_scattered(paths.tracker_git, 0)
        subprocess.run(["git", "--git-dir", paths.tracker_git, "gc", "--quiet", "--prune=now"], check=True)
    delete_index(paths)
    with Tracker.open(paths, "ada") as tracker:
        assert tracker.attachments(issue) == [attached]
        assert tracker.attachment_content(attached) == CONTENT
        rebuild.rebuild(paths)
        assert tracker.attachments(issue) == [attached]


def test_the_same_name_twice_is_refused(tracker: Tracker, issue: str) -> None:
    tracker.attach(issue, "a", b"1")
    with pytest.raises(NotAllowed, match="an attachment 'a' already"):
        tracker.attach(issue, "x/a", b"2")


def test_what_a_merge_made_of_one_name_has_numbers(tracker: Tracker, issue: str) -> None:
    first = tracker.attach(issue, "a", b"1")
    theirs = Operation("ben.1", tick(0, 2e9), "ben", issue, "attached", {"name": "a", "blob": first.blob, "size": 1})
    receive(tracker, [theirs])
    with pytest.raises(UsageError, match="2 attachments are called 'a'"):
        tracker.attachment(issue, "a")
    assert tracker.attachment(issue, "2").actor == "ben"


def test_too_much_is_refused(tracker: Tracker, issue: str) -> None:
    with pytest.raises(UsageError, match="25,000,001 bytes"):
        tracker.attach(issue, "a", bytes(MAX_ATTACHMENT_BYTES + 1))
    assert tracker.attachments(issue) == []


@pytest.mark.parametrize("lose", ["repository", "object"])
def test_content_that_is_not_here_is_one_line(tracker: Tracker, issue: str, lose: str) -> None:
    attached = tracker.attach(issue, "a", b"x")
    git = tracker.paths.tracker_git
    shutil.rmtree(git if lose == "repository" else os.path.join(git, "objects", attached.blob[:2]))
    with pytest.raises(EnvironmentProblem, match=f"the content of a .* on {issue} is missing"):
        tracker.attachment_content(attached)


@pytest.mark.parametrize("data", [{"blob": "zz"}, {"blob": ""}, {"blob": "HEAD"}, {"blob": "TREE"}, {"size": 99}])
def test_a_log_that_names_something_else_as_content(tracker: Tracker, issue: str, data: dict[str, Any]) -> None:
    attached = tracker.attach(issue, "a", b"x")
    tracker.flush()
    tree = subprocess.run(
        ["git", "--git-dir", tracker.paths.tracker_git, "mktree"], input=b"", stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    fields = attached._asdict() | data
    fields["blob"] = fields["blob"].replace("TREE", tree.strip())
    with pytest.raises(EnvironmentProblem):
        tracker.attachment_content(type(attached)(**fields))


@pytest.mark.parametrize("data", [{"name": 5}, {"size": "x"}, {"size": None}, {"size": 2**70}, {"blob": []}])
def test_an_operation_that_makes_no_sense_attaches_nothing(tracker: Tracker, issue: str, data: dict[str, Any]) -> None:
    whole = {"name": "a", "blob": "0" * 40, "size": 1} | data
    receive(tracker, [Operation("eve.1", tick(0, 2e9), "eve", issue, "attached", whole)])
    assert all(isinstance(one.size, int) for one in tracker.attachments(issue))
    assert tracker.history(issue)[-1].kind == "attached"


@given(st.text() | st.sampled_from(["..", ".", "/", "a/..", "C:\\x\\..", "-rf", "~", ".bashrc", "a\nb", "\udcff"]))
def test_a_name_is_one_visible_file_of_its_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert safe.isprintable()
    assert os.path.basename(safe) == safe
    assert safe[0] not in ".-"
    assert len(safe.encode()) <= 200
    assert safe_name(safe) == safe
