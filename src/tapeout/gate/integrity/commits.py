"""The commits of a change: made by whom, on top of what, saying what. Pure, but for `read_commits`."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pygit2
from pygit2.enums import SortMode

from tapeout.base.git import IDENTITY_EMAIL, IDENTITY_NAME, is_ancestor, message_of
from tapeout.gate.integrity.alarm import Alarm, shown

CHECK = "commits"
MOST_COMMITS = 1_000
"""Commits of one change that are looked at."""

_TRAILER = re.compile(r"^\s*(?P<key>Tapeout-[A-Za-z]+\s*:)(?P<value>[^\n]*)", re.MULTILINE | re.IGNORECASE)
_NAME_CHARACTERS = 60


class Commit(NamedTuple):
    """A commit that the change adds to the target branch."""

    id: str
    message: str
    names: tuple[str, ...]
    """`name <email>` of author and committer."""


class Commits(NamedTuple):
    """The history of a change."""

    added: tuple[Commit, ...]
    starts_at: str | None
    """The commit of the target branch on which the work was begun, if the change's history lacks it."""
    issue: str = ""
    """Whose change it is: a push may say so in a trailer."""


def commit_alarms(commits: Commits) -> list[Alarm]:
    """What is wrong with the history of a change."""
    alarms: list[Alarm] = []
    if commits.starts_at:
        reason = f"the change rewrites history: it lacks {commits.starts_at[:10]}, on which it was begun"
        alarms.append(Alarm(CHECK, "commits", "", 0, reason))
    for commit in commits.added:
        alarms += [
            Alarm(CHECK, "commits", "", 0, f"commit {commit.id[:10]} {what}") for what in _wrong(commit, commits.issue)
        ]
    return alarms


def _wrong(commit: Commit, issue: str) -> Iterator[str]:
    for trailer in _TRAILER.finditer(commit.message):
        if not _names_own_issue(trailer, issue):
            yield f"carries the line {shown(trailer['key'])!r}, which only the gate writes"
            break
    for name in dict.fromkeys(commit.names):
        if _is_ours(name):
            yield f"says that it is by {shown(name)[:_NAME_CHARACTERS]!r}, which is the gate's own name"


def _names_own_issue(trailer: re.Match[str], issue: str) -> bool:
    value = trailer["value"].strip()
    return trailer["key"].lower() == "tapeout-issue:" and bool(value) and issue.startswith(value)


_OURS = f"{IDENTITY_NAME} <{IDENTITY_EMAIL}>".casefold()


def _is_ours(name: str) -> bool:
    return name.casefold() == _OURS


def read_commits(repository: pygit2.Repository, target: str, head: str, begun: Sequence[str]) -> Commits:
    """The commits that `head` has and the commit `target` of the target branch has not.

    Args:
        begun: the commits on which the work may have been begun; none if nobody knows.
    """
    walk = repository.walk(head, SortMode.NONE)
    walk.hide(target)
    added: list[Commit] = []
    for found in walk:
        names = tuple(map(_named, (found.author, found.committer)))
        added.append(Commit(str(found.id), message_of(found), names))
        if len(added) == MOST_COMMITS:
            break
    return Commits(tuple(added), _lacking(repository, target, head, begun))


def _named(who: pygit2.Signature) -> str:
    """Who it is, whatever encoding the commit names."""
    name, email = (raw.decode("utf-8", "replace") for raw in (who.raw_name, who.raw_email))
    return f"{name} <{email}>"


def _lacking(repository: pygit2.Repository, target: str, head: str, begun: Sequence[str]) -> str | None:
    """The commit of the target branch on which the work was begun, if `head` contains none of those that it may be.

    Work that was saved from an earlier attempt may be rewritten: it is the change's own.
    """
    known = [one for one in begun if one in repository]
    common = [str(one) for one in (repository.merge_base(commit, target) for commit in known) if one is not None]
    if not common or any(is_ancestor(repository, one, head) for one in common):
        return None
    return common[-1]
