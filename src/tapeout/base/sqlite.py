"""`sqlite3` without its Python part, which converts dates: importing `datetime` for it costs every tracker command
1.5 ms (docs/decisions/0003)."""

from tapeout.base.lean import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import _sqlite3 as sqlite3
    except ImportError:  # another Python than CPython
        import sqlite3

__all__ = ["sqlite3"]
