"""The one place where main moves to a candidate, and what must hold before it does."""

from collections.abc import Sequence
from typing import Any

import pygit2

from tapeout.base.errors import NotAllowed
from tapeout.base.git import move_ref
from tapeout.gate.evidence import read_evidence


def objection(evidence: dict[str, Any] | None, *, commit: str, tree: str, parents: Sequence[str]) -> str:
    """Why a commit with this evidence must not become main; empty if it may. Pure."""
    if evidence is None:
        return "it carries no evidence"
    if evidence.get("passed") is not True or not evidence.get("checks"):
        return "its verdict is not a pass"
    if evidence.get("candidate") != commit or evidence.get("tree") != tree:
        return "its verdict is about another tree"
    if len(parents) != 2 or evidence.get("base") != parents[0]:
        return "its verdict was given under another base"
    return ""


def land(hub: pygit2.Repository, branch: str, candidate: str) -> bool:
    """Move the target branch from the candidate's first parent to the candidate; False if the branch is not there.

    Raises:
        NotAllowed: the candidate has no passing verdict for exactly its tree on exactly that base.
    """
    commit = hub[candidate].peel(pygit2.Commit)
    parents = [str(parent) for parent in commit.parent_ids]
    problem = objection(read_evidence(hub, candidate), commit=str(commit.id), tree=str(commit.tree_id), parents=parents)
    if problem:
        raise NotAllowed(f"{candidate[:10]} cannot land: {problem}")
    return move_ref(hub, f"refs/heads/{branch}", candidate, parents[0])
