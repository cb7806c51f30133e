"""The `tapeout` command. Thin: parse, call, print; one module per command group, imported only when it is called.

Agents call the command all the time, so its start-up time is a feature: this module imports nothing that a tracker
command does not need (docs/decisions/0003).
"""

import contextlib
import os
import sys
from collections.abc import Sequence

from tapeout.base.errors import cause_of
from tapeout.cli import output
from tapeout.cli.parser import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        arguments = parse(words)
        output.show(arguments.run(arguments), as_json=as_json)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _ignore_closed_output()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        readable = output.readable_error(cause_of(error))
        output.show_error(readable, as_json=as_json)
        return readable.exit_code
    return 0


def _ignore_closed_output() -> None:
    """The reader (`head`, a pager) has gone: keep the interpreter from complaining about it at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
