"""A handoff held against git. Pure.

What it names has to exist; what does not is taken out. A handoff of which more than half is made up is not believed at
all: whoever invents files invents the rest, too. The half is a choice, no measurement.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from tapeout.floor.handoff.model import Handoff


class Known(NamedTuple):
    """What git says of that which a handoff names."""

    paths: Collection[str]
    """Those of its paths that are in the tree of the work, or in that which it started from."""
    commits: Mapping[str, str]
    """Those of its commits that belong to the work, to their whole ids."""


class Verified(NamedTuple):
    """A handoff without what was made up."""

    handoff: Handoff | None
    """None: it is not believed."""
    dropped: tuple[str, ...]
    """What it names that does not exist."""


def verify(handoff: Handoff, known: Known) -> Verified:
    """Keep what is real."""
    named = [*(note.path for note in handoff.files), *handoff.commits]
    dropped = tuple(name for name in named if name not in known.paths and name not in known.commits)
    if 2 * len(dropped) > len(named):
        return Verified(None, dropped)
    real = handoff._replace(
        files=tuple(note for note in handoff.files if note.path in known.paths),
        commits=tuple(dict.fromkeys(known.commits[name] for name in handoff.commits if name in known.commits)),
    )
    return Verified(real, dropped)
