import importlib.util
import unittest

from tests import ROOT

_SPEC = importlib.util.spec_from_file_location("lint", ROOT / "tools" / "lint.py")
assert _SPEC is not None
assert _SPEC.loader is not None
lint = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lint)


class Rules(unittest.TestCase):
    def rules(self, text: str, path: str = "src/thing.py") -> list[str]:
        return [finding.rule for finding in lint.lint(path, text)]

    def test_clean(self) -> None:
        self.assertEqual(self.rules("import sys\n\nsys.exit(0)\n"), [])

    def test_each_rule(self) -> None:
        self.assertEqual(self.rules("import os\n"), ["unused-import"])
        self.assertEqual(self.rules("x = '" + "x" * 100 + "'\n"), ["line-length"])
        self.assertEqual(self.rules("try:\n    f()\nexcept:\n    pass\n"), ["bare-except"])
        self.assertEqual(self.rules("def f(:\n"), ["syntax"])

    def test_print_is_for_tools(self) -> None:
        self.assertEqual(self.rules("print(1)\n"), ["no-print"])
        self.assertEqual(self.rules("print(1)\n", "tools/thing.py"), [])
