"""The hub's target branch, and adopting what people commit to theirs.

What may go wrong: the repository is empty, shallow or lacks the branch (one line and a hint); the user's branch and
the hub's went apart (nothing is touched, the reason says how to bring them together); somebody moved the hub's branch
past the gate (nothing is built on it).
"""

import os
from dataclasses import dataclass

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import ensure_bare, import_objects, is_ancestor, move_ref, resolve
from tapeout.base.paths import Repository, StatePaths
from tapeout.gate.evidence.audit import ensure_in_order, is_known
from tapeout.gate.evidence.trust import Adopted, Trust
from tapeout.gate.receive.setup import prepare_receiving

_TRIES = 20
_LISTED = 8


@dataclass(frozen=True)
class Adoption:
    """What became of the user's commits."""

    main: str
    """The hub's target branch now."""
    adopted: str | None = None
    """The user's commit that it moved to, if it did."""
    diverged: str | None = None
    """Why it could not, if both sides have commits that the other lacks."""


def prepare_hub(paths: StatePaths, repository: Repository, branch: str) -> str:
    """Make the hub if it is missing and bring in the user's branch; returns the commit of the hub's target branch.

    Raises:
        EnvironmentProblem: the repository is empty, shallow or unreadable, or has no such branch; or the hub's branch
            was moved past the gate.
    """
    main = adopt(paths, repository, branch).main
    prepare_receiving(paths.hub)
    return main


def adopt(paths: StatePaths, repository: Repository, branch: str) -> Adoption:
    """As `prepare_hub`, telling what happened. People own their branch: the hub fast-forwards to it.

    Raises:
        EnvironmentProblem: as `prepare_hub`.
    """
    hub = ensure_bare(paths.hub)
    ref = f"refs/heads/{branch}"
    open_user(repository)
    if hub.references["HEAD"].raw_target != ref.encode():
        hub.set_head(ref)
    trust_what_is_there(hub, branch)
    found = _fast_forward(hub, paths, repository, branch)
    ensure_in_order(hub, branch)
    return found


def trust_what_is_there(hub: pygit2.Repository, branch: str) -> None:
    """A hub that kept no list of what was adopted is believed as it is, once."""
    main, trust = resolve(hub, f"refs/heads/{branch}"), Trust.of(hub)
    if main is not None and trust.adopted() is None:
        trust.adopt(Adopted(main, "", "start"))


def _fast_forward(hub: pygit2.Repository, paths: StatePaths, repository: Repository, branch: str) -> Adoption:
    user, ref = open_user(repository), f"refs/heads/{branch}"
    for _ in range(_TRIES):
        ours, theirs = resolve(hub, ref), _branch_commit(user, branch)
        if ours is None or not is_ancestor(hub, theirs, ours):
            theirs = _import(hub, repository, branch)
        if ours is not None and not is_ancestor(hub, ours, theirs):
            behind = is_ancestor(hub, theirs, ours)
            return Adoption(ours, diverged=None if behind else diverged_reason(paths, branch))
        _vouch(hub, branch, theirs, ours)
        if ours == theirs:
            return Adoption(theirs)
        if move_ref(hub, ref, theirs, ours):
            return Adoption(theirs, adopted=theirs)
    raise EnvironmentProblem(f"the branch {branch} of the hub keeps moving")


def _vouch(hub: pygit2.Repository, branch: str, theirs: str, ours: str | None) -> None:
    """Remember that people put this commit on their branch, before it becomes main."""
    if not is_known(hub, branch, theirs):
        previous = Trust.of(hub).audited(branch) or (ours if ours != theirs else None)
        Trust.of(hub).adopt(Adopted(theirs, previous or "", "start" if ours is None else "adopted"))


def hub_branch(hub: pygit2.Repository) -> str:
    """The target branch: what the hub's HEAD names."""
    target = hub.references["HEAD"].raw_target
    name = target.decode() if isinstance(target, bytes) else ""
    return name.removeprefix("refs/heads/")


def diverged_reason(paths: StatePaths, branch: str) -> str:
    """What to tell a person whose branch went its own way."""
    return (
        f"your branch {branch} and the landed work have diverged: run `git pull --no-rebase {paths.hub} {branch}` on it"
    )


def open_user(repository: Repository) -> pygit2.Repository:
    """The user's repository, whatever state its work tree is in.

    Raises:
        EnvironmentProblem: git cannot read it.
    """
    try:
        return pygit2.Repository(repository.git_dir, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    except pygit2.GitError as error:
        raise EnvironmentProblem(f"cannot open the repository {repository.git_dir}: {error}") from error


def _branch_commit(user: pygit2.Repository, branch: str) -> str:
    commit = resolve(user, f"refs/heads/{branch}")
    if commit is not None:
        return commit
    branches = sorted(user.branches.local)
    if not branches and resolve(user, "HEAD") is None:
        raise EnvironmentProblem("the repository has no commit yet", hint="commit something first")
    listed = ", ".join(branches[:_LISTED]) + (", …" if len(branches) > _LISTED else "")
    raise EnvironmentProblem(
        f"the repository has no branch {branch}",
        hint=f"set project.branch in tapeout.toml to one of: {listed}" if branches else "create it",
    )


def _import(hub: pygit2.Repository, repository: Repository, branch: str) -> str:
    """Fetch the user's branch and tags; returns the commit that was fetched."""
    if os.path.exists(os.path.join(repository.git_dir, "shallow")):
        raise EnvironmentProblem(
            "the repository is a shallow clone, which lacks history", hint="run `git fetch --unshallow`"
        )
    fetched = f"refs/tapeout/user/{branch}"
    import_objects(hub, repository.git_dir, [f"+refs/heads/{branch}:{fetched}", "+refs/tags/*:refs/tags/*"])
    commit = resolve(hub, fetched)
    if commit is None:
        raise EnvironmentProblem(f"cannot fetch the branch {branch} from {repository.git_dir}")
    return commit
