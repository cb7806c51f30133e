"""The reference says what the code says."""

import json
import re
import runpy
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tapeout.config import parse_config
from tapeout.tracker import Tracker
from tests.docs.pages import PAGES, ROOT, blocks
from tests.floor.conftest import Workbench, bench, script, step, turn, writes

__all__ = ["bench"]

REFERENCE = ROOT / "docs" / "reference"
GENERATED: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))["pages"]()
SCHEMA: dict[str, Any] = json.loads((REFERENCE / "envelope.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == GENERATED[name], "run: .venv/bin/python docs/generate_reference.py"


def test_every_example_of_the_configuration_is_valid() -> None:
    examples = [(page, block) for page in PAGES for block in blocks(page) if block.info == "toml"]
    whole = [(page, block) for page, block in examples if "[[check]]" in block.text]
    assert whole
    for page, block in whole:
        parse_config(block.text, f"{page.name}:{block.line}")


def problems(value: Any, schema: dict[str, Any] | None = None) -> list[str]:
    """Why `value` does not fit a schema; by default that of the envelope."""
    chosen = SCHEMA if schema is None else {"$defs": SCHEMA["$defs"], **schema}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(chosen).iter_errors(value)]


def data_of(command: str) -> dict[str, str]:
    """The schema of a command's data."""
    return {"$ref": f"#/$defs/data-{command.replace(' ', '-')}"}


NO_DATA = {"attach", "replay", "mcp"}
"""Commands that write to a terminal or speak another protocol."""


def test_the_schema_is_one_and_knows_every_command() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for definition in SCHEMA["$defs"].values():
        for reference in re.findall(r"#/\$defs/(\w+)", json.dumps(definition)):
            assert reference in SCHEMA["$defs"]
    commands = set(re.findall(r"^## `tapeout (.+)`$", GENERATED["commands.md"], re.MULTILINE))
    described = {name.removeprefix("data-") for name in SCHEMA["$defs"] if name.startswith("data-")}
    assert described == {command.replace(" ", "-") for command in commands - NO_DATA}


def test_the_page_about_json_names_every_command() -> None:
    named: set[str] = set()
    for line in (REFERENCE / "json.md").read_text(encoding="utf-8").splitlines():
        first, *others = re.findall(r"`([^`]+)`", line.split("|")[1]) if line.startswith("| `") else [""]
        named |= {re.sub(" --?[a-z].*", "", name) for name in (first, *others)}
        named |= {f"{first.rsplit(' ', 1)[0]} {other}" for other in others}
    commands = set(re.findall(r"^## `tapeout (.+)`$", GENERATED["commands.md"], re.MULTILINE))
    assert commands - NO_DATA - {"issue dep list"} <= named


def test_a_wrong_envelope_does_not_fit() -> None:
    good: dict[str, Any] = {"schema": 1, "ok": True, "data": []}
    assert problems(good) == []
    wrongs: list[Any] = [
        {**good, "ok": False},
        {**good, "schema": 2},
        {**good, "more": 1},
        {"schema": 1, "ok": True},
        [],
    ]
    for wrong in wrongs:
        assert problems(wrong)


def test_what_commands_print_fits_the_schema(bench: Workbench) -> None:
    fails = script(turn(step(write="broken", text="x")))
    works = bench.new("It works", writes("a.txt"), "--label", "x", "--scope", "a.txt")
    hard = bench.new("It does not", fails)
    waits = bench.new("It waits", "", "--depends-on", hard)
    run = _asked(bench, "up", "--until-idle", "--workers", "2")
    assert {outcome["result"] for outcome in run["outcomes"]} == {"landed", "given up"}
    states = {issue["id"]: issue["state"] for issue in _asked(bench, "issue list", "--status", "all")}
    assert states == {works: "landed", hard: "needs-person", waits: "blocked"}
    for identity in states:
        for change in _asked(bench, "issue show", identity)["changes"]:
            assert problems(change["verdict"], {"$ref": "#/$defs/verdict"}) == []
    assert {event["kind"] for event in _asked(bench, "logs", "--limit", "1000")} >= {"created", "change-landed"}
    assert _asked(bench, "prime")["tokens"] <= 1_500
    assert _asked(bench, "digest")["sections"][0]["title"] == "Needs a person"
    assert _asked(bench, "prompt", waits)["attempt"] == 1
    (failure,) = _asked(bench, "failures")
    assert _asked(bench, "failures", failure["signature"])["attempts"][0]["issue"] == hard
    assert _asked(bench, "prime", "--issue", hard)["sections"][0]["title"] == "This issue"
    _asked(bench, "issue new", "Epic", "--type", "epic")
    for words, kind in (
        (("blocked",), "obstacle"), (("issue epics",), "epic"), (("search", "it"), "hit"),
        (("stale", "--days", "0"), "listedIssue"),
    ):  # fmt: skip
        assert _asked(bench, *words)
        head, *rows = bench.run(*words[0].split(), *words[1:], "--jsonl").stdout.splitlines()
        assert problems(json.loads(head)) == []
        assert json.loads(head)["kind"] == kind.replace("listedIssue", "issue")
        for row in rows:
            assert problems(json.loads(row), {"$ref": f"#/$defs/{kind}"}) == []
        assert rows
    for words in (
        ("status",),
        ("queue",),
        ("graph",),
        ("stats",),
        ("context",),
        ("ready",),
        ("agents",),
        ("doctor",),
        ("gate show", "main"),
        ("gate verify", "--all"),
        ("hub",),
        ("publish",),
        ("gate run",),
    ):
        _asked(bench, *words)


def test_what_changes_issues_fits_the_schema(bench: Workbench) -> None:
    one = _asked(bench, "issue new", "One", "--defer", "2d", "--priority", "0", "--acceptance", "- x")["id"]
    two = _asked(bench, "issue new", "Two")["id"]
    (bench.root / "plan.md").write_text("# Three\n")
    assert isinstance(_asked(bench, "issue new", "--file", "plan.md"), list)
    _asked(bench, "issue comment", one, "Text")
    _asked(bench, "issue edit", one, "--defer", "none")
    _asked(bench, "issue dep add", two, one)
    assert _asked(bench, "issue dep list", two)
    _asked(bench, "issue dep remove", two, one)
    _asked(bench, "issue dep add", two, one, "--kind", "parent")
    assert _asked(bench, "issue show", one)["progress"] == {"closed": 0, "total": 1}
    assert isinstance(_asked(bench, "issue edit", one, two, "--priority", "1"), list)
    assert _asked(bench, "issue history", one)
    assert _asked(bench, "issue blame", one, "priority")["settings"]
    _asked(bench, "issue edit", one, "--body", "one\ntwo")
    assert _asked(bench, "issue blame", one, "body")["lines"]
    assert _asked(bench, "issue undo", "--list")
    _asked(bench, "issue undo")
    _asked(bench, "issue attach", one, "plan.md")
    assert _asked(bench, "issue attachments", one)
    _asked(bench, "issue attachment", one, "plan.md", "-o", "copy.md")
    _asked(bench, "issue detach", one, "plan.md")
    assert _asked(bench, "claim", one, "--as", "ada")["owner"] == "ada"
    assert {issue["state"] for issue in _asked(bench, "issue list")} == {"leased", "ready"}
    assert _asked(bench, "status")["counts"]["leased"] == 1
    _asked(bench, "renew", one, "--as", "ada")
    lost = json.loads(bench.run("claim", one, "--as", "ben", "--json", code=9).stdout)
    assert problems(lost) == []
    assert problems({**lost, "error": {**lost["error"], "details": {}}})
    _asked(bench, "release", one, "--as", "ada")
    _asked(bench, "issue close", one)
    _asked(bench, "issue reopen", one)
    _asked(bench, "completion", "bash")
    _asked(bench, "export", "--to", "beads", "-o", "issues.jsonl")
    assert _asked(bench, "import", "issues.jsonl", "--dry-run")["dry_run"] is True
    assert _asked(bench, "snapshot", "pages")["written"] == 4
    _asked(bench, "gc")
    _asked(bench, "doctor", "--rebuild")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("issue", "show", "zzzz"), 3),
        (("issue", "new"), 2),
        (("init",), 5),
        (("stop",), 3),
        (("up", "--agent", "nobody"), 2),
        (("nonsense",), 2),
    ],
)
def test_errors_fit_the_schema_and_the_table(bench: Workbench, words: tuple[str, ...], code: int) -> None:
    done = bench.run(*words, "--json", code=code)
    envelope = json.loads(done.stdout)
    assert problems(envelope) == []
    assert f"| {code} | `{envelope['error']['code']}` |" in GENERATED["exit-codes.md"]
    assert envelope["error"]["exit"] == code


def _asked(bench: Workbench, command: str, *words: str) -> Any:
    """The data of a command, which fits its schema."""
    envelope = json.loads(bench.run(*command.split(), *words, "--json").stdout)
    assert problems(envelope) == []
    assert problems(envelope["data"], data_of(command)) == []
    return envelope["data"]


def test_the_example_of_the_python_api_runs(bench: Workbench) -> None:
    (example,) = [block for block in blocks(REFERENCE / "python-api.md") if block.info == "python test"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.text], cwd=bench.root, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ada has it until" in done.stdout
    assert "['Show tags']" in done.stdout
    assert "# The plan on" in done.stdout


def test_the_python_api_names_every_public_method() -> None:
    public = {name for name in dir(Tracker) if not name.startswith("_") and callable(getattr(Tracker, name))}
    assert set(re.findall(r"^### `([a-z]\w*)\(", GENERATED["python-api.md"], re.MULTILINE)) == public


def test_every_table_of_the_configuration_is_described() -> None:
    from tapeout.config import Config

    described = set(re.findall(r"^## `\[+(\w+)", GENERATED["configuration.md"], re.MULTILINE))
    assert described == set(Config.model_fields)
