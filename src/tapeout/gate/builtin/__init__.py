"""Checks that need no program: a `[[check]]` without `run` of the kinds `size`, `scope`, `secrets`, `commits`,
`duplication` and `dependencies`.

They look at the change itself, so what was there before never counts. `change` reads it from git; each of the others is
a pure function from a change to what is wrong with it.
"""

from tapeout.gate.builtin.change import Change, read_change
from tapeout.gate.builtin.run import builtin_report, look

__all__ = ["Change", "builtin_report", "look", "read_change"]
