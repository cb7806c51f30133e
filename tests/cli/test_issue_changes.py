"""The commands that change issues and tell their history, as people and programs use them."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

BEN: dict[str, str | None] = {"TAPEOUT_ACTOR": "ben"}


def test_every_field_can_be_given_shown_and_cleared(cli: Cli) -> None:
    other = cli.new("other")
    identity = cli.new(
        "one", "--design", "use a map", "--due", "2020-01-31", "--estimate", "2d", "--external-ref", "gh-12",
        "--conditional-on", other, "--related", other, "--discovered-from", other,
    )  # fmt: skip
    data = cli("issue", "show", identity, "--json").data
    assert (data["design"], data["estimate_minutes"], data["external_ref"]) == ("use a map", 2880, "gh-12")
    assert {one["kind"] for one in data["dependencies"]} == {"conditional", "related", "discovered-from"}
    page = cli("issue", "show", identity).out
    for part in ("due 2020-01-31", "overdue", "estimate 48h00m", "elsewhere gh-12", "Design\n\nuse a map"):
        assert part in page
    assert f"runs only if this fails: {other}" in page
    words = ["--design", "", "--due", "none", "--estimate", "none", "--external-ref", ""]
    data = cli("issue", "edit", identity, *words, "--json").data
    assert [data[name] for name in ("design", "due_at", "estimate_minutes", "external_ref")] == ["", None, None, None]


def test_what_is_not_needed_says_so(cli: Cli) -> None:
    plan = cli.new("plan A")
    identity = cli.new("plan B", "--conditional-on", plan)
    cli("issue", "close", plan)
    page = cli("issue", "show", identity).out
    assert "not-needed" in page
    assert "not needed: it should run only if another issue fails" in page


def test_an_epic_shows_its_children_with_progress(cli: Cli) -> None:
    epic = cli.new("epic", "--type", "epic")
    assert "Children: 0 of 0 closed" in cli("issue", "show", epic).out
    children = [cli.new(f"child {number}", "--parent", epic) for number in range(3)]
    cli("issue", "close", children[0])
    data = cli("issue", "show", epic, "--json").data
    assert data["progress"] == {"closed": 1, "total": 3}
    assert {child["id"]: child["state"] for child in data["children"]}[children[0]] == "done"
    assert "Children: 1 of 3 closed (33%)" in cli("issue", "show", epic).out


def test_parents_are_set_and_listed_like_dependencies(cli: Cli) -> None:
    epic, child = cli.new("epic"), cli.new("child")
    row = {"issue": child, "target": epic, "kind": "parent", "ignored": False}
    assert cli("issue", "dep", "add", child, epic, "--kind", "parent", "--json").data == row
    assert cli("issue", "dep", "list", child, "--json").data == [row]
    assert cli("issue", "dep", "list", epic, "--json").data == [row]
    assert cli("issue", "dep", "add", epic, child, "--kind", "parent").code == 5
    assert cli("issue", "dep", "remove", child, epic, "--kind", "parent").out == f"{child} is not below {epic}\n"
    assert cli("issue", "dep", "list", epic).out == "no dependencies\n"


def test_a_duplicate_names_its_original(cli: Cli) -> None:
    original, copy = cli.new("original"), cli.new("copy")
    assert cli("issue", "close", copy, "--of", original).code == 2
    cli("issue", "close", copy, "--as", "duplicate", "--of", original)
    assert f"duplicates {original}" in cli("issue", "show", copy).out
    failed = cli.new("hopeless")
    assert cli("issue", "close", failed, "--as", "failed", "--json").data["resolution"] == "failed"


def test_many_issues_in_one_command(cli: Cli) -> None:
    one, two, three = (cli.new(name, "--label", "old") for name in ("one", "two", "three"))
    edited = cli("issue", "edit", one, "--priority", "0", two, "--json").data
    assert [(issue["id"], issue["priority"]) for issue in edited] == [(one, 0), (two, 0)]
    assert cli("issue", "edit", one, two, "--priority", "1", "--dry-run").out.splitlines() == [
        f"{one}  one", f"{two}  two", "2 issues would be edited; nothing was",
    ]  # fmt: skip
    assert cli("issue", "show", one, "--json").data["priority"] == 0
    assert cli("issue", "comment", one, two, "both").out == "commented\n2 issues commented on\n"
    assert cli("issue", "comment", one, "--json", "alone").data["text"] == "alone"
    assert cli("issue", "comment", "--json", one, "--", "-x").data["text"] == "-x"
    assert cli("issue", "close", one, "zzzz", three).code == 3
    assert cli("issue", "show", one, "--json").data["status"] == "open"
    closed = cli("issue", "close", "--query", "label:old priority:0", "--as", "wontfix", "--json").data
    assert {issue["id"] for issue in closed} == {one, two}
    assert cli("issue", "reopen", "--query", "label:nothing").out == "0 issues reopened\n"
    assert cli("issue", "reopen", one, two).out.splitlines()[-1] == "2 issues reopened"
    assert cli("issue", "close", "--query", "label:").code == 2


@pytest.mark.parametrize(
    "words",
    ["issue edit --priority 1", "issue close", "issue reopen", "issue comment", "issue comment x --query label:x y"],
)
def test_which_issues_must_be_said_in_one_way(cli: Cli, words: str) -> None:
    done = cli(*words.split())
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_history_blame_and_undo(cli: Cli) -> None:
    identity = cli.new("one", "--body", "first\nsecond")
    cli("issue", "edit", identity, "--title", "two", "--body", "first\n2nd", env=BEN)
    cli("issue", "edit", identity, "--due", "2027-01-31T12:00", "--add-label", "x")
    page = cli("issue", "history", identity).out
    for part in (
        "title: one -> two",
        "    -second",
        "    +2nd",
        "due_at: nothing -> 2027-01-31 12:00:00",
        "labels: +x",
    ):
        assert part in page
    data = cli("issue", "history", identity, "--json").data
    assert [(entry["kind"], entry["actor"] == "ben") for entry in data] == [
        ("created", False), ("fields-set", True), ("fields-set", False), ("labels-changed", False),
    ]  # fmt: skip
    assert {"field": "title", "old": "one", "new": "two"} in data[1]["changes"]
    assert cli("issue", "history", identity, "--limit", "1", "--json").data == data[-1:]
    blame = cli("issue", "blame", identity, "body", "--json").data
    assert [(line["line"], line["actor"] == "ben") for line in blame["lines"]] == [("first", False), ("2nd", True)]
    assert "[current]" in cli("issue", "blame", identity, "due").out
    assert cli("issue", "blame", identity, "external-ref").out == "nobody has set external_ref\n"
    assert "would undo" in cli("issue", "undo", "--dry-run").out
    assert "set back due_at to nothing" in cli("issue", "undo", "--list").out
    assert cli("issue", "undo", "--json").data["kinds"] == ["fields-set", "labels-changed"]
    assert cli("issue", "show", identity, "--json").data["due_at"] is None
    assert "undone" in cli("issue", "history", identity).out
    done = cli("issue", "undo")
    assert (done.code, "ben has worked on" in done.err) == (4, True)
    assert cli("issue", "undo", env=BEN).code == 0
    assert cli("issue", "undo", env=BEN).code == 3
    assert cli("issue", "undo", "--list", env=BEN).out == "there is nothing that you could undo\n"


def test_undo_is_for_people(cli: Cli) -> None:
    cli.new("one")
    env = {"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_REPOSITORY": str(cli.folder)}
    assert cli("issue", "undo", env=env).code == 5


def test_attachments_go_in_and_come_out(cli: Cli, tmp_path: Path) -> None:
    content = bytes(range(256))
    (tmp_path / "run.log").write_bytes(content)
    identity = cli.new("one")
    assert cli("issue", "attach", identity, f"{tmp_path}/run.log").out == f"{identity}  attached run.log (256 bytes)\n"
    assert cli("issue", "attach", identity, "-", "--name", "../x", stdin=b"text").out.endswith("attached x (4 bytes)\n")
    assert [one["name"] for one in cli("issue", "attachments", identity, "--json").data] == ["run.log", "x"]
    assert "1  run.log  256 bytes" in cli("issue", "show", identity).out
    assert cli("issue", "attachment", identity, "1", "-o", "-").raw == content
    assert cli("issue", "attachment", identity, "1", "-o", "-", "--json").error["code"] == "usage"
    assert cli("issue", "attachment", identity, "run.log", cwd=cli.folder).code == 0
    assert (cli.folder / "run.log").read_bytes() == content
    done = cli("issue", "attachment", identity, "run.log")
    assert (done.code, "is there already" in done.err) == (5, True)
    (cli.folder / "run.log").write_bytes(b"")
    assert cli("issue", "attachment", identity, "run.log", "--force", "--json").data["file"] == "run.log"
    assert (cli.folder / "run.log").read_bytes() == content
    assert sorted(os.listdir(cli.folder)) == [".git", "run.log"]
    assert cli("issue", "detach", identity, "x").out == f"{identity}  detached x\n"
    assert "detached x" in cli("logs", identity).out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("issue attach ID missing", 2, "cannot read missing"),
        ("issue attach ID .git", 2, "cannot read .git"),
        ("issue attach ID -", 2, "standard input has no name"),
        ("issue attach ID /dev/zero", 2, "larger than 25,000,000 bytes"),
        ("issue attach zzzz README", 3, "there is no issue"),
        ("issue attachment ID 1", 3, "there is no attachment '1'"),
        ("issue attachment ID a -o .git", 2, ".git is a folder"),
        ("issue attachment ID a -o no/where", 7, "cannot write no/where"),
        ("issue attachment ID a -o /dev/null --force", 5, "no file that could be replaced"),
        ("issue detach ID b", 3, "there is no attachment 'b'"),
        ("issue blame ID colour", 2, "no field 'colour'"),
        ("issue history zzzz", 3, "there is no issue"),
        ("issue undo zzzz", 3, "is nothing that"),
        ("issue undo --list --dry-run", 2, "--list takes neither"),
        ("issue new x --due soon", 2, "is no date"),
        ("issue new x --due 99999999w", 2, "no date"),
        ("issue new x --estimate long", 2, "not an estimate"),
        ("issue edit ID --estimate ²m", 2, "not an estimate"),
    ],
)
def test_what_cannot_be_done_is_one_line(cli: Cli, words: str, code: int, says: str) -> None:
    identity = cli.new("one")
    if "attachment ID a" in words:
        cli("issue", "attach", identity, "-", "--name", "a", stdin=b"a")
    (cli.folder / "README").write_text("x")
    given = [identity if word == "ID" else word for word in words.split()]
    done = cli(*given)
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert says in done.err


def test_bad_bytes_are_refused_or_harmless(cli: Cli, tmp_path: Path) -> None:
    identity = cli.new("one")
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    (tmp_path / "nul").write_bytes(b"a\0b")
    (tmp_path / "big").write_bytes(b"x" * 1_000_001)
    for name in ("bad", "nul", "big"):
        for option in ("--body", "--design", "--acceptance"):
            assert cli("issue", "edit", identity, option, f"@{tmp_path}/{name}").code == 2
        assert cli("issue", "comment", identity, f"@{tmp_path}/{name}").code == 2
    for option in ("--title", "--assignee", "--external-ref", "--agent", "--scope", "--add-label", "--body"):
        assert cli("issue", "edit", identity, option, b"\xff").code == 2
    assert len(cli("issue", "history", identity, "--json").data) == 1
    (tmp_path / "most").write_bytes(b"\x1b[2J" * 250_000)
    assert cli("issue", "edit", identity, "--body", f"@{tmp_path}/most").code == 0
    for command in ("show", "history"):
        assert "\x1b" not in cli("issue", command, identity).out
    assert "\x1b" not in cli("issue", "blame", identity, "body").out
    odd = tmp_path / os.fsdecode(b"\xff\x1b[2J.txt")
    odd.write_bytes(b"x")
    assert cli("issue", "attach", identity, os.fsencode(odd)).code == 0
    assert "\x1b" not in cli("issue", "attachments", identity).out
