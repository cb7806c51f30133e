"""Amounts of money: exact decimals of one currency. No float ever touches one."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_AMOUNT = re.compile(r"(?P<number>-?\d+(?:\.\d+)?) +(?P<currency>[A-Z]{3})")


class Amount(NamedTuple):
    """So many units of one currency."""

    number: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.number:.2f} {self.currency}"

    def __neg__(self) -> Amount:
        return Amount(-self.number, self.currency)


def parse_amount(text: str) -> Amount:
    """Read an amount such as `12.50 EUR`; ValueError if it is not one."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an amount: {text.strip()!r}")
    return Amount(Decimal(match["number"]), match["currency"])
