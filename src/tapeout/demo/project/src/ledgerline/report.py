"""Rows to text for people."""

from __future__ import annotations

from collections.abc import Sequence

from ledgerline.journal import Journal
from ledgerline.model import Posting, Transaction

REGISTER_COLUMNS = ("date", "payee", "account", "amount")


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Align the columns of some rows, those at the indices `right` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(widths[index]) if index in right else cell.ljust(widths[index])
            for index, cell in enumerate(row)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def register_cells(transaction: Transaction, posting: Posting) -> dict[str, str]:
    """The text of each column for one posting."""
    return {
        "date": transaction.date.isoformat(),
        "payee": transaction.payee,
        "account": posting.account,
        "amount": str(posting.amount),
    }


def register(journal: Journal, account: str | None = None) -> str:
    """Every posting in order of date, below a line of headings."""
    rows = [list(REGISTER_COLUMNS)]
    for transaction, posting in journal.postings(account):
        cells = register_cells(transaction, posting)
        rows.append([cells[column] for column in REGISTER_COLUMNS])
    return table(rows, right=[REGISTER_COLUMNS.index("amount")])
