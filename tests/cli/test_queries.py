"""Commands that find and report: queries on the command line, search, reports, streams."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tapeout.tracker import Draft, Tracker
from tests.cli.conftest import PROGRAM, Cli, Done
from tests.cli.test_output import EVIL, RAW


def titles(done: Done) -> list[str]:
    return [issue["title"] for issue in done.data]


def streamed(done: Done) -> tuple[str, list[dict[str, Any]]]:
    """The kind and the rows of a stream."""
    head, *rows = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert (head.keys(), head["schema"], head["ok"]) == ({"schema", "ok", "kind"}, 1, True)
    return head["kind"], rows


def test_a_query_on_the_command_line(cli: Cli) -> None:
    epic = cli.new("Big thing", "--type", "epic", "--label", "api")
    cli.new("Small thing", "--label", "api", "--parent", epic)
    cli.new("Other", "--body", "exact phrase here")
    closed = cli.new("Gone", "--label", "api")
    cli("issue", "close", closed)
    for words, expected in (
        (["label:api"], ["Big thing", "Small thing"]),
        (["label:api", "-type:epic"], ["Small thing"]),
        (["-type:epic", "label:api"], ["Small thing"]),
        (["-has:label"], ["Other"]),
        (["--limit", "5", "-type:epic", "--type", "task", "label:api"], ["Small thing"]),
        (["label:api", "--limit", "5", "-type:epic"], ["Small thing"]),
        (["label:api -type:epic"], ["Small thing"]),
        (['"exact phrase"', "word", "OR", "exact"], ["Other"]),
        (["-(label:api", "OR", "exact)"], []),
        (["--", "-label:api"], ["Other"]),
        (["thing", "sort:title-desc"], ["Small thing", "Big thing"]),
        (["label:api", "--status", "all", "sort:title"], ["Big thing", "Gone", "Small thing"]),
        (["is:closed"], ["Gone"]),
        (["closed:<1d"], ["Gone"]),
        (["label:api", "--parent", epic[:8]], ["Small thing"]),
        (["--label", "api", "--type", "epic"], ["Big thing"]),
    ):
        assert titles(cli("issue", "list", "--json", *words)) == expected, words


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["issue", "list", "foo:x"], 2, "character 1: there is no field 'foo': status, is"),
        (["issue", "list", "a", "(b"], 2, "character 3: a ( is never closed"),
        (["issue", "list", "parent:zzuu"], 3, "no issue 'zzuu'"),
        (["issue", "list", "--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["issue", "list", "--jsonl", "foo:x"], 2, "no field 'foo'"),
        (["search"], 2, "no word to search for"),
        (["search", "---"], 2, "unrecognized arguments"),
        (["search", "--", "+++"], 2, "no word to search for"),
        (["search", "x", "--where", "foo:x"], 2, "no field 'foo'"),
        (["blocked", "zzuu"], 3, "no issue 'zzuu'"),
        (["graph", "zzuu"], 3, "no issue 'zzuu'"),
        (["stale", "--days", "-1"], 2, "should be between 0 and 36500"),
        (["stale", "--days", "x"], 2, "invalid int value"),
        (["ready", "foo:x"], 2, "no field 'foo'"),
        (["stale", "extra"], 2, "unrecognized arguments: extra"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, words: list[str], code: int, part: str) -> None:
    done = cli(*words)
    if "--jsonl" in words:
        assert part in done.error["message"]
        return
    assert (done.code, done.out) == (code, "")
    assert part in done.err
    assert len(done.err.splitlines()) == 1


def test_ready_takes_a_query(cli: Cli) -> None:
    first = cli.new("One", "--label", "api")
    cli.new("Two", "--label", "api", "--depends-on", first)
    cli.new("Three")
    assert titles(cli("ready", "label:api", "--json")) == ["One"]
    assert titles(cli("ready", "-label:api", "--json")) == ["Three"]


def test_search(cli: Cli) -> None:
    first = cli.new("Parse tags", "--body", "Tags begin with a hash.")
    cli.new("Greet", "--body", "Nothing to parse here.")
    cli("issue", "close", first)
    out = cli("search", "parsing").out.splitlines()
    assert out[0] == f"{first}  done  Parse tags"
    assert out[1] == "    **Parse** tags"
    (hit,) = cli("search", "parse", "--where", "is:open", "--json").data
    assert (hit["issue"]["title"], hit["snippet"]) == ("Greet", "Nothing to **parse** here.")
    assert cli("search", "parse", "--limit", "1").out.splitlines()[-1].startswith("... and more")
    assert cli("search", "nowhere").out == "no issue holds all of these words\n"
    assert cli("search", 'par" OR (*').out == "no issue holds all of these words\n"
    assert len(cli("search", "-parse", "--json").data) == 2


def test_blocked_tells_the_chain(cli: Cli) -> None:
    root, now = cli.new("Root"), time.time()
    middle = cli.new("Middle", "--depends-on", root)
    top = cli.new("Top", "--depends-on", middle, "--priority", "0")
    assert cli("blocked", top).out.splitlines() == [
        f"{top}  Top",
        f"    waits for {middle} (blocked)  Middle",
        f"      waits for {root} (ready, nobody has taken it)  Root",
    ]
    cli("claim", root, "--as", "bo")
    assert f"waits for {root} (leased by bo until {time.strftime('%Y', time.localtime(now))}" in cli("blocked").out
    data = cli("blocked", "--json").data
    assert [row["title"] for row in data] == ["Top", "Middle"]
    assert data[0]["chains"][0]["steps"][-1]["owner"] == "bo"
    assert cli("blocked", "--limit", "1").out.splitlines()[-1].startswith("... and more")
    cli("release", root, "--as", "bo")
    cli("issue", "close", root)
    cli("issue", "close", middle)
    assert cli("blocked").out == "nothing is blocked\n"


def test_blocked_tells_what_is_not_needed(cli: Cli) -> None:
    first, second = cli.new("First"), cli.new("Second")
    cli("issue", "dep", "add", second, first, "--kind", "conditional")
    cli("issue", "close", first)
    assert cli("blocked").out.splitlines() == [
        f"{second}  Second",
        f"    not needed: conditional on the failure of {first} (done)  First",
    ]


def test_the_graph_as_a_tree(cli: Cli) -> None:
    epic = cli.new("Epic", "--type", "epic")
    root = cli.new("Root")
    one = cli.new("One", "--parent", epic, "--depends-on", root)
    two = cli.new("Two", "--parent", epic, "--depends-on", one)
    expected = [
        f"{epic}  Epic  [ready]",
        f"├─ {one}  One  [blocked]",
        f"│  └─ waits for {root}  Root  [ready]",
        f"└─ {two}  Two  [blocked]",
        f"   └─ waits for {one}  One  [blocked]  (see above)",
    ]
    assert cli("graph").out.splitlines() == expected
    assert cli("graph", epic[:8]).out.splitlines() == expected
    assert cli("graph", one).out.splitlines() == [f"{one}  One  [blocked]", f"└─ waits for {root}  Root  [ready]"]
    data = cli("graph", "--json").data
    assert [node["title"] for node in data["nodes"]] == ["Epic", "One", "Root", "Two"]
    assert len(data["edges"]) == 4
    cut = cli("graph", "--limit", "2").out.splitlines()
    assert cut[-1] == "... 2 more issues are left out: --limit 0 shows all (now 2)"
    assert cli("graph", "--limit", "2", "--format", "mermaid").out.splitlines()[-1].strip() == (
        'rest["2 more issues are left out"]'
    )


def test_mermaid_holds_no_syntax_of_titles(cli: Cli) -> None:
    root = cli.new('x"] --> evil["<img src=x>\\`#quot; ä')
    top = cli.new("Top", "--depends-on", root)
    lines = cli("graph", "--format", "mermaid").out.splitlines()
    assert lines[0] == "graph LR"
    assert lines[1] == f'  n0["{top}: Top #40;blocked#41;"]'.replace("#40;", "(").replace("#41;", ")")
    inside = lines[2].removeprefix('  n1["').removesuffix(' (ready)"]')
    assert not set(inside) & set('"[]<>`\\=')
    assert "#quot;" not in inside
    assert inside.endswith("ä")
    assert lines[3] == "  n0 --> n1"


def test_a_graph_of_ten_thousand_in_one_chain_with_a_limit(cli: Cli) -> None:
    drafts = [Draft("0", name="0")]
    drafts += [Draft(f"{n}", name=f"{n}", depends_on=(f"{n - 1}",)) for n in range(1, 10_000)]
    with Tracker.open(cli.paths, "ada") as tracker:
        tracker.create_many(drafts)
        tracker.flush()
    lines = cli("graph").out.splitlines()
    assert len(lines) < 220
    assert "9800 more issues are left out" in lines[-1]
    everything = cli("graph", "--limit", "0").out.splitlines()
    assert sum("goes on below" in line for line in everything) == 10_000 // 30 - (10_000 % 30 == 0)
    assert {line.split("  ")[1] for line in (line.lstrip(" └─") for line in everything)} == {
        str(n) for n in range(10_000)
    }
    assert len(cli("graph", "--limit", "0", "--format", "mermaid").out.splitlines()) == 1 + 10_000 + 9_999


def test_stale(cli: Cli) -> None:
    identity = cli.new("Old")
    cli.new("Later", "--defer", "2d")
    assert cli("stale").out == "nothing has been left alone for 14 days\n"
    lines = cli("stale", "--days", "0").out.splitlines()
    assert [line.split() for line in lines] == [
        ["ID", "STATE", "DAYS", "ASSIGNEE", "TITLE"],
        [identity, "ready", "0", "-", "Old"],
    ]
    assert titles(cli("stale", "--days", "0", "--json")) == ["Old"]


def test_stats(cli: Cli) -> None:
    assert cli("stats").out == "no issues\n"
    cli.new("One", "--label", "api", "--assignee", "bo")
    cli("issue", "close", cli.new("Two", "--type", "bug"))
    data = cli("stats", "--json").data
    assert data["states"] == {"done": 1, "ready": 1}
    assert data["labels"] == [{"name": "api", "open": 1, "closed": 0}]
    assert (data["weeks"][-1]["opened"], data["weeks"][-1]["closed"]) == (2, 1)
    assert data["lead"]["number"] == 1
    out = cli("stats").out
    for part in ("1 done, 1 ready", "open for: half at most", "ASSIGNEE  OPEN  CLOSED", "WEEK UNTIL"):
        assert part in out


def test_epics(cli: Cli) -> None:
    epic = cli.new("Epic", "--type", "epic")
    assert cli("issue", "epics", "--closable").out == "no epics\n"
    child = cli.new("Child", "--parent", epic)
    assert cli("issue", "epics").out.splitlines()[1].split() == [epic, "open", "0/1", "0", "%", "Epic"]
    cli("issue", "close", child)
    assert cli("issue", "epics").out.splitlines()[1].endswith("1/1     100 %  Epic  (could be closed)")
    (data,) = cli("issue", "epics", "--closable", "--json").data
    assert (data["children"], data["closed"], data["percent"], data["closable"]) == (1, 1, 100, True)


def test_streams(cli: Cli) -> None:
    first = cli.new("One", "--type", "epic")
    cli.new("Two", "--depends-on", first)
    cli.new("Three")
    for words, kind, expected in (
        (["issue", "list"], "issue", ["One", "Two", "Three"]),
        (["issue", "list", "--limit", "1"], "issue", ["One"]),
        (["issue", "list", "is:blocked"], "issue", ["Two"]),
        (["issue", "list", "label:none"], "issue", []),
        (["ready"], "issue", ["Three"]),
        (["blocked"], "obstacle", ["Two"]),
        (["stale", "--days", "0"], "issue", ["One", "Two", "Three"]),
        (["issue", "epics"], "epic", ["One"]),
    ):
        assert streamed(cli(*words, "--jsonl")) == (kind, _rows(expected, streamed(cli(*words, "--jsonl"))[1]))
        assert streamed(cli(*words, "--jsonl"))[1] == cli(*words, "--json").data, words
    kind, rows = streamed(cli("search", "two", "--jsonl"))
    assert (kind, [row["issue"]["title"] for row in rows]) == ("hit", ["Two"])
    kind, rows = streamed(cli("logs", "--jsonl"))
    assert (kind, [row["kind"] for row in rows]) == ("event", ["created"] * 3)


def _rows(expected: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert [row["title"] for row in rows] == expected
    return rows


def test_a_stream_of_many_whose_reader_leaves(cli: Cli) -> None:
    with Tracker.open(cli.paths, "ada") as tracker:
        tracker.create_many([Draft(f"{number}", body="x" * 1000) for number in range(2000)])
        tracker.flush()
    process = subprocess.Popen(
        [PROGRAM, "issue", "list", "--jsonl", "--limit", "0"],
        cwd=cli.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["kind"] == "issue"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    assert len(streamed(cli("issue", "list", "--jsonl", "--limit", "0"))[1]) == 2000


def test_events_as_they_happen(cli: Cli) -> None:
    cli.new("One")
    process = subprocess.Popen([PROGRAM, "logs", "--follow", "--jsonl"], cwd=cli.folder, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"schema": 1, "ok": True, "kind": "event"}
    assert json.loads(process.stdout.readline())["data"]["title"] == "One"
    cli.new("Two")
    assert json.loads(process.stdout.readline())["data"]["title"] == "Two"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    process.stdout.close()


def test_nothing_of_an_issue_commands_the_terminal(cli: Cli, tmp_path: Path) -> None:
    identity = cli.new("one", "--body", EVIL, "--type", "epic", "--design", EVIL)
    cli.new("two", "--depends-on", identity, "--parent", identity)
    cli("claim", identity, "--as", EVIL)
    for words in (
        ["issue", "list", "--jsonl"], ["search", "hidden"], ["search", "hidden", "--jsonl"], ["search", EVIL],
        ["issue", "list", EVIL], ["blocked"], ["graph"], ["graph", "--format", "mermaid"], ["stats"],
        ["stale", "--days", "0"], ["issue", "epics"],
    ):  # fmt: skip
        done = cli(*words)
        assert not [raw for raw in RAW if raw in done.raw + os.fsencode(done.err)], words
