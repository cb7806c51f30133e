import unittest

from ledgerline.parser import ParseError, parse_journal

SHOP = """\
2026-01-05 * Corner shop  ; weekly
    expenses:food  42.10 EUR
    assets:bank
"""


class Transactions(unittest.TestCase):
    def test_header(self) -> None:
        (shop,) = parse_journal(SHOP).transactions
        self.assertEqual((shop.date.isoformat(), shop.payee), ("2026-01-05", "Corner shop"))
        self.assertTrue(shop.cleared)
        self.assertEqual(shop.comment, "weekly")
        self.assertEqual(shop.line, 1)

    def test_open_posting_takes_the_rest(self) -> None:
        (shop,) = parse_journal(SHOP).transactions
        self.assertEqual(str(shop.postings[1].amount), "-42.10 EUR")

    def test_open_posting_takes_the_rest_of_each_currency(self) -> None:
        text = "2026-01-05 Trip\n  a  1 EUR\n  b  2 USD\n  c\n"
        (trip,) = parse_journal(text).transactions
        self.assertEqual([str(p.amount) for p in trip.postings[2:]], ["-1.00 EUR", "-2.00 USD"])

    def test_comments_and_blank_lines_are_skipped(self) -> None:
        self.assertEqual(len(parse_journal("; nothing\n\n   ; here\n")), 0)

    def test_sorted_by_date(self) -> None:
        later = SHOP.replace("2026-01-05", "2026-02-05")
        journal = parse_journal(later + SHOP)
        self.assertEqual([entry.date.month for entry in journal.transactions], [1, 2])


class Errors(unittest.TestCase):
    def assert_fails(self, text: str, line: int, words: str) -> None:
        with self.assertRaises(ParseError) as caught:
            parse_journal(text)
        self.assertEqual(caught.exception.line, line)
        self.assertIn(words, str(caught.exception))

    def test_posting_before_a_transaction(self) -> None:
        self.assert_fails("  assets:bank  1 EUR\n", 1, "before the first")

    def test_no_such_day(self) -> None:
        self.assert_fails("2026-02-30 Nobody\n", 1, "no such day")

    def test_not_a_header(self) -> None:
        self.assert_fails(SHOP + "yesterday\n", 4, "a date and a payee")

    def test_wrong_amount(self) -> None:
        self.assert_fails("2026-01-05 Shop\n  a  ten EUR\n", 2, "not an amount")

    def test_two_open_postings(self) -> None:
        self.assert_fails("2026-01-05 Shop\n  a\n  b\n", 3, "only one")

    def test_unbalanced(self) -> None:
        with self.assertRaisesRegex(ParseError, "does not balance: 1.00 EUR is missing"):
            parse_journal("2026-01-05 Shop\n  a  4 EUR\n  b  -5 EUR\n")
