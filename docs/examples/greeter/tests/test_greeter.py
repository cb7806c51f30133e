import unittest

from greeter import greet


class Greet(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(greet("Ada"), "Hello, Ada!")  # noqa: PT009 - an example that needs nothing installed
