"""Plans as they are kept until a person has them filed: one file of issues each, in the state directory."""

import os
from typing import NamedTuple

from tapeout.base import locks
from tapeout.base.errors import Conflict, EnvironmentProblem, NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.floor.planning.proposal import MOST_BYTES, MOST_PROBLEMS, read_proposal
from tapeout.tracker import Tracker
from tapeout.tracker.fields import Draft
from tapeout.tracker.model import Issue
from tapeout.workspaces.files import read_file

FILING_SECONDS = 10.0
"""How long to wait for another plan that is being filed."""


class Plan(NamedTuple):
    """Issues that could be filed."""

    file: str
    drafts: tuple[Draft, ...]


def folder_of(paths: StatePaths) -> str:
    """Where plans are kept."""
    return os.path.join(paths.root, "plans")


def keep(paths: StatePaths, identity: str, content: bytes, *, refused: bool = False) -> str:
    """Write a plan whole or not at all; the path of its file.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    path = os.path.join(folder_of(paths), f"{identity}{'.refused' if refused else ''}.md")
    try:
        os.makedirs(folder_of(paths), mode=0o700, exist_ok=True)
        with open(f"{path}.part", "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from error
    return path


def load(tracker: Tracker, path: str) -> Plan:
    """A plan from a file, checked as if it came from a planner just now.

    Raises:
        NotFound: there is no such file.
        UsageError: it is no plan, or what it names is not there; `details` says all that was found.
    """
    if not os.path.lexists(path):
        raise NotFound(f"there is no plan {path}", hint="`tapeout plan GOAL` makes one and says its file")
    content = read_file(os.path.realpath(path), MOST_BYTES)
    if content is None:
        raise UsageError(f"{path} is no plan: it should be a file of at most {MOST_BYTES:,} bytes")
    drafts = checked(tracker, content, os.path.basename(path))
    return Plan(path, tuple(drafts))


def checked(tracker: Tracker, content: bytes, source: str) -> list[Draft]:
    """The issues of a plan as they could be filed now.

    Raises:
        UsageError: `details` says all that was found.
    """
    drafts = read_proposal(content, source)
    known = tracker.open_titles([draft.title for draft in drafts])
    problems = [f"{title!r} is open already, as {issue}" for title, issue in known.items()][:MOST_PROBLEMS]
    if not problems:
        try:
            with tracker.rehearsing():
                tracker.create_many(drafts)
        except (UsageError, NotFound, Conflict) as error:
            problems = [error.message]
    if problems:
        raise UsageError(f"{source} cannot be filed: {problems[0]}", details=problems)
    return drafts


def file_issues(paths: StatePaths, tracker: Tracker, path: str) -> list[Issue]:
    """File the issues of a plan: all of them or none. Filing it again is refused while they are open.

    Raises:
        NotFound: there is no such file.
        UsageError: it is no plan, or cannot be filed any more.
        Busy: another plan is being filed.
    """
    os.makedirs(folder_of(paths), mode=0o700, exist_ok=True)
    lock = os.path.join(folder_of(paths), "filing.lock")
    with locks.patiently(lock, FILING_SECONDS, "another plan is being filed"):
        return tracker.create_many(load(tracker, path).drafts)
