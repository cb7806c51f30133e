import unittest
from datetime import date

from ledgerline.balances import balances, total
from ledgerline.journal import within
from ledgerline.parser import parse_journal

JOURNAL = parse_journal(
    """\
2026-01-05 Shop
    expenses:food  40 EUR
    assets:bank
2026-02-01 Refund
    expenses:food  -40 EUR
    assets:bank
2026-02-03 Rent
    expenses:rent  900 EUR
    assets:bank
2026-02-09 Book
    expenses:books  20 USD
    assets:bank
"""
)


class Choosing(unittest.TestCase):
    def test_within_needs_a_whole_name(self) -> None:
        self.assertTrue(within("assets:bank", "assets"))
        self.assertFalse(within("assets:bank", "assets:ban"))

    def test_accounts(self) -> None:
        expected = ["assets:bank", "expenses:books", "expenses:food", "expenses:rent"]
        self.assertEqual(JOURNAL.accounts(), expected)

    def test_between_includes_both_days(self) -> None:
        chosen = JOURNAL.between(date(2026, 2, 1), date(2026, 2, 3))
        self.assertEqual([entry.payee for entry in chosen.transactions], ["Refund", "Rent"])

    def test_postings_of_an_account(self) -> None:
        self.assertEqual(len(list(JOURNAL.postings("expenses"))), 4)


class Balances(unittest.TestCase):
    def test_one_amount_a_currency(self) -> None:
        held = [str(amount) for amount in balances(JOURNAL)["assets:bank"]]
        self.assertEqual(held, ["-900.00 EUR", "-20.00 USD"])

    def test_zero_is_left_out(self) -> None:
        self.assertNotIn("expenses:food", balances(JOURNAL))

    def test_total_of_a_branch(self) -> None:
        self.assertEqual([str(a) for a in total(JOURNAL, "expenses")], ["900.00 EUR", "20.00 USD"])

    def test_everything_sums_to_zero(self) -> None:
        numbers = [posting.amount.number for _, posting in JOURNAL.postings()]
        self.assertEqual(sum(numbers), 0)
