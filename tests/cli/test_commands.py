"""What each tracker command does, for people and for programs."""

import json
import time
from pathlib import Path

import pytest

from tapeout import __version__
from tapeout.cli.commands import COMMANDS
from tapeout.cli.issue import COMMANDS as ISSUE_COMMANDS
from tests.cli.conftest import Cli

GROUPS = {"issue": tuple(command.name for command in ISSUE_COMMANDS), "gate": ("run", "show")}
HELP = [
    [],
    *([command.name] for command in COMMANDS),
    *([group, name] for group, names in GROUPS.items() for name in names),
    *(["issue", "dep", name] for name in ("add", "remove", "list")),
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    done = cli(*words, "--help", cwd=tmp_path, env={"COLUMNS": "100"})
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(" ".join(["usage: tapeout", *words]))
    assert "--help" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_the_overview_names_every_command(cli: Cli) -> None:
    out = cli("--help").out
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert listed == [command.name for command in COMMANDS]


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"tapeout {__version__}\n"


def test_new_and_show(cli: Cli) -> None:
    done = cli(
        "issue", "new", "Parse tags", "--body", "A *tag*.", "--acceptance", "- works", "--type", "feature",
        "--priority", "1", "--label", "parser", "--label", "a", "--scope", "src/**", "--agent", "codex",
        "--assignee", "ada", "--defer", "2d",
    )  # fmt: skip
    identity, title = done.out.strip().split("  ")
    assert title == "Parse tags"
    data = cli("issue", "show", identity[:6], "--json").data
    expected = {
        "id": identity, "title": "Parse tags", "body": "A *tag*.", "acceptance": "- works", "type": "feature",
        "priority": 1, "labels": ["a", "parser"], "scope": ["src/**"], "agent": "codex", "assignee": "ada",
        "status": "open", "state": "deferred", "dependencies": [], "comments": [], "attempts": [], "changes": [],
    }  # fmt: skip
    assert {name: data[name] for name in expected} == expected
    assert data["deferred_until"] == pytest.approx(time.time() + 2 * 86400, abs=60)
    page = cli("issue", "show", identity).out
    for part in ("deferred · feature · priority 1", "#a · #parser", "scope src/**", "A *tag*.", "Acceptance criteria"):
        assert part in page


def test_edit_sets_and_clears(cli: Cli) -> None:
    parent, identity = cli.new("parent"), cli.new("one")
    words = [
        "--title",
        "two",
        "--parent",
        parent,
        "--assignee",
        "ada",
        "--agent",
        "codex",
        "--scope",
        "a",
        "--body",
        "b",
    ]
    data = cli("issue", "edit", identity, *words, "--add-label", "x", "--defer", "1w", "--json").data
    assert (data["title"], data["parent"], data["assignee"], data["labels"]) == ("two", parent, "ada", ["x"])
    assert data["state"] == "deferred"
    words = ["--parent", "", "--assignee", "", "--agent", "", "--scope", "", "--body", "", "--defer", "none"]
    data = cli("issue", "edit", identity, *words, "--remove-label", "x", "--json").data
    cleared = [data[name] for name in ("parent", "assignee", "agent", "scope", "body", "deferred_until", "labels")]
    assert cleared == [None, None, None, [], "", None, []]
    assert data["state"] == "ready"


def test_list_filters_and_says_when_there_is_more(cli: Cli) -> None:
    text = "".join(f"---\ntitle: number {n}\npriority: {n % 5}\nlabels: [l{n % 2}]\n---\n" for n in range(60))
    filed = cli("issue", "new", "--file", "-", "--json", stdin=text.encode()).data
    assert len(filed) == 60
    shown = cli("issue", "list").out.splitlines()
    assert shown[0].split() == ["ID", "STATE", "PRI", "TYPE", "TITLE"]
    assert len(shown) == 52
    assert shown[-1] == "... and more: --limit 0 shows all (now 50)"
    assert len(cli("issue", "list", "--limit", "0").out.splitlines()) == 61
    assert len(cli("issue", "list", "--limit", "60").out.splitlines()) == 61
    assert len(cli("ready", "--json").data) == 50
    assert cli("ready", "--limit", "3").out.splitlines()[-1] == "... and more: --limit 0 shows all (now 3)"
    labelled = cli("issue", "list", "--label", "l1", "--json", "--limit", "0").data
    assert [issue["priority"] for issue in labelled] == sorted(issue["priority"] for issue in labelled)
    assert len(labelled) == 30
    assert cli("issue", "close", filed[0]["id"]).code == 0
    assert [issue["id"] for issue in cli("issue", "list", "--status", "closed", "--json").data] == [filed[0]["id"]]
    assert len(cli("issue", "list", "--status", "all", "--limit", "0", "--json").data) == 60
    assert cli("issue", "list", "--type", "bug").out == "no issues\n"
    assert cli("issue", "list", "--needs-person", "--json").data == []


def test_a_file_of_issues_is_filed_as_a_whole(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_text("---\nid: one\ntitle: One\n---\n\n---\ntitle: Two\ndepends-on: [one]\n---\nBody\n")
    one, two = cli("issue", "new", "--file", str(file), "--json").data
    assert [one["title"], two["title"], two["state"]] == ["One", "Two", "blocked"]
    file.write_text("---\ntitle: Three\n---\n---\ntitle: Four\npriority: 7\n---\n")
    done = cli("issue", "new", "--file", str(file))
    assert done.code == 2
    assert f"tapeout: {file}:4: 7 is not a priority" in done.err
    assert len(cli("issue", "list", "--json").data) == 2
    assert "standard input:1: no issue found" in cli("issue", "new", "--file", "-").err


def test_closing_reopening_and_comments(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("issue", "comment", identity, "first").out == "commented\n"
    assert cli("issue", "comment", identity, "-", stdin=b"from\r\nstdin").code == 0
    closed = cli("issue", "close", identity, "--as", "duplicate", "--note", "see the other", "--json").data
    assert (closed["status"], closed["state"]) == ("closed", "duplicate")
    assert cli("ready").out == "nothing is ready\n"
    assert cli("issue", "reopen", identity).out == f"{identity}  open\n"
    comments = cli("issue", "show", identity, "--json").data["comments"]
    assert [comment["text"] for comment in comments] == ["first", "from\nstdin", "see the other"]


def test_text_from_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "body.md").write_text("from a file\n")
    identity = cli.new("one", "--body", f"@{tmp_path}/body.md", "--acceptance", "-", stdin=b"- from stdin")
    data = cli("issue", "show", identity, "--json").data
    assert (data["body"], data["acceptance"]) == ("from a file\n", "- from stdin")


def test_dependencies(cli: Cli) -> None:
    first, second = cli.new("first"), cli.new("second")
    assert cli("issue", "dep", "add", second, first).out == f"{second} depends on {first} (blocks)\n"
    assert cli("issue", "dep", "add", first, second).code == 5
    assert cli("issue", "dep", "list", first, "--json").data == [
        {"issue": second, "target": first, "kind": "blocks", "ignored": False},
    ]
    assert f"waits for {first}" in cli("issue", "show", second).out
    assert f"{second} waits for this" in cli("issue", "show", first).out
    assert [issue["id"] for issue in cli("ready", "--json").data] == [first]
    assert cli("issue", "dep", "remove", second, first, "--json").data["target"] == first
    assert cli("issue", "dep", "list", first).out == "no dependencies\n"
    assert len(cli("ready", "--json").data) == 2


def test_claim_and_release(cli: Cli) -> None:
    later, now = cli.new("later"), cli.new("now", "--priority", "0")
    lease = cli("claim", "--next", "--as", "ada", "--lease", "600", "--json").data
    assert (lease["issue"], lease["owner"], lease["token"]) == (now, "ada", 1)
    assert lease["expires"] == pytest.approx(time.time() + 600, abs=60)
    assert cli("issue", "show", now, "--json").data["state"] == "leased"
    assert f"{later}  later\nyours until " in cli("claim", later).out
    assert cli("claim", "--next").code == 3
    assert cli("release", now, "--as", "ada").out == f"{now}  released\n"
    assert cli("claim", "--next", "--json").data["token"] == 2


def test_who_writes(cli: Cli) -> None:
    identity = cli.new("one", env={"TAPEOUT_ACTOR": "ada"})
    cli("issue", "comment", identity, "x", env={"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_ACTOR": "ada"})
    cli("issue", "comment", identity, "x", env={"TAPEOUT_ACTOR": None, "USER": "ben"})
    cli("issue", "comment", identity, "x", env={"TAPEOUT_ACTOR": None, "USER": None})
    actors = [event["actor"] for event in cli("logs", "--json").data]
    assert actors[:3] == ["ada", "agent:a-1", "ben"]
    assert actors[3].startswith("uid")


def test_logs(cli: Cli) -> None:
    assert cli("logs").out == "nothing has happened yet\n"
    one, two = cli.new("one"), cli.new("two")
    cli("claim", one, "--as", "ada")
    cli("issue", "close", two, "--note", "no\nneed")
    lines = [line.split("  ", 2)[1:] for line in cli("logs").out.splitlines()]
    assert lines == [
        [one, "filed: one"],
        [two, "filed: two"],
        [one, "claimed by ada"],
        [two, "comment: no"],
        [two, "closed as done"],
    ]
    assert len(cli("logs", one).out.splitlines()) == 2
    assert len(cli("logs", "--limit", "1").out.splitlines()) == 1
    assert len(cli("logs", "--limit", "0", "--json").data) == 5


def test_a_word_that_only_looks_like_the_option_is_text(cli: Cli) -> None:
    identity = cli.new("one")
    assert cli("issue", "comment", identity, "--", "--json").out == "commented\n"
    assert cli("issue", "show", identity, "--json").data["comments"][0]["text"] == "--json"


def test_an_envelope_is_one_line_of_json(cli: Cli) -> None:
    identity = cli.new("one", "--body", "a\nb\u2028c")
    (line,) = cli("issue", "show", identity, "--json").out.split("\n")[:-1]
    assert json.loads(line)["data"]["body"] == "a\nb\u2028c"
