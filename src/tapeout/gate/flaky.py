"""Tests that fail and then pass on the same files: what that means for the change that was gated. Pure.

The rule: a flaky pass lands only if the change cannot have brought the flakiness in. That is so when every test that
failed was seen flaky without it, and lives in a file that it does not touch. Everything else is refused.
"""

from collections.abc import Collection, Iterable, Sequence

from tapeout.gate.cache import Sighting
from tapeout.gate.reports import TestCase

MOST = 10
"""Failed tests. When more fail at once it is no coincidence, and nothing is run again."""

_NAMED = 3


def worth_rerunning(failed: Sequence[TestCase]) -> bool:
    """Whether a failed test run may be a flaky one. A run whose report names no test may be, too."""
    return len(failed) <= MOST


def objection(
    failed: Sequence[TestCase],
    sightings: Iterable[Sighting],
    *,
    issue: str,
    landed: Collection[str],
    touched: Collection[str],
) -> str:
    """Why a test run that failed and then passed does not count as a pass; empty if it does.

    Args:
        failed: the tests that failed first; none if the check's report does not say.
        sightings: where tests of this check were seen flaky before.
        issue: whose change is gated; of several changes all issues, with spaces between.
        landed: trees of the target branch.
        touched: files that the change touches.
    """
    if not failed:
        return "its report does not say which tests failed, so nobody can tell whether the change made them flaky"
    here = set(issue.split())
    elsewhere = {
        seen.test
        for seen in sightings
        # In a combination any of its changes may have made the test flaky.
        if (seen.issue and here.isdisjoint(seen.issue.split())) or seen.tree in landed
    }
    own = [case for case in failed if not case.path or case.path in touched]
    unknown = [case for case in failed if case.id not in elsewhere]
    if own:
        return f"the change touches the file of {_names(own)}, or nobody knows which it is"
    if unknown:
        return f"{_names(unknown)} was never seen flaky without this change"
    return ""


def are_own(failed: Sequence[TestCase], touched: Collection[str]) -> bool:
    """Whether flaky tests are the change's own: all in files that it touches."""
    return bool(failed) and all(case.path in touched for case in failed)


def _names(cases: Sequence[TestCase]) -> str:
    return ", ".join(case.id for case in cases[:_NAMED]) + (", …" if len(cases) > _NAMED else "")
