import io
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from ledgerline.cli import main
from ledgerline.report import table
from tests import ROOT

HOUSEHOLD = str(ROOT / "examples" / "household.ledger")


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the program."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        status = main(arguments)
    return status, output.getvalue(), errors.getvalue()


class Commands(unittest.TestCase):
    def test_balance(self) -> None:
        status, output, _ = run("balance", HOUSEHOLD, "--account", "assets")
        self.assertEqual(status, 0)
        self.assertEqual(
            output, "assets:bank:checking  4527.90 EUR\nassets:cash              1.60 EUR\n"
        )

    def test_balance_of_nothing(self) -> None:
        _, output, _ = run("balance", HOUSEHOLD, "--account", "nowhere")
        self.assertEqual(output, "nothing to show\n")

    def test_register(self) -> None:
        _, output, _ = run("register", HOUSEHOLD, "--account", "expenses:food")
        headings, *lines = output.splitlines()
        self.assertEqual(headings.split()[0], "date")
        self.assertEqual(len(lines), 2)
        self.assertIn("42.10 EUR", lines[0])

    def test_mistake_in_the_journal(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "wrong.ledger")
            path.write_text("2026-13-01 Nobody\n", encoding="utf-8")
            status, _, errors = run("balance", str(path))
        self.assertEqual(status, 1)
        self.assertEqual(errors, "ledgerline: line 1: no such day: 2026-13-01\n")

    def test_missing_file(self) -> None:
        status, _, errors = run("balance", "/no/such/file")
        self.assertEqual(status, 1)
        self.assertIn("No such file", errors)


class Table(unittest.TestCase):
    def test_alignment(self) -> None:
        self.assertEqual(table([("a", "1"), ("bcd", "22")], right=[1]), "a     1\nbcd  22")
