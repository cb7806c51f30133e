"""What the gate has to know of the changes in a candidate besides their files: from the tracker."""

from collections.abc import Sequence

import pygit2

from tapeout.gate.integrity import Part
from tapeout.gate.redmain.revert import permissions_of_revert, revert_of
from tapeout.gate.stacking import Link
from tapeout.tracker import Tracker
from tapeout.tracker.model import Change


def parts_of(
    tracker: Tracker, hub: pygit2.Repository, main: str, members: Sequence[Change], links: Sequence[Link]
) -> tuple[Part, ...]:
    """Each change apart, so that what a person allowed one of them is not held against another."""
    below, parts = main, list[Part]()
    for change, link in zip(members, links, strict=True):
        issue = tracker.issue(change.issue)
        bases = [attempt.base for attempt in tracker.attempts(change.issue) if attempt.base]
        parts.append(
            Part(
                base=below,
                commit=link.commit,
                head=change.commit,
                target=main,
                begun=(*bases, change.base),
                granted=tracker.permissions(change.issue) | permissions_of_revert(hub, change.commit),
                issue=issue.id,
                is_bug=issue.type == "bug" and revert_of(hub, change.commit) is None,
            )
        )
        below = link.commit
    return tuple(parts)
