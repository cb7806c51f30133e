"""Text to a journal. The format is described in the README."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from decimal import Decimal

from ledgerline.amounts import Amount, parse_amount
from ledgerline.journal import Journal
from ledgerline.model import Posting, Transaction

_HEADER = re.compile(r"(?P<date>\d{4}-\d\d-\d\d) +(?:(?P<mark>\*) +)?(?P<payee>\S.*)")
_POSTING = re.compile(r"(?P<account>[^\s:]+(?::[^\s:]+)*)(?: {2,}(?P<amount>\S.*))?")


class ParseError(Exception):
    """The journal's text is wrong at one line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class _Draft:
    """A transaction whose postings are still being read."""

    def __init__(self, line: int, text: str, comment: str) -> None:
        match = _HEADER.fullmatch(text)
        if match is None:
            raise ParseError(line, "expected a date and a payee")
        try:
            self.date = date.fromisoformat(match["date"])
        except ValueError as error:
            raise ParseError(line, f"no such day: {match['date']}") from error
        self.line = line
        self.payee = match["payee"]
        self.cleared = match["mark"] is not None
        self.comment = comment
        self.postings: list[Posting] = []
        self.open_account: str | None = None

    def add(self, line: int, text: str) -> None:
        """Read one posting."""
        match = _POSTING.fullmatch(text)
        if match is None:
            raise ParseError(line, "expected an account, two spaces and an amount")
        if match["amount"] is None:
            if self.open_account is not None:
                raise ParseError(line, "only one posting may leave its amount out")
            self.open_account = match["account"]
            return
        try:
            self.postings.append(Posting(match["account"], parse_amount(match["amount"])))
        except ValueError as error:
            raise ParseError(line, str(error)) from error

    def finish(self, line: int) -> Transaction:
        """The transaction, with the posting that was left open filled in."""
        missing: defaultdict[str, Decimal] = defaultdict(Decimal)
        for posting in self.postings:
            missing[posting.amount.currency] -= posting.amount.number
        rest = [Amount(number, currency) for currency, number in missing.items() if number]
        if self.open_account is None and rest:
            raise ParseError(line, f"does not balance: {rest[0]} is missing")
        postings = list(self.postings)
        if self.open_account is not None:
            postings += [Posting(self.open_account, amount) for amount in rest]
        return Transaction(
            self.date, self.payee, tuple(postings), self.cleared, self.comment, self.line
        )


def parse_journal(text: str) -> Journal:
    """Read a journal; ParseError names the line and what is wrong with it."""
    transactions: list[Transaction] = []
    draft: _Draft | None = None
    number = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line, _, comment = (part.rstrip() for part in raw.partition(";"))
        if not line:
            continue
        if not line[0].isspace():
            if draft is not None:
                transactions.append(draft.finish(number))
            draft = _Draft(number, line, comment.strip())
        elif draft is None:
            raise ParseError(number, "a posting before the first transaction")
        else:
            draft.add(number, line.strip())
    if draft is not None:
        transactions.append(draft.finish(number))
    return Journal(transactions)
