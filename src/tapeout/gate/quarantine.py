"""An issue for each flaky test, so that somebody mends it."""

import hashlib
from collections.abc import Sequence

from tapeout.gate.verdict import Verdict
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.queries import Filter

LABEL = "flaky"

_TITLE_CHARS = 200


def seen_flaky(verdict: Verdict) -> list[tuple[str, str]]:
    """Check and test of each test that was seen flaky and that the target branch has."""
    return [(result.name, test) for result in verdict.results if not result.own_flaky for test in result.flaky]


def file_flaky(tracker: Tracker, found: Sequence[Sequence[str]], *, run: str, tree: str) -> list[str]:
    """File an issue for each test that was seen flaky; ids of the new ones.

    There is one open issue a test, however often it is seen.

    Args:
        found: as `seen_flaky` gives it.
        run: id of the gate run.
        tree: what it judged.
    """
    if not found:
        return []
    known = {issue.title for issue in tracker.issues(Filter(status="open", label=LABEL))}
    drafts: dict[str, Draft] = {}
    for check, test in found:
        title = _title(check, test)
        if title not in known:
            body = (
                f"In gate run {run} the check `{check}` failed on `{test}`, and passed when run again"
                f" on the same files (tree {tree}).\n\nThe output of both is in the run's evidence:"
                f" `{check}.log` and `{check}.rerun1.log`."
            )
            accepted = f"`{test}` passes every time, and still tests what it tested."
            drafts[title] = Draft(title, body=body, acceptance=accepted, type="bug", priority=3, labels=(LABEL,))
    return [issue.id for issue in tracker.create_many(list(drafts.values()))]


def _title(check: str, test: str) -> str:
    title = f"Flaky: {check}" if test == check else f"Flaky test: {test}"
    if len(title) <= _TITLE_CHARS:
        return title
    return f"{title[:_TITLE_CHARS]}… {hashlib.sha256(title.encode()).hexdigest()[:8]}"
