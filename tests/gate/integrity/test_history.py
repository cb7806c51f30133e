"""False alarms: what the rules say about changes that were made in good faith, namely this repository's own history."""

from collections import Counter
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import SortMode

from tapeout.config import GateConfig
from tapeout.gate.integrity.change import read_change
from tapeout.gate.integrity.privileged import Surroundings
from tapeout.gate.integrity.rules import alarms_of

COMMITS = 100
FEWEST = 40
"""With less history, as in a shallow clone, a rate means nothing."""

MOST_PERCENT = {
    "paths": 0,
    "source-text": 1,
    "detects-gate": 2,
    "tests-weakened": 4,
    "tests-kept": 6,
    "privileged": 12,
}
"""Check to how many of a hundred commits it may speak about. `suppressions` and `gate-config` are left out: what they
tell of in this history is there."""

AROUND = Surroundings(GateConfig().tests, ("ruff check .", "mypy", "python -m pytest -q tests"))


def small_commits(repository: pygit2.Repository) -> list[tuple[str, str]]:
    """The newest commits with one parent, and their parents: a third of them, told by their ids, so that one that is
    looked at now is looked at later, too."""
    found: list[tuple[str, str]] = []
    for commit in repository.walk(repository.head.target, SortMode.TIME):
        if int(str(commit.id)[0], 16) % 3 == 0 and len(commit.parent_ids) == 1 and commit.parent_ids[0] in repository:
            found.append((str(commit.parent_ids[0]), str(commit.id)))
        if len(found) == COMMITS:
            break
    return found


def test_few_honest_changes_need_a_person() -> None:
    path = pygit2.discover_repository(str(Path(__file__).parent))
    commits = small_commits(pygit2.Repository(path)) if path else []
    if len(commits) < FEWEST:
        pytest.skip("this copy of Tapeout has too little history")
    repository = pygit2.Repository(path or "")
    told: Counter[str] = Counter()
    for base, commit in commits:
        alarms = alarms_of(read_change(repository, base, commit), AROUND)
        told.update({alarm.check for alarm in alarms if alarm.permission != "dependencies"})
    percent = {check: 100 * told[check] / len(commits) for check in MOST_PERCENT}
    assert {check: rate for check, rate in percent.items() if rate > MOST_PERCENT[check]} == {}, told
