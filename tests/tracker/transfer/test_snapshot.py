"""Markdown pages: what stands in them, and which files of a folder they leave alone."""

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import NotAllowed
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.transfer import folder, snapshot


def take(tracker: Tracker, path: Path) -> folder.Done:
    return folder.write(str(path), snapshot.pages(tracker.issues(), tracker.records(), 1e9))


def files(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_the_same_issues_give_the_same_bytes(tracker: Tracker, tmp_path: Path) -> None:
    first = tracker.create(Draft("First", body="Because", labels=("a", "b"), estimate_minutes=5))
    second = tracker.create(Draft("Second", depends_on=(first.id,), parent=first.id))
    tracker.comment(second.id, "hm")
    assert take(tracker, tmp_path / "one") == (3, 0, 0)
    assert take(tracker, tmp_path / "two") == (3, 0, 0)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert take(tracker, tmp_path / "one") == (0, 3, 0)
    index = (tmp_path / "one/README.md").read_text()
    assert f"[{second.id}]({snapshot.page_of(second.id)})" in index
    assert (tmp_path / "one" / snapshot.page_of(second.id)).exists()
    page = (tmp_path / "one" / snapshot.page_of(second.id)).read_text()
    assert f"- waits for: [{first.id}](../../{snapshot.page_of(first.id)}) First" in page
    assert "> hm" in page
    tracker.close_issue(second.id)
    assert take(tracker, tmp_path / "one") == (2, 1, 0)
    assert "## done (1)" in (tmp_path / "one/README.md").read_text()


def test_pages_of_issues_that_are_gone_are_removed_and_nothing_else(tracker: Tracker, tmp_path: Path) -> None:
    issue = tracker.create(Draft("First"))
    take(tracker, tmp_path)
    gone = tmp_path / "issues/zz/zzzzzzzzzz.md"
    gone.parent.mkdir()
    gone.write_text(f"{snapshot.MARK}\n\n# Old\n")
    foreign = [
        tmp_path / "notes.md",
        tmp_path / "issues/notes.md",
        tmp_path / "issues/zy/x.md",
        tmp_path / "issues/a.txt",
    ]
    foreign[2].parent.mkdir()
    for file in foreign:
        file.write_text("mine")
    (tmp_path / "marked.md").write_text(f"{snapshot.MARK}\n")  # none of a snapshot's places
    assert take(tracker, tmp_path) == (0, 2, 1)
    assert not gone.parent.exists()
    assert [file.read_text() for file in foreign] == ["mine"] * 4
    assert (tmp_path / snapshot.page_of(issue.id)).exists()
    assert (tmp_path / "marked.md").exists()


def test_a_foreign_file_or_link_in_the_way_is_refused(tracker: Tracker, tmp_path: Path) -> None:
    issue = tracker.create(Draft("First"))
    tmp_path /= "snapshot"
    tmp_path.mkdir()
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(NotAllowed, match=r"README.md was not written by a snapshot"):
        take(tracker, tmp_path)
    assert os.listdir(tmp_path) == ["README.md"]
    (tmp_path / "README.md").unlink()
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "issues").symlink_to(outside)
    with pytest.raises(NotAllowed, match="issues"):
        take(tracker, tmp_path)
    (tmp_path / "issues").unlink()
    page = tmp_path / snapshot.page_of(issue.id)
    page.parent.mkdir(parents=True)
    (outside / "secret").write_text(f"{snapshot.MARK}\nsecret")
    page.symlink_to(outside / "secret")
    with pytest.raises(NotAllowed, match=issue.id):
        take(tracker, tmp_path)
    assert os.listdir(outside) == ["secret"]


def test_long_tables_have_pages_of_their_own(tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "INLINE", 2)
    monkeypatch.setattr(snapshot, "ROWS", 3)
    tracker.create_many([Draft(f"Issue {number}") for number in range(5)])
    take(tracker, tmp_path)
    assert "[1 to 3](lists/ready-1.md) · [4 to 5](lists/ready-2.md)" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "lists/ready-2.md").read_text().count("](../issues/") == 2


class Tags(HTMLParser):
    """The tags and comments that a browser would see, were all of it HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)

    def handle_pi(self, data: str) -> None:
        self.found.append(data)

    def unknown_decl(self, data: str) -> None:
        self.found.append(data)


MARKUP = st.text(alphabet=st.sampled_from(list("<>/!?-&`|#*_[]()\n\r\t ~\\\"'=ab\x1b\u202e")), max_size=40)


@given(title=MARKUP, body=MARKUP, label=MARKUP)
def test_nothing_that_somebody_wrote_leads_out_of_its_place(title: str, body: str, label: str) -> None:
    escaped = snapshot.escaped(title)
    assert "\n" not in escaped
    for special in "|`[]()#*_<>":
        assert escaped.replace("\\\\", "").count(special) == escaped.replace("\\\\", "").count(f"\\{special}")
    assert not Tags(escaped).found
    quoted = snapshot.quoted(body)
    assert all(line.startswith(">") for line in quoted.split("\n"))
    assert not Tags(quoted).found
    for text in (escaped, quoted, snapshot.escaped(label)):
        assert all(c.isprintable() or c in "\n\t\u2060" for c in text)
