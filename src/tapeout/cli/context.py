"""Where a command runs and for whom."""

from __future__ import annotations

import os
import time

from tapeout.base.errors import NotAllowed, UsageError
from tapeout.base.lean import NamedTuple
from tapeout.base.paths import REPOSITORY_VARIABLE, Repository, StatePaths, find_repository, state_paths
from tapeout.tracker import Tracker

ACTOR_VARIABLE = "TAPEOUT_ACTOR"
ATTEMPT_VARIABLE = "TAPEOUT_ATTEMPT"


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


def actor() -> str:
    """Who writes: the attempt, inside a worker; `$TAPEOUT_ACTOR`; else the user."""
    attempt = os.environ.get(ATTEMPT_VARIABLE)
    if attempt:
        return f"agent:{attempt}"
    return os.environ.get(ACTOR_VARIABLE) or os.environ.get("USER") or f"uid{os.getuid()}"


def refuse_agents() -> None:
    """Keep an agent from what decides about its own work and that of others: nobody's word closes an issue.

    This stops an eager agent, not a hostile one, which can change its environment: there is no sandbox.

    Raises:
        NotAllowed: we were called by the agent of an attempt, in its repository.
    """
    if os.environ.get(ATTEMPT_VARIABLE) and os.environ.get(REPOSITORY_VARIABLE):
        raise NotAllowed("this command is for people, not for agents at work", hint="say it in a comment on the issue")


def open_tracker() -> Tracker:
    """The tracker of the current folder's repository."""
    return Tracker.open(here().paths, actor())


def parse_moment(text: str) -> float | None:
    """Unix time from an ISO date or time, or from a length of time from now such as `2d` or `90m`; None for `none`."""
    from datetime import datetime

    if text == "none":
        return None
    units = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
    try:
        if text[-1:] in units:
            return time.time() + int(text[:-1]) * units[text[-1]]
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no date: use 2027-01-31, 2027-01-31T12:00, or 2d, 3h, 45m") from error
