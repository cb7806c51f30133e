"""Takes the picture of README from a real run: `tapeout demo` in a terminal of its own, drawn as SVG.

Needs `pyte`, which Tapeout itself does not: use a throw-away virtual environment.

    python3 -m venv /tmp/shot && /tmp/shot/bin/pip install pyte rich
    /tmp/shot/bin/python docs/images/capture.py .venv/bin/tapeout docs/images/demo.svg
"""

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, LINES = 104, 40
WANTED_LANDED = range(2, 9)
"""The picture shows the floor when so many issues have landed."""

_FONT_FACES = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)
_FORMAT = _FONT_FACES.sub("", CONSOLE_SVG_FORMAT).replace(
    "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
)
"""Without the web fonts: the picture loads nothing from anywhere."""

Lines = list[list[pyte.screens.Char]]


def main(program: str, picture: str) -> None:
    """Run the demo once and write the picture."""
    with tempfile.TemporaryDirectory(prefix="demo-") as home:
        environment = {
            "PATH": os.environ["PATH"], "HOME": home, "TAPEOUT_HOME": f"{home}/state", "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }  # fmt: skip
        command = [os.path.abspath(program), "demo", "--keep", f"{home}/ledgerline"]
        draw(record(command, environment), "tapeout demo", Path(picture))


def record(command: list[str], environment: dict[str, str]) -> Lines:
    """What the terminal shows at the best moment of a run."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, cwd=environment["HOME"], env=environment, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    picture: Lines = []
    best = (0, 0)
    while chunk := _read(master):
        stream.feed(chunk)
        score = _score(screen.display)
        if score > best:
            best, picture = score, _lines(screen)
    process.wait()
    os.close(master)
    return picture


def _score(display: list[str]) -> tuple[int, int]:
    """How good a picture this is: in the wanted part of the run, much going on, of many kinds."""
    text = "\n".join(display)
    found = re.search(r"(\d+) landed · (\d+) working", text)
    if found is None or int(found[1]) not in WANTED_LANDED or "refused" not in text or "landed as" not in text:
        return (0, 0)
    doing = {row[display_column(display) :].strip() for row in display if re.search(r"\d\.\d +\d+s ", row)}
    return len(doing), int(found[2])


def display_column(display: list[str]) -> int:
    """Where the last column of the table begins."""
    return next(row.index("doing") for row in display if row.rstrip().endswith("doing"))


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # the other side is closed
        return b""


def _lines(screen: pyte.Screen) -> Lines:
    lines = [[screen.buffer[row][column] for column in range(COLUMNS)] for row in range(LINES)]
    while lines and not "".join(char.data for char in lines[-1]).strip():
        lines.pop()
    return lines


def draw(lines: Lines, title: str, path: Path) -> None:
    """Write the lines of a terminal as an SVG."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        text = Text(no_wrap=True, overflow="crop")
        for char in line:
            text.append(char.data, _style(char))
        text.rstrip()
        console.print(text)
    svg = console.export_svg(title=title, theme=MONOKAI, code_format=_FORMAT, unique_id=path.stem)
    path.write_text("\n".join(part.rstrip() for part in svg.splitlines()) + "\n", encoding="utf-8")


def _style(char: pyte.screens.Char) -> Style:
    name = {"brown": "yellow", "default": None}.get(char.fg, char.fg)
    if name is not None and re.fullmatch(r"[0-9a-f]{6}", name):
        name = f"#{name}"
    elif name is not None:
        name = name.replace("bright", "bright_")
    return Style(color=name, bold=char.bold or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
