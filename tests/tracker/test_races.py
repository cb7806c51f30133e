"""Law 2: one live lease an issue, however many processes want it."""

import json
from collections import Counter
from typing import Any

import pytest

from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.schema import pause
from tests.tracker.tools import contents, delete_index, finish, python

PROCESSES = 16
ISSUES = 100

CLAIMER = """
import json, random, sys, pygit2
from functools import partial
from tapeout.base.errors import Conflict
from tapeout.base.paths import StatePaths
from tapeout.tracker import Tracker
root, me, mode, seconds, count = sys.argv[1:]
won = []
with Tracker.open(StatePaths(root), me) as tracker:
    issues = [issue.id for issue in tracker.issues()]
    random.Random(me).shuffle(issues)
    for issue in issues[:int(count)]:
        try:
            take = tracker.claim_next if mode == "next" else partial(tracker.claim, issue)
            won.append(take(me, float(seconds)))
            tracker.start_attempt(won[-1], f"{me}-{len(won)}", agent="codex", host="h", pid=1, pid_started=0.5)
        except Conflict as error:
            assert error.exit_code in (4, 9)
print(json.dumps(won))
"""


def race(paths: StatePaths, mode: str, seconds: float) -> list[tuple[str, str, int]]:
    """Let all processes claim at once: who won which issue with which token."""
    claimers = [
        python(CLAIMER, paths.root, f"p{number}", mode, f"{seconds}", f"{ISSUES}") for number in range(PROCESSES)
    ]
    won: list[tuple[str, str, int]] = []
    for claimer in claimers:
        leases: list[Any] = json.loads(finish(claimer) or "[]")
        won += [(issue, owner, token) for issue, owner, token, _ in leases]
    return won


@pytest.fixture
def full(paths: StatePaths) -> StatePaths:
    with Tracker.open(paths, "ada") as tracker:
        tracker.create_many([Draft(f"{number}") for number in range(ISSUES)])
    return paths


def test_every_issue_has_exactly_one_winner(full: StatePaths) -> None:
    won = race(full, "each", 600)
    assert sorted(issue for issue, _, _ in won) == sorted({issue for issue, _, _ in won})
    assert len(won) == ISSUES
    with Tracker.open(full, "ada") as tracker:
        assert {(one.id, one.lease_owner, one.lease_token) for one in tracker.issues()} == set(won)
        assert Counter(one.issue for one in tracker.attempts()) == Counter(issue for issue, _, _ in won)
        before = contents(full)
        delete_index(full)
        assert tracker.ready() == []
    assert contents(full) == before


def test_of_those_who_take_the_next_issue_no_two_get_the_same(full: StatePaths) -> None:
    with Tracker.open(full, "ada") as tracker:
        for issue in tracker.issues()[: ISSUES // 2]:
            tracker.close_issue(issue.id)
        tracker.create_many([Draft("more") for _ in range(PROCESSES * ISSUES)])  # nobody runs out
    won = race(full, "next", 600)
    assert len(won) == len({issue for issue, _, _ in won})
    assert {token for _, _, token in won} == {1}


def test_an_expired_lease_is_won_again_and_each_win_has_a_token_of_its_own(full: StatePaths) -> None:
    won = race(full, "each", 0)
    assert len(won) == len({(issue, token) for issue, _, token in won}) == PROCESSES * ISSUES
    with Tracker.open(full, "ada") as tracker:
        newest = {issue: max(token for one, _, token in won if one == issue) for issue, _, _ in won}
        assert {one.id: one.lease_token for one in tracker.issues()} == newest


CROWD = """
import json, os, sys
from tapeout.base.errors import NotFound
from tapeout.base.paths import StatePaths
from tapeout.tracker import Tracker
root, count = sys.argv[1], int(sys.argv[2])
gate, go = os.pipe()
for number in range(count):
    if os.fork() == 0:
        os.close(go)
        tracker = Tracker.open(StatePaths(root), f"p{number}")
        os.read(gate, 1)  # the end of the pipe: all begin at once
        won = []
        try:
            while True:
                won.append(tracker.claim_next(f"p{number}", 600).issue)
        except NotFound:
            os.write(1, (json.dumps(won) + "\\n").encode())
        os._exit(0)
os.close(go)
for _ in range(count):
    os.wait()
"""


def test_a_crowd_takes_a_thousand_issues_and_each_is_won_once(paths: StatePaths) -> None:
    with Tracker.open(paths, "ada") as tracker:
        tracker.create_many([Draft(f"{number}") for number in range(1000)])
    lines = finish(python(CROWD, paths.root, "64")).splitlines()
    won = [issue for line in lines for issue in json.loads(line)]
    assert (len(lines), len(won), len(set(won))) == (64, 1000, 1000)
    with Tracker.open(paths, "ada") as tracker:
        assert {issue.lease_token for issue in tracker.issues()} == {1}


def test_who_has_waited_longest_tries_most_often() -> None:
    waits = [0.0001 * number for number in range(1, 10_000)]
    pauses = [pause(waited) for waited in waits]
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[0] > 10 * pauses[-1] > 0
    assert pause(0) < pauses[-1]  # who meets one other writer by chance hardly waits
