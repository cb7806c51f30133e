"""`python -m tapeout`: the same as the `tapeout` command."""

import sys

from tapeout.cli import main

if __name__ == "__main__":
    sys.exit(main())
