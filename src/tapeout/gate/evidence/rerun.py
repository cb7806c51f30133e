"""Running the checks of a landed commit again, and comparing."""

from itertools import pairwise

import pygit2

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.evidence.record import Record
from tapeout.gate.evidence.verify import commits_between
from tapeout.gate.subject import Piece
from tapeout.gate.target import load_config


def rerun(hub: pygit2.Repository, paths: StatePaths, record: Record, commit: str, branch: str) -> list[str]:
    """Run the checks of the base of a commit's evidence on the commit; where that ends differently, one line each.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
    """
    base = str(record.get("base"))
    try:
        config = load_config(hub, base)
        below = commits_between(hub, base, commit)[::-1]
    except (UsageError, NotFound):
        return []  # said already: its base has no valid tapeout.toml, or is not below it
    # What was merged is looked at one by one, as it was then. What the issues declared is not written down.
    pieces = tuple(Piece(before, after) for before, after in pairwise([base, *below]))
    verdict = run_checks(paths, Subject(hub.path, commit, base, branch, pieces=pieces), config, fresh=True)
    return [f"run again, check {finding.check} fails: {finding.reason}" for finding in verdict.findings]
