"""`tapeout gate run` shows findings, `tapeout gate export` writes them."""

import json
import subprocess

from tests.cli.conftest import Cli
from tests.floor.conftest import writes

CONFIG = """
[[check]]
name = "words"
kind = "lint"
run = '''awk '/TODO/ {print FILENAME ":" FNR ":2: " $0 " [todo]"; bad = 1} END {exit bad}' *.txt'''
report = "lines"
version = "echo words 1.2"

[[check]]
name = "hint"
run = "echo a.txt:1: warning: short; exit 1"
report = "lines"
blocking = false
"""


def _commit(cli: Cli, text: str) -> None:
    (cli.folder / "tapeout.toml").write_text(CONFIG)
    (cli.folder / "a.txt").write_text(text)
    subprocess.run(["git", "-C", cli.folder, "add", "."], check=True)
    subprocess.run(["git", "-C", cli.folder, "commit", "-qm", "work"], check=True)


def test_findings_are_shown_with_file_line_and_rule(cli: Cli) -> None:
    _commit(cli, "one\nTODO \x1b[31mtwo\n")
    done = cli("gate", "run")
    assert done.code == 6
    assert "a.txt:2:2: error: TODO two [todo]" in done.out
    assert "advice" in done.out
    assert "\x1b" not in done.out + done.err
    assert "1 finding: a.txt:2:2 todo: TODO two" in done.err


def test_a_pass_tells_what_it_must_not_hide(cli: Cli) -> None:
    _commit(cli, "one\n")
    assert "words 1.2" in cli("gate", "run").out
    again = cli("gate", "run")
    assert "cached from run" in again.out
    assert "exit code 1: 1 finding: a.txt:1: short" in again.out
    assert "cached from run" not in cli("gate", "run", "--fresh").out


def test_export(cli: Cli) -> None:
    _commit(cli, "TODO\n")
    run = cli("gate", "run", "--json").error["details"]["run"]
    sarif, junit = cli.folder / "out.sarif", cli.folder / "out.xml"
    done = cli("gate", "export", run, "--sarif", str(sarif), "--junit", str(junit), "--json")
    assert (done.data["run"], done.data["findings"], done.data["tests"]) == (run, 2, 0)
    log = json.loads(sarif.read_text())
    assert [one["tool"]["driver"]["name"] for one in log["runs"]] == ["words", "hint", "tapeout"]
    assert '<testsuite name="words" tests="1" failures="1"' in junit.read_text()
    assert json.loads(cli("gate", "export", run, "--sarif", "-").out) == log
    assert cli("gate", "export", run, "--junit", "-", "--sarif", str(sarif)).out == junit.read_text()
    for also in (["--junit", "-"], ["--json"]):
        assert cli("gate", "export", run, "--sarif", "-", *also).code == 2


def test_export_of_what_landed(cli: Cli) -> None:
    _commit(cli, "one\n")
    cli("issue", "new", "Do it", "--body", writes("b.md"))
    assert cli("up", "--until-idle", "--agent", "scripted").code == 0
    done = cli("gate", "export", "main", "--sarif", str(cli.folder / "landed.sarif"), "--json")
    assert done.data["findings"] == 1
    assert cli("gate", "show", done.data["commit"], "--json").data["run"] == done.data["run"]


def test_what_cannot_be_exported_is_said(cli: Cli) -> None:
    _commit(cli, "one\n")
    cli("up", "--until-idle", "--agent", "scripted")
    assert cli("gate", "export", "HEAD").err == "tapeout: nothing to write (give --sarif FILE, --junit FILE or both)\n"
    assert cli("gate", "export", "nothing", "--sarif", "x").code == 3
    assert "has no evidence" in cli("gate", "export", "HEAD", "--sarif", "x").err
    run = cli("gate", "run", "--json").data["run"]
    done = cli("gate", "export", run, "--sarif", "/no/such/folder/x")
    assert (done.code, done.err.startswith("tapeout: cannot write /no/such/folder/x")) == (7, True)
