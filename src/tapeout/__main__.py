"""`python -m tapeout`: the same as the `tapeout` command."""

import sys

if not sys.flags.safe_path:
    # `-m` puts the current folder first: what lies in a user's repository must not be imported as ours.
    del sys.path[0]

from tapeout.cli import main

if __name__ == "__main__":
    sys.exit(main())
