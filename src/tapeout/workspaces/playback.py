"""Show recordings to a person, at the speed they were made or while they are made.

What an agent prints is hostile: a terminal obeys it. So only colours, cursor movement and erasing get
through; what sets the clipboard or the title, asks the terminal for an answer (which it would type into the
person's shell), or changes what the mouse and keys do, is dropped.
"""

import re
import time
from collections.abc import Callable
from typing import BinaryIO, TextIO

from tapeout.workspaces.terminal import parse_frame, read

CHECK_EVERY = 0.1
"""Seconds between looks at a recording that is being made."""

RESTORE = "\x1b[0m\x1b[?25h\x1b[?1049l"
"""What a person's terminal needs after a program that was cut off: colours off, cursor on, main screen."""

_MAX_PENDING = 256
_STRING_STARTS = "PX]^_\x90\x98\x9d\x9e\x9f"
_STRING_END = re.compile("\x07|\x1b\\\\|\x9c|\x18|\x1a")
_CSI = re.compile(r"[\x30-\x3f]*[\x20-\x2f]*(?P<final>[\x40-\x7e])")
_SAFE_CSI = re.compile(r"[0-9;:]*[A-HJKLMPSTX@`adefmr]|[su]|\?(?:7|25|47|1047|1048|1049)[hl]|4[hl]")
_SAFE_ESCAPES = frozenset("78DEM=>")
_UNFINISHED = re.compile(r"[\x30-\x3f]*[\x20-\x2f]*")
_SELECTION = re.compile(r"[\x20-\x2f]+[\x30-\x7e]")
_SAFE_SELECTION = re.compile(r"[()][B0]")
_SPECIAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Sanitizer:
    """Lets through what only draws. Sequences may be split between calls."""

    def __init__(self) -> None:
        self._pending = ""
        self._in_string = False

    def feed(self, text: str) -> str:
        """The harmless part of the next piece of output."""
        text, self._pending = self._pending + text, ""
        out: list[str] = []
        position = 0
        while position < len(text):
            if self._in_string:
                position = self._skip_string(text, position)
                continue
            special = _SPECIAL.search(text, position)
            if special is None:
                out.append(text[position:])
                break
            out.append(text[position : special.start()])
            position = self._take(text, special.start(), out)
        return "".join(out)

    def _skip_string(self, text: str, position: int) -> int:
        end = _STRING_END.search(text, position)
        if end is None:
            self._pending = "\x1b" if text.endswith("\x1b") else ""
            return len(text)
        self._in_string = False
        return end.end()

    def _take(self, text: str, start: int, out: list[str]) -> int:
        """Handle the control character at `start`; where to go on."""
        character = text[start]
        if character == "\x08":
            out.append(character)
        if character == "\x9b":
            return self._take_csi(text, start, start + 1, out)
        if character in _STRING_STARTS:
            self._in_string = True
        if character != "\x1b":
            return start + 1
        if start + 1 == len(text):
            self._pending = character
            return len(text)
        return self._take_escape(text, start, out)

    def _take_escape(self, text: str, start: int, out: list[str]) -> int:
        following = text[start + 1]
        if following == "[":
            return self._take_csi(text, start, start + 2, out)
        if following in _STRING_STARTS:
            self._in_string = True
            return start + 2
        if " " <= following <= "/":  # such as a character set: ASCII and line drawing are fine
            selection = _SELECTION.match(text, start + 1)
            if selection is None:
                return self._wait_or_drop(text, start, start + 2)
            if _SAFE_SELECTION.fullmatch(selection[0]):
                out.append("\x1b" + selection[0])
            return selection.end()
        if following in _SAFE_ESCAPES:
            out.append(text[start : start + 2])
        return start + 1 if following == "\x1b" or following < " " else start + 2

    def _take_csi(self, text: str, start: int, parameters: int, out: list[str]) -> int:
        sequence = _CSI.match(text, parameters)
        if sequence is not None:
            if _SAFE_CSI.fullmatch(sequence[0]):
                out.append("\x1b[" + sequence[0])
            return sequence.end()
        return self._wait_or_drop(text, start, parameters)

    def _wait_or_drop(self, text: str, start: int, after: int) -> int:
        """Keep what may be the beginning of a sequence for the next piece; drop the start of a broken one."""
        if _UNFINISHED.fullmatch(text, after) and len(text) - start < _MAX_PENDING:
            self._pending = text[start:]
            return len(text)
        return after


def replay(path: str, out: TextIO, speed: float = 1.0, idle_limit: float = 2.0) -> None:
    """Show a recording as fast as it was made, times `speed`; pauses are at most `idle_limit` seconds.

    Raises:
        FileNotFoundError: there is no recording.
    """
    clean = Sanitizer()
    last = 0.0
    try:
        for frame in read(path):
            pause = min(max(frame.time - last, 0.0) / speed, idle_limit)
            last = frame.time
            if pause > 0:
                time.sleep(pause)
            _show(out, clean.feed(frame.text))
    finally:
        _show(out, RESTORE)


def attach(path: str, out: TextIO, is_live: Callable[[], bool]) -> None:
    """Show what a recording holds, then what is added, until `is_live` says that the attempt has ended.

    Raises:
        FileNotFoundError: there is no recording, and the attempt has ended.
    """
    clean = Sanitizer()
    file = _open_when_there(path, is_live)
    with file:
        rest = b""
        try:
            while True:
                live = is_live()  # asked before the look: what was written before the end is seen
                while chunk := file.read(65536):
                    *lines, rest = (rest + chunk).split(b"\n")
                    frames = [frame for line in lines if (frame := parse_frame(line)) is not None]
                    _show(out, clean.feed("".join(frame.text for frame in frames)))
                if not live:
                    return
                time.sleep(CHECK_EVERY)
        finally:
            _show(out, RESTORE)


def _open_when_there(path: str, is_live: Callable[[], bool]) -> BinaryIO:
    while True:
        live = is_live()
        try:
            return open(path, "rb")
        except FileNotFoundError:
            if not live:
                raise
            time.sleep(CHECK_EVERY)


def _show(out: TextIO, text: str) -> None:
    if text:
        out.write(text.encode(errors="replace").decode())  # a lone surrogate cannot be printed
        out.flush()
