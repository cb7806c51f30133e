"""`ledgerline register`: every posting in order."""

from __future__ import annotations

import argparse

from ledgerline.commands import Command
from ledgerline.journal import Journal
from ledgerline.report import register


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--account", help="only this account and those below it")


def run(journal: Journal, arguments: argparse.Namespace) -> str:
    """A table of postings."""
    return register(journal, arguments.account)


COMMAND = Command("register", "every posting in order of date", configure, run)
