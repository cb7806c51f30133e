"""Printing: text for people, one JSON envelope for programs, one line for errors."""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tapeout.base.errors import EnvironmentProblem, TapeoutError

SCHEMA_VERSION = 1
"""Version of the JSON envelope: grows when a field changes its meaning or goes away."""


class Result(NamedTuple):
    """What a command gives back: `data` for `--json`, `text` for people."""

    data: Any
    text: str


def show(result: Result | None, *, as_json: bool) -> None:
    """Print a result; None means that the command has printed what there was to say."""
    if result is None:
        return
    if as_json:
        _print_envelope({"schema": SCHEMA_VERSION, "ok": True, "data": result.data})
    elif result.text:
        sys.stdout.write(printable(result.text) + "\n")


def show_error(error: TapeoutError, *, as_json: bool) -> None:
    """Print an error: one line and a hint on standard error, or an envelope on standard output."""
    if as_json:
        details = {"code": error.code, "exit": error.exit_code, "message": error.message, "hint": error.hint}
        _print_envelope({"schema": SCHEMA_VERSION, "ok": False, "error": details})
        return
    hint = f" ({error.hint})" if error.hint else ""
    sys.stderr.write(" ".join(printable(f"tapeout: {error.message}{hint}").split("\n")) + "\n")


def readable_error(error: Exception) -> TapeoutError:
    """Any exception as an error with one line: ours as it is, a failed system call, or a defect of ours, whose
    traceback goes to a file."""
    if isinstance(error, TapeoutError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return EnvironmentProblem(f"{where}{error.strerror or error}", hint="nothing was lost; mend that and try again")
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="tapeout-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    return TapeoutError(f"internal error: {summary}", hint=f"please report it with {file.name}")


def printable(text: str) -> str:
    """`text` without control characters (but for newlines and tabs): nothing stored may command a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Columns aligned for a terminal; the last one is cut to fit `width` (the terminal's by default)."""
    cells = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in rows]
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


def clock(at: float) -> str:
    """Local time of a moment, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def duration(seconds: float) -> str:
    """A length of time, for people."""
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{seconds // 60:.0f}m{seconds % 60:02.0f}s"
    return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m"


def _print_envelope(envelope: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(envelope, ensure_ascii=False) + "\n")
