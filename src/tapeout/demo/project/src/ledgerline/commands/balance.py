"""`ledgerline balance`: what each account holds."""

from __future__ import annotations

import argparse

from ledgerline.balances import balances
from ledgerline.commands import Command
from ledgerline.journal import Journal, within
from ledgerline.report import table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--account", help="only this account and those below it")


def run(journal: Journal, arguments: argparse.Namespace) -> str:
    """A line for each account and currency."""
    rows = [
        (account, str(amount))
        for account, amounts in balances(journal).items()
        for amount in amounts
        if arguments.account is None or within(account, arguments.account)
    ]
    return table(rows, right=[1]) if rows else "nothing to show"


COMMAND = Command("balance", "what each account holds", configure, run)
