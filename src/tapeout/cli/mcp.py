"""`tapeout mcp`: the tracker for any client of the Model Context Protocol."""

from __future__ import annotations

import importlib
import os

from tapeout.base.caller import ACTOR_VARIABLE
from tapeout.base.errors import EnvironmentProblem
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import REPOSITORY_VARIABLE, find_repository
from tapeout.cli.commands import add_json
from tapeout.cli.context import open_tracker

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `mcp`."""
    parser.add_argument("--repository", metavar="FOLDER", help="default: the current folder's")
    parser.add_argument("--actor", metavar="NAME", help="who writes; default: $TAPEOUT_ACTOR, else the client's name")
    add_json(parser)
    parser.set_defaults(run=_mcp)


def _mcp(arguments: argparse.Namespace) -> None:
    if arguments.repository:
        os.environ[REPOSITORY_VARIABLE] = find_repository(arguments.repository).root
    if arguments.actor:
        os.environ[ACTOR_VARIABLE] = arguments.actor
    open_tracker().close()  # what does not work is told at once, not at the first call
    try:
        # It sits on top of the commands, so it is loaded by name, as they are.
        server = importlib.import_module("tapeout.mcp.server")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tapeout"):
            raise
        raise EnvironmentProblem(
            "the MCP server needs the extra `mcp`, which is not installed",
            hint="`./run mcp` in a checkout of tapeout installs it and starts; elsewhere install tapeout[mcp]",
        ) from error
    server.serve()
