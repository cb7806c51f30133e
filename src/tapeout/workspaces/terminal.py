"""Recordings of what agents show: asciicast v2, written while it happens.

One JSON line is one append to the file, so a reader never sees half a frame, and a recording that a crash
cut off is good up to there. What may go wrong: the disk is full or the recording too large; then it ends
with a note and the session goes on.
"""

import codecs
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

MAX_BYTES = 64 * 1024 * 1024
"""Largest recording, in bytes of file."""

WIDTH = 120
HEIGHT = 32

_NOTE = "\r\n[the recording ends here: it has reached its largest size]\r\n"


_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


class Frame(NamedTuple):
    """A piece of output."""

    time: float
    """Seconds since the start of the recording."""
    text: str


class Recorder:
    """Writes a recording; goes on at the end of one that exists. Safe to use from several threads."""

    def __init__(self, path: str, width: int = WIDTH, height: int = HEIGHT, max_bytes: int = MAX_BYTES) -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._limit = max_bytes
        self._size = os.fstat(self._file).st_size
        self._full = self._size >= max_bytes
        self._begun = time.monotonic()
        if self._size:
            self._resume(path)
        else:
            header = {"version": 2, "width": width, "height": height, "timestamp": int(time.time())}
            self._append(json.dumps(header))

    def write(self, data: bytes | str) -> None:
        """Record output as it came; a character that is split between two calls is put together."""
        with self._lock:
            self._record(data if isinstance(data, str) else self._decoder.decode(data))

    def line(self, text: str) -> None:
        """Record a line of text of ours: colours stay, whatever other control characters it holds do not."""
        parts = _COLOUR.split(text.replace("\t", "    "))
        clean = "".join(part if _COLOUR.fullmatch(part) else _printable(part) for part in parts)
        self.write(clean.rstrip() + "\r\n")

    def close(self) -> None:
        """Finish; fine to call twice."""
        with self._lock:
            if self._file < 0:
                return
            self._record(self._decoder.decode(b"", final=True))
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, text: str) -> None:
        if not text or self._full or self._file < 0:
            return
        line = self._frame(text)
        if self._size + len(line) >= self._limit:
            self._full = True
            line = self._frame(_NOTE)
        self._append(line)

    def _frame(self, text: str) -> str:
        # Lone surrogates cannot be written as UTF-8: json escapes them, as it does all that is not ASCII.
        return json.dumps([round(time.monotonic() - self._begun, 6), "o", text])

    def _append(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            os.write(self._file, data)
        except OSError:
            self._full = True
        self._size += len(data)

    def _resume(self, path: str) -> None:
        last = 0.0
        for frame in read(path):
            last = frame.time
        self._begun = time.monotonic() - last
        os.lseek(self._file, -1, os.SEEK_END)
        if os.read(self._file, 1) != b"\n":  # cut off by a crash
            self._append("")


def read(path: str) -> Iterator[Frame]:
    """Frames of a recording, oldest first; what is not a frame is left out.

    Raises:
        FileNotFoundError: there is no recording.
    """
    with open(path, "rb") as file:
        for line in file:
            frame = parse_frame(line)
            if frame is not None:
                yield frame


def parse_frame(line: bytes) -> Frame | None:
    """The output frame in a line of a recording, or None if it is something else."""
    try:
        when, kind, text = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    if kind != "o" or not isinstance(text, str) or not isinstance(when, (int, float)):
        return None
    return Frame(float(when), text)
