"""A change as a part of what is judged: usually all of it, in a combination of several changes one of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One change in a candidate."""

    base: str
    """Commit that it was merged onto: the target branch, or the changes below it."""
    commit: str
    """That merge."""
    head: str
    """What was submitted."""
    target: str
    """Commit of the target branch: what `head` has beyond it is new."""
    begun: tuple[str, ...] = ()
    """Commits on which the attempts at its issue were begun: a later one may go on from what an earlier one left."""
    granted: frozenset[str] = frozenset()
    """Permissions that a person gave to its issue."""
    issue: str = ""
    """Whose change it is; empty if nobody knows."""
    is_bug: bool = False
    """Its issue is a bug: new tests must fail without the change."""
