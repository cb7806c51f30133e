"""A pushed commit: is it a change that can be queued, for which issue, and putting it there."""

from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotAllowed, NotFound, UsageError
from tapeout.base.faults import point
from tapeout.base.git import is_ancestor, message_of, move_ref, resolve
from tapeout.base.ids import new_id
from tapeout.gate.receive.request import Options, draft_text, trailer_issue
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import Change

ATTEMPTS = "refs/tapeout/attempts/"
"""Where the hub keeps the work of attempts; a push is one."""


class Queued(NamedTuple):
    """What became of a push."""

    change: Change
    filed: bool
    """Whether an issue was filed for it."""
    again: bool
    """Whether the commit was in the queue already."""


class _Pushed(NamedTuple):
    base: str
    """Where it left the target branch."""
    issue: str | None
    draft: Draft


def examine(hub: pygit2.Repository, tracker: Tracker, branch: str, commit: str, options: Options, owner: str) -> None:
    """Refuse what cannot be queued, before any object of it gets into the hub.

    Args:
        hub: knows the pushed objects.

    Raises:
        UsageError: it is no commit, or its issue is not named clearly.
        NotAllowed: its history is unrelated or incomplete, main has it, or its issue is closed or somebody else's.
        NotFound: there is no such issue.
    """
    pushed = _look(hub, branch, commit, options)
    if pushed.issue is not None:
        tracker.check_push(pushed.issue, owner)


def enqueue(hub: pygit2.Repository, tracker: Tracker, branch: str, commit: str, options: Options, owner: str) -> Queued:
    """Put a commit into the queue; the same commit twice is in it once.

    Raises:
        TapeoutError: as `examine`, for what changed since.
    """
    pushed = _look(hub, branch, commit, options)
    attempt = f"p-{new_id()}"
    move_ref(hub, ATTEMPTS + attempt, commit, None)
    point("push.kept")
    change = tracker.submit_push(
        attempt, owner, commit=commit, base=pushed.base, issue=pushed.issue, draft=pushed.draft
    )
    point("push.submitted")
    again = change.attempt != attempt
    if again:
        hub.references.delete(ATTEMPTS + attempt)
    return Queued(change, filed=pushed.issue is None, again=again)


def _look(hub: pygit2.Repository, branch: str, commit: str, options: Options) -> _Pushed:
    main = resolve(hub, f"refs/heads/{branch}")
    if main is None:
        raise EnvironmentProblem(f"the hub has no {branch} yet", hint="run `tapeout hub` in the repository")
    try:
        pushed = hub[commit]
    except (KeyError, ValueError) as error:
        raise NotFound(f"{commit[:12]} did not arrive") from error
    if pushed.type != pygit2.enums.ObjectType.COMMIT:
        raise UsageError(f"{commit[:12]} is no commit", hint=f"push a commit: HEAD:refs/for/{branch}")
    try:
        base = hub.merge_base(main, commit)
        contained = is_ancestor(hub, commit, main)
    except (KeyError, pygit2.GitError) as error:
        raise NotAllowed("its history is not complete", hint="run `git fetch --unshallow`, then push again") from error
    if base is None:
        raise NotAllowed(f"its history is unrelated to {branch}", hint=f"start from {branch} of the hub")
    if contained:
        raise NotAllowed(f"{branch} has it already: there is nothing to land")
    message = message_of(pushed.peel(pygit2.Commit))
    title, body = draft_text(message, commit, options.title)
    return _Pushed(str(base), options.issue or trailer_issue(message), Draft(title, body=body))
