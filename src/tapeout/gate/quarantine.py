"""An issue for each flaky test, so that somebody mends it."""

import hashlib

from tapeout.gate.verdict import Verdict
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.queries import Filter

LABEL = "flaky"

_TITLE_CHARS = 200


def file_flaky(tracker: Tracker, verdict: Verdict) -> list[str]:
    """File an issue for each test that was seen flaky and that the target branch has; ids of the new ones.

    There is one open issue a test, however often it is seen.
    """
    found = [(result, test) for result in verdict.results if not result.own_flaky for test in result.flaky]
    if not found:
        return []
    known = {issue.title for issue in tracker.issues(Filter(status="open", label=LABEL))}
    drafts: dict[str, Draft] = {}
    for result, test in found:
        title = _title(result.name, test)
        if title not in known:
            body = (
                f"In gate run {verdict.run} the check `{result.name}` failed on `{test}`, and passed when run again"
                f" on the same files (tree {verdict.tree}).\n\nThe output of both is in the run's evidence:"
                f" `{result.name}.log` and `{result.name}.rerun1.log`."
            )
            accepted = f"`{test}` passes every time, and still tests what it tested."
            drafts[title] = Draft(title, body=body, acceptance=accepted, type="bug", priority=3, labels=(LABEL,))
    return [issue.id for issue in tracker.create_many(list(drafts.values()))]


def _title(check: str, test: str) -> str:
    title = f"Flaky: {check}" if test == check else f"Flaky test: {test}"
    if len(title) <= _TITLE_CHARS:
        return title
    return f"{title[:_TITLE_CHARS]}… {hashlib.sha256(title.encode()).hexdigest()[:8]}"
