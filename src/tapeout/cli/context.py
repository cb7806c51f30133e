"""Where a command runs and for whom."""

from __future__ import annotations

import time

from tapeout.base.caller import actor, refuse_agents
from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.lean import NamedTuple
from tapeout.base.moments import seconds_of
from tapeout.base.paths import Repository, StatePaths, find_repository, state_paths
from tapeout.tracker import Tracker

__all__ = ["Context", "actor", "here", "open_tracker", "parse_moment", "refuse_agents", "target_branch"]


class Context(NamedTuple):
    """The repository that a command works on, and its state directory."""

    repository: Repository
    paths: StatePaths


def here() -> Context:
    """The context of the current folder.

    Raises:
        EnvironmentProblem: it is not in a git repository.
    """
    repository = find_repository()
    return Context(repository, state_paths(repository))


def target_branch(context: Context) -> str:
    """The target branch, as the `tapeout.toml` of the commit that the user is on names it.

    Raises:
        EnvironmentProblem: there is no commit yet, or it has no such file.
        UsageError: the file is not valid.
    """
    import os

    import pygit2

    from tapeout.base.git import read_blob
    from tapeout.config import CONFIG_FILE, parse_config

    try:
        user = pygit2.Repository(context.repository.root)
        if user.head_is_unborn:
            raise EnvironmentProblem("the repository has no commit yet", hint="commit something first")
        head = str(user.head.target)
    except pygit2.GitError as error:
        raise EnvironmentProblem(f"cannot read {context.repository.root}: {error}") from error
    content = read_blob(user, head, CONFIG_FILE)
    if content is None:
        there = os.path.exists(os.path.join(context.repository.root, CONFIG_FILE))
        hint = f"commit the file: git add {CONFIG_FILE} && git commit" if there else "run `tapeout init`, then commit"
        raise EnvironmentProblem(f"the current commit has no {CONFIG_FILE}", hint=hint)
    return parse_config(content.decode(errors="replace")).project.branch


def open_tracker() -> Tracker:
    """The tracker of the current folder's repository."""
    return Tracker.open(here().paths, actor())


def parse_moment(text: str) -> float | None:
    """Unix time from an ISO date or time, or from a length of time from now such as `2d` or `90m`; None for `none`."""
    if text == "none":
        return None
    length = seconds_of(text)
    if length is not None:
        return time.time() + length
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no date: use 2027-01-31, 2027-01-31T12:00, or 2w, 2d, 3h, 45m") from error
