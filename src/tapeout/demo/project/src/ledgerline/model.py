"""What a journal consists of."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from ledgerline.amounts import Amount


class Posting(NamedTuple):
    """One side of a transaction: an amount that an account gains or, if negative, loses."""

    account: str
    amount: Amount


class Transaction(NamedTuple):
    """A dated event whose postings sum to zero in each currency."""

    date: date
    payee: str
    postings: tuple[Posting, ...]
    cleared: bool = False
    comment: str = ""
    line: int = 0
