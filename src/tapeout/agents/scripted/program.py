"""Starts the scripted agent: `python -I program.py`, on the standard library alone.

Its modules are imported from this folder, without the package that the folder lies in, which would cost a second.
"""

import importlib
import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    importlib.import_module("scripted.server").main()
