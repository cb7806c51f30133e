"""The commit that takes a culprit back, as `git revert` makes it (for a merge with `-m 1`), in memory.

What may go wrong: later commits touched the same lines (`MergeConflict`), or have taken it back already (`Refused`).
"""

import re

import pygit2

from tapeout.base.git import message_of, move_ref, resolve, signature
from tapeout.gate.candidate import MergeConflict, Refused, conflicting
from tapeout.gate.redmain.inquiry import landed_as

REVERTS = "refs/tapeout/reverts/"
"""A ref for each culprit that was taken back: only the lander writes it, so nobody passes a change off as a revert."""

NAME = "tapeout revert"
"""Author of reverts: not the gate's own name, which no change may carry."""

_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40,64})\.$", re.MULTILINE)
_SUBJECT_CHARS = 100


def make_revert(hub: pygit2.Repository, main: str, culprit: str, why: str) -> str | MergeConflict | Refused:
    """Make the commit on top of main, and keep it under its ref; returns its id.

    Args:
        why: one line for its message.
    """
    bad, top = (hub[commit].peel(pygit2.Commit) for commit in (culprit, main))
    index = hub.revert_commit(bad, top, 1 if len(bad.parent_ids) > 1 else 0)
    if paths := conflicting(index):
        return MergeConflict(paths)
    tree = index.write_tree(hub)
    if tree == top.tree_id:
        return Refused("nothing of it is left on the target branch")
    subject = (message_of(bad).splitlines() or [""])[0][:_SUBJECT_CHARS]
    message = f'Revert "{subject}"\n\nThis reverts commit {culprit}.\n\n{" ".join(why.split())[:300]}\n'
    author = signature(NAME)
    commit = str(hub.create_commit(None, author, author, message, tree, [top.id]))
    ref = REVERTS + culprit
    while (there := resolve(hub, ref)) != commit and not move_ref(hub, ref, commit, there):
        pass
    return commit


def revert_of(hub: pygit2.Repository, commit: str) -> str | None:
    """The culprit that a commit takes back, if the lander made it for that."""
    try:
        said = _REVERTS.search(message_of(hub[commit].peel(pygit2.Commit)))
    except (KeyError, ValueError, pygit2.GitError):
        return None
    return said[1] if said and resolve(hub, REVERTS + said[1]) == commit else None


def permissions_of_revert(hub: pygit2.Repository, commit: str) -> frozenset[str]:
    """What a commit may do because it takes back what an agent did: remove the tests that came with it. What a person
    committed has to be taken back by a person where the gate protects it."""
    culprit = revert_of(hub, commit)
    return frozenset({"tests"}) if culprit is not None and landed_as(hub, culprit) else frozenset()
