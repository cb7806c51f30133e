"""The tests. Importing this package makes `ledgerline` importable from the source tree."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
