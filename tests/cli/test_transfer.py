"""`tapeout import`, `export` and `snapshot` as processes."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

BEAD = {"id": "bd-1", "title": "One", "status": "odd\x1b[2J", "created_at": "2025-10-16T20:46:08Z", "priority": 2}


@pytest.fixture
def file(cli: Cli) -> Path:
    path = cli.folder / "beads.jsonl"
    path.write_text(json.dumps(BEAD) + "\n")
    return path


def test_import_says_what_it_did(cli: Cli, file: Path) -> None:
    tried = cli("import", str(file), "--from", "beads", "--dry-run")
    assert tried.out.startswith("would be: 1 created, 0 updated, 0 unchanged, 0 skipped (beads)\n")
    assert "\x1b" not in tried.out
    assert cli("issue", "list", "--json").data == []
    done = cli("import", "-", "--json", stdin=file.read_bytes())
    assert (done.data["created"], done.data["dry_run"]) == (1, False)
    assert cli("issue", "show", done.data["issues"]["bd-1"], "--json").data["external_ref"] == "bd-1"
    assert cli("import", str(file), "--json").data["unchanged"] == 1


@pytest.mark.parametrize("content", [b'{"id": "bd-1"}', b"no JSON", b'{"x": 1}', b"\xff"])
def test_a_bad_file_is_one_line_and_changes_nothing(cli: Cli, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    done = cli("import", str(file), "--json")
    assert (done.code, done.error["code"]) == (2, "usage")
    assert str(file) in done.error["message"]
    assert cli("issue", "list", "--json").data == []


def test_a_file_that_is_not_there(cli: Cli) -> None:
    assert cli("import", "missing.jsonl", "--json").error["message"].startswith("cannot read missing.jsonl")


def test_export_to_standard_output_and_to_a_file(cli: Cli) -> None:
    identity = cli.new("Né\x9b".replace("\x9b", ""), "--body", "\x7f\x1b é")
    shown = cli("export")
    assert shown.raw.isascii()
    assert not any((byte < 32 and byte != 10) or byte == 127 for byte in shown.raw)
    assert json.loads(shown.out)["id"] == identity
    for to in ("tapeout", "beads", "github"):
        assert cli("export", "--to", to, "-o", "out", "--json").data == {"issues": 1, "file": "out"}
        assert (cli.folder / "out").read_bytes() == cli("export", "--to", to).raw
    assert [path.name for path in cli.folder.iterdir() if path.name.startswith("out")] == ["out"]
    assert cli("export", "--json").error["code"] == "usage"
    assert cli("export", "-o", "no/such/out", "--json").error["code"] == "environment"


def test_an_empty_tracker(cli: Cli) -> None:
    assert cli("export").out == ""
    assert json.loads(cli("export", "--to", "github").out) == []
    assert cli("snapshot", "pages", "--json").data == {"written": 1, "unchanged": 0, "removed": 0}


def test_only_the_issues_of_a_query(cli: Cli) -> None:
    wanted = cli.new("One", "--label", "api")
    cli.new("Two")
    assert [json.loads(line)["id"] for line in cli("export", "--query", "label:api").out.splitlines()] == [wanted]


def test_a_snapshot_never_takes_what_it_did_not_write(cli: Cli) -> None:
    cli.new("One")
    assert cli("snapshot", "pages").out == "2 pages written, 0 unchanged, 0 removed\n"
    (cli.folder / "README.md").write_text("mine")
    done = cli("snapshot", ".", "--json")
    assert (done.code, done.error["code"]) == (5, "not-allowed")
    assert (cli.folder / "README.md").read_text() == "mine"
    assert not (cli.folder / "issues").exists()
