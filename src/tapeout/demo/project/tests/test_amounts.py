import unittest
from decimal import Decimal

from ledgerline.amounts import Amount, parse_amount


class ParseAmount(unittest.TestCase):
    def test_whole_and_fraction(self) -> None:
        self.assertEqual(parse_amount("12 EUR"), Amount(Decimal(12), "EUR"))
        self.assertEqual(parse_amount("12.50 EUR"), Amount(Decimal("12.5"), "EUR"))

    def test_negative(self) -> None:
        self.assertEqual(parse_amount("-3.20 USD").number, Decimal("-3.20"))

    def test_decimal_comma_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            parse_amount("12,50 EUR")

    def test_currency_is_required(self) -> None:
        with self.assertRaises(ValueError):
            parse_amount("12.50")

    def test_lower_case_currency_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            parse_amount("12.50 eur")


class ShowAmount(unittest.TestCase):
    def test_two_decimals(self) -> None:
        self.assertEqual(str(Amount(Decimal(7), "EUR")), "7.00 EUR")

    def test_negated(self) -> None:
        self.assertEqual(str(-Amount(Decimal("7.5"), "EUR")), "-7.50 EUR")
