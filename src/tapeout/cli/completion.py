"""`tapeout completion SHELL`: a completion script, made from the parser itself."""

from __future__ import annotations

import argparse

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import COMMANDS, add_json
from tapeout.cli.output import Result
from tapeout.cli.parser import build

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: Describes) -> None:
    """Arguments of `completion`."""
    parser.add_argument("shell", choices=SHELLS)
    add_json(parser)
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> Result:
    import shtab

    script = shtab.complete(build(COMMANDS, load=True), shell=arguments.shell)
    return Result({"script": script}, script)
