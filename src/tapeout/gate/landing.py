"""The one place where main moves to a candidate, and what must hold before it does."""

from collections.abc import Sequence
from typing import Any

import pygit2

from tapeout.base.errors import NotAllowed
from tapeout.base.git import move_ref, read_blob, resolve
from tapeout.config import CONFIG_FILE
from tapeout.gate.evidence import read_evidence, read_sealed

LONGEST = 256
"""Most merges between a candidate and the base of its verdict."""


def objection(evidence: dict[str, Any] | None, *, commit: str, tree: str, lineage: Sequence[Sequence[str]]) -> str:
    """Why a commit with this evidence must not become main; empty if it may. Pure.

    Args:
        lineage: the parents of the commit, of its first parent, and so on down to the base of the verdict: one entry
            if it is a merge of one change, several if changes were stacked.
    """
    if evidence is None:
        return "it carries no evidence"
    if evidence.get("passed") is not True or not evidence.get("checks"):
        return "its verdict is not a pass"
    if evidence.get("candidate") != commit or evidence.get("tree") != tree:
        return "its verdict is about another tree"
    if not lineage or any(len(parents) != 2 for parents in lineage) or evidence.get("base") != lineage[-1][0]:
        return "its verdict was given under another base"
    return ""


def land(hub: pygit2.Repository, branch: str, candidate: str) -> bool:
    """Move the target branch to the candidate; False if the branch is at none of the commits that the candidate was
    stacked on.

    Raises:
        NotAllowed: the candidate has no passing verdict of this hub for exactly its tree, under the gate that the
            branch has now.
    """
    commit = hub[candidate].peel(pygit2.Commit)
    evidence = read_sealed(hub, candidate)
    base = str((evidence or {}).get("base", ""))
    lineage = _lineage(hub, commit, base)
    problem = objection(evidence, commit=str(commit.id), tree=str(commit.tree_id), lineage=lineage)
    if evidence is None and read_evidence(hub, candidate) is not None:
        problem = "its evidence is not signed by this hub"
    if problem:
        raise NotAllowed(f"{candidate[:10]} cannot land: {problem}")
    ref = f"refs/heads/{branch}"
    main = resolve(hub, ref)
    if main is None or main not in [parents[0] for parents in lineage]:
        return False
    if read_blob(hub, main, CONFIG_FILE) != read_blob(hub, base, CONFIG_FILE):
        raise NotAllowed(f"{candidate[:10]} cannot land: its verdict was given under another {CONFIG_FILE}")
    return move_ref(hub, ref, candidate, main)


def _lineage(hub: pygit2.Repository, commit: pygit2.Commit, base: str) -> list[list[str]]:
    """Parents along the first-parent history, until one is `base`."""
    lineage = [[str(parent) for parent in commit.parent_ids]]
    while lineage[-1] and lineage[-1][0] != base and len(lineage) < LONGEST:
        below = hub[lineage[-1][0]].peel(pygit2.Commit)
        lineage.append([str(parent) for parent in below.parent_ids])
    return lineage
