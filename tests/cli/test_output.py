"""What is printed: nothing stored commands a terminal, and any output may be closed or full."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Cli

LIMIT = 1_000_000
EVIL = "\x1b[2J\x1b]0;owned\x07 \x9b31m \x7f \x08 \r hidden \u202e reversed \u200b zero"
RAW = [b"\x1b", b"\x07", b"\xc2\x9b", b"\x7f", b"\x08", b"\r", "\u202e".encode(), "\u200b".encode()]


def test_control_sequences_are_never_printed_raw(cli: Cli) -> None:
    identity = cli.new("one", "--body", "-", "--acceptance", EVIL, "--design", EVIL, stdin=EVIL.encode())
    cli("issue", "comment", identity, EVIL, env={"TAPEOUT_ACTOR": EVIL})
    cli("claim", identity, "--as", EVIL)
    for words in (
        ["issue", "show", identity],
        ["issue", "list"],
        ["logs"],
        ["claim", identity],
        ["issue", "show", EVIL],
    ):
        for option in ([], ["--json"]):
            done = cli(*words, *option)
            printed = done.raw + done.err.encode()
            assert printed
            assert [raw for raw in RAW if raw in printed] == []
    assert cli("issue", "show", identity, "--json").data["comments"][0]["text"] == EVIL


def test_text_of_any_script_is_printed_as_it_is(cli: Cli) -> None:
    title = "naïve 日本語\u3000タイトル עברית 👩\u200d💻 é"
    identity = cli.new(title)
    shown = title.replace("\u3000", " ")  # a title has plain spaces
    assert shown in cli("issue", "list").out
    cli("issue", "comment", identity, "50\xa0%\u3000👩\u200d💻")
    assert "50\xa0%\u3000👩\u200d💻" in cli("issue", "show", identity).out


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"a\xffb", "standard input is not valid UTF-8"),
        (b"a\x00b", "the body holds a NUL byte"),
        (b"x" * (LIMIT + 1), "the body is 1,000,001 bytes long, 1,000,000 is the most"),
        ("ä".encode() * (LIMIT // 2 + 1), "the body is 1,000,002 bytes long"),
    ],
    ids=["no-utf8", "nul", "long", "long-in-bytes"],
)
def test_a_body_that_cannot_be_stored_is_refused(cli: Cli, body: bytes, says: str) -> None:
    done = cli("issue", "new", "x", "--body", "-", stdin=body)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err
    assert cli("issue", "list", "--json").data == []


def test_a_body_of_the_greatest_length_is_stored(cli: Cli) -> None:
    identity = cli.new("x", "--body", "-", stdin=b"x" * LIMIT)
    assert len(cli("issue", "show", identity, "--json").data["body"]) == LIMIT


def test_arguments_that_are_no_utf8_are_refused(cli: Cli) -> None:
    identity = cli.new("one")
    refused: tuple[list[str | bytes], ...] = (
        ["issue", "new", b"caf\xe9"],
        ["issue", "new", "x", "--body", b"\xff"],
        ["issue", "new", "x", "--label", b"\xff"],
        ["issue", "edit", identity, "--assignee", b"\xff"],
        ["issue", "comment", identity, b"\xff"],
    )
    for words in refused:
        done = cli(*words)
        assert (done.code, done.err.count("\n")) == (2, 1)
    assert cli("claim", identity, "--as", b"\xff").code == 0
    assert cli("issue", "list", env={"LC_ALL": "C", "PYTHONIOENCODING": None}).code == 0


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    text = "".join(f"---\ntitle: number {n} {'x' * 200}\n---\n" for n in range(1000))
    cli("issue", "new", "--file", "-", stdin=text.encode())
    for words in ("issue list --limit 0", "issue list --limit 0 --json", "logs --limit 0", "--help", "completion bash"):
        script = f'"$0" {words} | head -n 1'
        done = cli("-c", script, os.path.join(os.path.dirname(sys.executable), "tapeout"), program=("bash",))
        assert (done.code, done.err) == (0, ""), words
        assert done.out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_output_that_is_full_is_one_line(cli: Cli) -> None:
    identity = cli.new("one")
    for words in (["issue", "list"], ["issue", "show", identity, "--json"], ["--version"]):
        with open("/dev/full", "wb") as full:
            done = cli(*words, stdout=full, env={"PYTHONUNBUFFERED": None})
        assert done.code == 7
        assert done.err == "tapeout: cannot write the output: No space left on device\n"
    with open("/dev/full", "wb") as full:
        done = cli("issue", "show", "zzzz", "--json", stdout=full)
    assert done.code == 3
    assert "there is no issue 'zzzz'" in done.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_files_are_no_defect(cli: Cli, closed: str) -> None:
    identity = cli.new("one")
    program = os.path.join(os.path.dirname(sys.executable), "tapeout")
    for words, code in (
        ("issue list", 0),
        (f"issue comment {identity} hello", 0),
        ("issue show zzzz", 3),
        ("issue show zzzz --json", 3),
        (f"issue edit {identity} --body -", 0),
    ):
        done = cli("-c", f'"$0" {words} {closed}', program, program=("bash",))
        assert done.code == code, words
    assert len(cli("issue", "show", identity, "--json").data["comments"]) == 1


def test_an_output_that_knows_few_characters_gets_question_marks(cli: Cli) -> None:
    cli.new("日本")
    done = cli("issue", "list", env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "??" in done.out
    assert cli("issue", "list", "--json", env={"PYTHONIOENCODING": "ascii"}).code == 0


def test_a_narrow_terminal_gets_lines_that_fit(cli: Cli) -> None:
    import pty

    cli.new("a long title " * 10)
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))
    done = cli("issue", "list", stdout=slave, stderr=subprocess.PIPE)
    assert done.code == 0
    lines = os.read(master, 65536).decode().splitlines()
    os.close(slave)
    os.close(master)
    assert max(map(len, lines)) == 40
    assert lines[1].endswith("…")
