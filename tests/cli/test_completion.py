"""Completion scripts load in their shells and know the commands."""

import shutil
import subprocess

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_names_all_commands(cli: Cli, shell: str) -> None:
    script = cli("completion", shell).out
    for word in ("issue", "claim", "doctor", "reopen", "add-label" if shell != "tcsh" else "reopen"):
        assert word in script
    assert cli("completion", shell, "--json").data["script"] == script.removesuffix("\n")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_script_loads(cli: Cli, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = cli("completion", shell).raw
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_bash_completes(cli: Cli) -> None:
    script = cli("completion", "bash").out

    def complete(line: str) -> set[str]:
        words = line.split(" ")
        code = f"{script}\nCOMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}\n"
        code += "COMP_LINE='" + line + "'; COMP_POINT=${#COMP_LINE}\n"
        code += '$(complete -p tapeout | sed "s/.*-F \\([^ ]*\\).*/\\1/")\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        return {word.strip() for word in done.stdout.splitlines()}

    assert complete("tapeout iss") == {"issue"}
    assert complete("tapeout issue re") == {"reopen"}
    assert "--depends-on" in complete("tapeout issue new --dep")
    assert complete("tapeout issue new --type b") == {"bug"}
    assert complete("tapeout issue dep a") == {"add"}
