"""Printing: text for people, one JSON envelope for programs, one line for errors."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from tapeout.base import jsontext
from tapeout.base.errors import EnvironmentProblem, TapeoutError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

SCHEMA_VERSION = 1
"""Version of the JSON envelope: grows when a field changes its meaning or goes away."""

_ITEMS = 64
"""How many items of a long list are made and written at once: few enough to stay in the processor's cache."""


class Unwritable(EnvironmentProblem):
    """Standard output cannot be written (exit code 7)."""


class Result(NamedTuple):
    """What a command gives back: `data` for `--json`, `text` for people."""

    data: Any
    """An iterator is a list whose items are made while it is printed: thousands are never held at once."""
    text: str | Callable[[], str]
    """A function where making it takes long: programs that read `data` do not wait for it."""


class Stream(NamedTuple):
    """What a command gives back for `--jsonl`: rows that are printed as they come, one JSON object a line."""

    kind: str
    """What a row is, such as `issue`."""
    rows: Iterable[dict[str, Any]]


def show(result: Result | Stream | None, *, as_json: bool) -> None:
    """Print a result; None means that the command has printed what there was to say."""
    if result is None:
        return
    if isinstance(result, Stream):
        _show_stream(result)
        return
    if as_json and isinstance(result.data, Iterator):
        _show_items(result.data)
        return
    if as_json:
        _write(_envelope({"schema": SCHEMA_VERSION, "ok": True, "data": result.data}))
        return
    text = result.text if isinstance(result.text, str) else result.text()
    if text:
        _write(printable(text) + "\n")


def _show_items(items: Iterator[Any]) -> None:
    """An envelope whose data is a list, made and written a few items at a time."""
    head, tail = jsontext.dumps({"schema": SCHEMA_VERSION, "ok": True, "data": []}).split("[]")
    _write(head + "[")
    separator = ""
    while some := list(islice(items, _ITEMS)):
        _write(separator + _line(some)[1:-1])
        separator = ", "
    _write("]" + tail + "\n")


def _show_stream(stream: Stream) -> None:
    """An envelope without data, then the rows. What fails before the first row is an error envelope alone."""
    rows = iter(stream.rows)
    row = next(rows, None)
    _write(_envelope({"schema": SCHEMA_VERSION, "ok": True, "kind": stream.kind}))
    while row is not None:
        _write(_envelope(row))
        row = next(rows, None)


def show_error(error: TapeoutError, *, as_json: bool) -> None:
    """Print an error: one line and a hint on standard error, or an envelope on standard output; on standard error
    too if standard output cannot be written."""
    if as_json and not isinstance(error, Unwritable):
        with contextlib.suppress(OSError, Unwritable):
            _write(_envelope({"schema": SCHEMA_VERSION, "ok": False, "error": error_data(error)}))
            flush()
            return
        discard()
    hint = f" ({error.hint})" if error.hint else ""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # standard error is closed: nobody wants to know
        sys.stderr.write(" ".join(printable(f"tapeout: {error.message}{hint}").split("\n")) + "\n")


def error_data(error: TapeoutError) -> dict[str, Any]:
    """What the envelope of a failure says of it."""
    said: dict[str, Any] = {"code": error.code, "exit": error.exit_code, "message": error.message, "hint": error.hint}
    if error.details is not None:
        said["details"] = error.details
    return said


def write_raw(text: str) -> None:
    """Print a piece of something long, as it is; whoever makes it takes care that nothing in it commands a terminal.

    Raises:
        BrokenPipeError: nobody reads it any more.
        Unwritable: it cannot be written, such as on a full disk.
    """
    _write(text)


def flush() -> None:
    """Bring out what was printed.

    Raises:
        BrokenPipeError: nobody reads it any more.
        Unwritable: it cannot be written, such as on a full disk.
    """
    with _writing():
        if sys.stdout is not None:
            sys.stdout.flush()


def discard() -> None:
    """Nobody reads standard output any more: drop what it holds, so that the interpreter does not complain at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        sys.stdout.flush()


_FULL = "free some space and try again; nothing was lost"

_HINTS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "it must be writable; the variable XDG_STATE_HOME moves the state directory",
    errno.EACCES: "check the permissions of it and of its folder",
}
"""What to do about errors of the system."""


def readable_error(error: Exception) -> TapeoutError:
    """Any exception as an error with one line: ours as it is, a failed system call, or a defect of ours, whose
    traceback goes to a file."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return EnvironmentProblem(f"{where}{error.strerror or error}", hint=_HINTS.get(error.errno or 0))
    of_system = _hint_of(str(error)) if type(error).__name__ == "GitError" else None  # pygit2 may not be imported
    if of_system:
        return EnvironmentProblem(str(error), hint=of_system)
    if isinstance(error, TapeoutError):
        if isinstance(error, EnvironmentProblem) and not isinstance(error, Unwritable) and error.hint is None:
            error.hint = _hint_of(str(error))
        return error
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="tapeout-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    return TapeoutError(f"internal error: {summary}", hint=f"please report it with {file.name}")


def _hint_of(message: str) -> str | None:
    """What to do about the system's error that ends a message, as those of libgit2 do."""
    return next((hint for number, hint in _HINTS.items() if message.endswith(os.strerror(number))), None)


_HARMLESS = frozenset(
    "\n\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200c\u200d\u202f\u205f\u3000"
)
"""Spaces of all widths and the joiners of scripts and emoji: harmless, though Python does not call them printable."""


def printable(text: str) -> str:
    """`text` without control characters (but for newlines and tabs): nothing stored may command a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """`text` as `printable`, without line breaks."""
    return printable(" ".join(text.split("\n")) if "\n" in text else text)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Columns aligned for a terminal; the last one is cut to fit `width` (the terminal's by default)."""
    cells = [[one_line(str(cell)) for cell in row] for row in rows]
    sizes = [max(len(line[column]) for line in [list(headers), *cells]) for column in range(len(headers))]
    limit = width or terminal_width()
    lines = []
    for line in [[header.upper() for header in headers], *cells]:
        text = "  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True)).rstrip()
        lines.append(text if len(text) <= limit else text[: limit - 1] + "…")
    return "\n".join(lines)


def terminal_width() -> int:
    """Columns of the terminal; no limit worth the name when the output is no terminal."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (AttributeError, OSError, ValueError):
        return 10_000


def counted(number: int, noun: str) -> str:
    """So many of something whose plural ends with s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A length of time, for people."""
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{seconds // 60:.0f}m{seconds % 60:02.0f}s"
    return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m"


def _envelope(envelope: dict[str, Any]) -> str:
    return _line(envelope) + "\n"


def _line(value: Any) -> str:
    """JSON without a line break, in which what is not printable is escaped."""
    text = jsontext.dumps(value)
    if text.isascii() and "\x7f" not in text:  # the rest of ASCII that is not printable is escaped by any JSON
        return text
    if not text.isprintable():
        text = "".join(c if c.isprintable() else jsontext.escaped(c) for c in text)
    return text


def _write(text: str) -> None:
    if sys.stdout is None:  # closed by whoever started us
        return
    encoding = sys.stdout.encoding
    if encoding.lower() != "utf-8":
        text = text.encode(encoding, "replace").decode(encoding)
    with _writing():
        sys.stdout.write(text)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard()
        raise Unwritable(f"cannot write the output: {error.strerror or error}") from error
