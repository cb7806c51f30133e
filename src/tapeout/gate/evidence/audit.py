"""Whether main only ever moved with evidence: law 3, also against somebody who writes refs directly.

The hub is a folder: whoever can write to it can move its main without asking anybody. Such a move cannot be prevented
here, but it is noticed before anything is built on it: no candidate is made and nothing is published while main holds a
commit that neither landed nor was adopted.
"""

from dataclasses import dataclass
from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import first_parent, is_ancestor, resolve
from tapeout.gate.evidence.notes import read_sealed
from tapeout.gate.evidence.trust import Adopted, Trust

_LISTED = 3


@dataclass(frozen=True)
class Intrusion:
    """Main is not where this hub left it."""

    main: str
    strangers: tuple[str, ...]
    """Commits of main, by first parent and newest first, that have no evidence of this hub and that nobody adopted."""
    good: str | None
    """The newest commit that main was at in order."""


def landing_base(hub: pygit2.Repository, commit: str) -> str | None:
    """The commit that main was at before it moved to `commit`, if this hub's evidence says that it might."""
    record = read_sealed(hub, commit)
    if record is None or record["passed"] is not True or not record.get("checks"):
        return None
    found = hub[commit].peel(pygit2.Commit)
    same = (record["candidate"], record["tree"]) == (str(found.id), str(found.tree_id))
    return record["base"] if same and len(found.parent_ids) == 2 else None


def inspect(hub: pygit2.Repository, main: str, trust: Trust, branch: str) -> Intrusion | None:
    """What is wrong with main at this commit; None if it is in order. Walks back to what was found in order before."""
    anchors = {adoption.commit for adoption in trust.adopted() or ()}
    audited = trust.audited(branch)
    walked = _walk(hub, main, anchors | ({audited} if audited else set()))
    if walked.strangers:
        return Intrusion(main, walked.strangers, walked.good)
    if audited is not None and audited in hub and not is_ancestor(hub, audited, main):
        return Intrusion(main, (), audited)
    return None


class _Walked(NamedTuple):
    strangers: tuple[str, ...]
    good: str | None


def _walk(hub: pygit2.Repository, main: str, anchors: set[str]) -> _Walked:
    """Down the first parents, from one landing to the one below it, until a commit that is known to be in order."""
    strangers: list[str] = []
    good: str | None = None
    commit: str | None = main
    while commit is not None and commit not in anchors:
        base = landing_base(hub, commit)
        below = _below(hub, commit, base, anchors) if base is not None else None
        if below is None:
            strangers.append(commit)
            good = None
            below = first_parent(hub, commit)
        else:
            good = good or commit
        commit = below
    if commit is None and not strangers:  # down to the root, and nobody ever adopted it
        return _Walked((main,), None)
    return _Walked(tuple(strangers), good or commit)


def _below(hub: pygit2.Repository, commit: str, base: str, anchors: set[str]) -> str | None:
    """Where main was before, if one gets to `base` from `commit` by first parents: several changes may have landed in
    one move, or a stack of them one after the other, all judged on the same base."""
    below, known = first_parent(hub, commit), None
    while below is not None and below != base:
        known = known or (below if below in anchors else None)
        below = first_parent(hub, below)
    return known if below is not None and known is not None else below


def ensure_in_order(hub: pygit2.Repository, branch: str) -> str | None:
    """The commit of the hub's target branch, after looking whether it got there in order; None if it has none.

    Raises:
        EnvironmentProblem: it did not; says what to do.
    """
    main = resolve(hub, f"refs/heads/{branch}")
    if main is None:
        return None
    trust = Trust.of(hub)
    if trust.audited(branch) == main:
        return main
    found = inspect(hub, main, trust, branch)
    if found is not None:
        raise intrusion_error(hub, branch, found)
    trust.set_audited(branch, main)
    return main


def accept(hub: pygit2.Repository, branch: str, commit: str) -> None:
    """A person vouches for what main was moved to by hand, and for all that is below it."""
    trust = Trust.of(hub)
    trust.adopt(Adopted(commit, trust.audited(branch) or "", "accepted"))
    trust.set_audited(branch, commit)


def is_known(hub: pygit2.Repository, branch: str, commit: str) -> bool:
    """Whether a commit landed, was adopted, or was main in order before."""
    trust = Trust.of(hub)
    if trust.audited(branch) == commit:
        return True
    return any(one.commit == commit for one in trust.adopted() or ()) or landing_base(hub, commit) is not None


def intrusion_error(hub: pygit2.Repository, branch: str, found: Intrusion) -> EnvironmentProblem:
    """What to tell a person, who alone can say what is right."""
    accept_it = f"`tapeout hub --accept {found.main[:12]}` if it is right as it is"
    if not found.strangers:
        message = f"{branch} of the hub was moved back or rewritten: {(found.good or '')[:12]} is not in it any more"
    else:
        listed = ", ".join(commit[:12] for commit in found.strangers[:_LISTED])
        more = f" and {len(found.strangers) - _LISTED} more" if len(found.strangers) > _LISTED else ""
        message = f"{branch} of the hub was moved past the gate: no evidence of this hub for {listed}{more}"
    back = f"`git --git-dir {hub.path.rstrip('/')} update-ref refs/heads/{branch} {found.good}` puts it back; "
    return EnvironmentProblem(message, hint=(back if found.good else "") + accept_it)
