"""The command line: reads a journal, runs a command on it, writes the result."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ledgerline.commands import discover
from ledgerline.parser import ParseError, parse_journal


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with every command there is."""
    parser = argparse.ArgumentParser(
        prog="ledgerline", description="Plain-text double-entry accounting."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in discover():
        options = commands.add_parser(command.name, help=command.help)
        options.add_argument("file", type=Path, help="the journal")
        command.configure(options)
        options.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    arguments = build_parser().parse_args(argv)
    try:
        journal = parse_journal(arguments.file.read_text(encoding="utf-8"))
        text = arguments.run(journal, arguments)
    except (OSError, ParseError) as error:
        sys.stderr.write(f"ledgerline: {error}\n")
        return 1
    sys.stdout.write(text + "\n")
    return 0
