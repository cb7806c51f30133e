"""`tapeout agents`: which agents are known, which are installed here, how to install the others."""

from __future__ import annotations

import argparse

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `agents`."""
    add_json(parser)
    parser.set_defaults(run=_agents)


def _agents(arguments: argparse.Namespace) -> Result:
    from tapeout import agents
    from tapeout.config import CheckConfig, Config

    plain = Config(check=(CheckConfig(name="none", run="true"),))
    data = []
    for entry in agents.catalog():
        spec = agents.resolve(entry.name, plain)
        there = agents.installed(spec)
        data.append(
            {
                "name": entry.name,
                "title": entry.title,
                "installed": there,
                "version": agents.version(spec) if there else None,
                "command": list(spec.command),
                "install": entry.install or None,
                "keys": list(entry.keys),
                "note": entry.note,
            }
        )
    rows = [
        (d["name"], "yes" if d["installed"] else "no", d["title"], d["version"] or d["install"] or "", d["note"])
        for d in data
    ]
    return Result(data, table(("agent", "installed", "name", "version / how to install", "note"), rows))
