"""`tapeout gate prove` and what `status` says of checks that were never red."""

import subprocess
from pathlib import Path

from tests.cli.conftest import Cli

CONFIG = """
[[check]]
name = "compile"
kind = "build"
run = "python3 -m compileall -q ."

[[check]]
name = "liar"
kind = "lint"
run = "true"
"""


def _commit(folder: Path) -> None:
    (folder / "tapeout.toml").write_text(CONFIG)
    (folder / "sums.py").write_text("x = 1\n")
    subprocess.run(["git", "-C", folder, "add", "."], check=True)
    subprocess.run(["git", "-C", folder, "commit", "-qm", "work"], check=True)


def test_what_cannot_go_red_fails_the_proof(cli: Cli) -> None:
    _commit(cli.folder)
    done = cli("gate", "prove")
    assert done.code == 6
    assert "syntax error in sums.py" in done.out
    assert "missed" in done.out
    assert done.err.startswith("tapeout: never seen red: liar (give the check a `defect`")
    checks = cli("gate", "prove", "--json").error["details"]["checks"]
    assert [(one["check"], one["proven"]) for one in checks] == [("compile", True), ("liar", False)]


def test_one_check_alone(cli: Cli) -> None:
    _commit(cli.folder)
    (proof,) = cli("gate", "prove", "--check", "compile", "--json").data["checks"]
    assert proof["proven"] is True
    done = cli("gate", "prove", "--check", "unit")
    assert (done.code, done.err) == (2, "tapeout: there is no check 'unit' (there are compile, liar)\n")


def test_status_names_checks_that_were_never_red(cli: Cli) -> None:
    _commit(cli.folder)
    assert "never seen red" not in cli("status").out  # nothing has been gated here yet
    cli("up", "--until-idle", "--agent", "scripted")
    assert "never seen red: compile, liar" in cli("status").out
    assert cli("status", "--json").data["unproven"] == ["compile", "liar"]
    cli("gate", "prove")
    assert cli("status", "--json").data["unproven"] == ["liar"]
