"""The transactions of a file, and ways to choose among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from ledgerline.model import Posting, Transaction


def within(account: str, parent: str) -> bool:
    """Whether an account is `parent` or below it: `assets:bank` is within `assets`."""
    return account == parent or account.startswith(parent + ":")


class Journal:
    """Transactions in the order of their dates; those of one day keep the order of the file."""

    def __init__(self, transactions: Iterable[Transaction]) -> None:
        self.transactions = tuple(sorted(transactions, key=lambda entry: entry.date))

    def __len__(self) -> int:
        return len(self.transactions)

    def accounts(self) -> list[str]:
        """The names of all accounts, sorted."""
        return sorted({posting.account for _, posting in self.postings()})

    def postings(self, account: str | None = None) -> Iterator[tuple[Transaction, Posting]]:
        """Each posting with its transaction; only those within `account` if one is given."""
        for transaction in self.transactions:
            for posting in transaction.postings:
                if account is None or within(posting.account, account):
                    yield transaction, posting

    def between(self, first: date, last: date) -> Journal:
        """The transactions from one day to another, both included."""
        return Journal(entry for entry in self.transactions if first <= entry.date <= last)
