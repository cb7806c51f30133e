"""The transcript of an attempt: one JSON object a line, appended as the session goes.

A process killed in the middle of a line leaves a torn one: the next writer starts on a fresh line, and readers pass
over what they cannot read. Parts of a text and states of a tool call are joined before they are written.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from tapeout.agents.updates import (
    Compacted,
    Entry,
    Failure,
    Notice,
    Permission,
    Plan,
    Prompt,
    Spent,
    Text,
    Thought,
    ToolCall,
    TurnEnded,
    Usage,
    join,
)
from tapeout.base.errors import EnvironmentProblem

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes after which a transcript holds only prompts, failures and the ends of turns."""

_ALWAYS = (Prompt, Failure, TurnEnded)
_KINDS: dict[str, type[Any]] = {
    "prompt": Prompt,
    "text": Text,
    "thought": Thought,
    "tool_call": ToolCall,
    "plan": Plan,
    "usage": Usage,
    "compacted": Compacted,
    "spent": Spent,
    "permission": Permission,
    "notice": Notice,
    "turn_ended": TurnEnded,
    "failure": Failure,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Transcript:
    """Writes a transcript; as a context manager it closes the file. An existing file is continued.

    Raises:
        EnvironmentProblem: the file cannot be written.
    """

    def __init__(self, path: str, *, limit: int = SIZE_LIMIT, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._limit = limit
        self._clock = clock
        self._pending: tuple[float, Entry] | None = None
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._fd).st_size
            if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
                self._write(b"\n")
        except OSError as error:
            raise _cannot_write(path, error) from error
        self._full = self._size > limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, entry: Entry) -> None:
        """Append an entry. It is in the file after `flush`, or when one comes that cannot be joined to it."""
        if self._pending is not None:
            at, earlier = self._pending
            joined = join(earlier, entry)
            if joined is not None:
                self._pending = at, joined
                return
            self.flush()
        self._pending = self._clock(), entry
        if isinstance(entry, _ALWAYS):
            self.flush()

    def flush(self) -> None:
        """Write what still waits to be joined."""
        if self._pending is None:
            return
        at, entry = self._pending
        self._pending = None
        if self._full and not isinstance(entry, _ALWAYS):
            return
        self._append(at, entry)
        if self._size > self._limit and not self._full:
            self._full = True
            self._append(at, Notice(f"the transcript is full ({self._limit:,} bytes): no further details"))

    def close(self) -> None:
        """Write the rest and close the file. Safe to call again."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1

    def _append(self, at: float, entry: Entry) -> None:
        record = {"at": round(at, 3), "type": _NAMES[type(entry)], **asdict(entry)}
        self._write(json.dumps(record).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._size += len(data)


def read_transcript(path: str) -> Iterator[tuple[float, Entry]]:
    """Entries of a transcript with their times (seconds since 1970); lines that cannot be read are passed over.

    A file that does not exist has no entries.
    """
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                yield _decode(json.loads(line))


def _decode(record: dict[str, Any]) -> tuple[float, Entry]:
    fields = dict(record)
    at, kind = float(fields.pop("at")), _KINDS[fields.pop("type")]
    if kind is Plan:
        fields["entries"] = tuple((str(content), str(status)) for content, status in fields["entries"])
    if kind is ToolCall:
        fields["edits"] = tuple((str(path), str(old), str(new)) for path, old, new in fields.get("edits", ()))
    if kind is Permission:
        fields["options"] = tuple(str(option) for option in fields["options"])
    entry: Entry = kind(**fields)
    return at, entry


def _cannot_write(path: str, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(f"cannot write the transcript {path}: {error.strerror}")
