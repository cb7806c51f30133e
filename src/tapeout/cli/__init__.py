"""The `tapeout` command. Thin: parse, call, print; one module per command group, imported only when it is called.

Agents call the command all the time, so its start-up time is a feature: this module imports nothing that a tracker
command does not need (docs/decisions/0003).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys

from tapeout.base.errors import TapeoutError, cause_of
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import DOOR_VARIABLE
from tapeout.cli import output, quick

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


_GARBAGE = 50_000
"""New objects after which Python looks for garbage. At the usual 700 it does so a dozen times while a command starts,
and finds nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Called without arguments, it is the process and ends it."""
    if argv is None:
        gc.set_threshold(_GARBAGE)
    door = os.environ.get(DOOR_VARIABLE)
    words = list(sys.argv[1:] if argv is None else argv)
    options = words[: words.index("--")] if "--" in words else words
    as_json = "--json" in options or "--jsonl" in options
    code = _run(words, as_json) if door is None else _through(door, words, as_json)
    if argv is None and "threading" not in sys.modules:
        _leave(code)
    return code


def _run(words: Sequence[str], as_json: bool) -> int:
    try:
        arguments = quick.parse(words) or _parse(words)
        if getattr(arguments, "for_people", False) or getattr(arguments, "rebuild", False):
            from tapeout.cli.context import refuse_agents

            refuse_agents()
        output.show(arguments.run(arguments), as_json=as_json)
        output.flush()
    except SystemExit as stop:  # argparse has printed the help or the version
        return _finish(int(stop.code or 0))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        output.discard()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        readable = output.readable_error(cause_of(error))
        output.show_error(readable, as_json=as_json)
        return _finish(readable.exit_code)
    return 0


def _through(door: str, words: Sequence[str], as_json: bool) -> int:
    """Run a command that was called in an agent's sandbox: outside of it."""
    from tapeout.cli.door import through

    try:
        return _finish(through(door, words))
    except TapeoutError as error:
        output.show_error(error, as_json=as_json)
        return error.exit_code


def _parse(words: Sequence[str]) -> argparse.Namespace:
    from tapeout.cli import parser  # argparse costs as much as everything else together (docs/decisions/0003)

    return parser.parse(words)


def _finish(code: int) -> int:
    """Bring out what is printed; a reader who has gone is no error, a full disk is."""
    try:
        output.flush()
    except BrokenPipeError:
        output.discard()
    except TapeoutError as error:
        output.show_error(error, as_json=False)
        return code or error.exit_code
    return code


def _leave(code: int) -> None:
    """End the process at once: a command that started nothing has nothing to tidy up, and taking the interpreter
    apart costs as much as a query."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    os._exit(code)
