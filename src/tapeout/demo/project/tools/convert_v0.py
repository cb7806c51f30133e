"""Convert a journal of version 0 (`date|payee|account|amount` lines) to today's format."""

import sys


def convert(line: str) -> str:
    """One transaction of two postings; the money comes from the checking account."""
    date, payee, account, amount = line.rstrip("\n").split("|")
    return f"{date} {payee}\n    {account}  {amount}\n    assets:bank:checking\n"


if __name__ == "__main__":
    sys.stdout.write("\n".join(convert(line) for line in sys.stdin))
