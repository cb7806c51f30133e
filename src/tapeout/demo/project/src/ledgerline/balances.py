"""What each account holds."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from ledgerline.amounts import Amount
from ledgerline.journal import Journal


def balances(journal: Journal) -> dict[str, list[Amount]]:
    """The amounts of each account, one a currency; accounts that come to zero are left out."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for _, posting in journal.postings():
        sums[posting.account, posting.amount.currency] += posting.amount.number
    held: defaultdict[str, list[Amount]] = defaultdict(list)
    for (account, currency), number in sorted(sums.items()):
        if number:
            held[account].append(Amount(number, currency))
    return dict(held)


def total(journal: Journal, account: str) -> list[Amount]:
    """What an account and all accounts below it hold together."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, posting in journal.postings(account):
        sums[posting.amount.currency] += posting.amount.number
    return [Amount(number, currency) for currency, number in sorted(sums.items()) if number]
