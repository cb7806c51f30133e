"""Verifying evidence: everything that it says and that can be computed again is.

`problems_of` compares a record with what git says, without I/O; `verify` collects what git says.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pygit2

from tapeout.base.errors import NotFound, UsageError
from tapeout.base.git import first_parent, is_ancestor
from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig
from tapeout.gate.evidence.audit import landing_base
from tapeout.gate.evidence.notes import Note, read_note
from tapeout.gate.evidence.record import Record, recorded_command
from tapeout.gate.evidence.seal import SealedBy
from tapeout.gate.evidence.trust import Trust
from tapeout.gate.target import config_digest, load_config

Kind = Literal["landed", "adopted", "before", "covered", "unvalidated"]
"""`landed`: there is evidence, whatever it is worth. Without evidence: `adopted` from people; on main `before` this hub
was made; `covered` by the evidence of a commit that it landed with; or `unvalidated`."""

_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_CHECK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Facts:
    """What git says of a commit."""

    commit: str
    tree: str
    parents: tuple[str, ...]
    merged_tree: str | None
    """Tree of the merge of its two parents; None if they conflict or are not two."""
    on_base: bool
    """Whether one gets from the commit to the base of its evidence by first parents."""
    config_digest: str | None
    """Of `tapeout.toml` in that base."""
    checks: tuple[CheckConfig, ...]
    """Of that file."""


@dataclass(frozen=True)
class Verification:
    """What is to be said of one commit."""

    commit: str
    kind: Kind
    sealed_by: SealedBy
    """Who signed its evidence."""
    problems: tuple[str, ...]
    """What is wrong, one line each."""
    remarks: tuple[str, ...] = ()
    """What could not be looked at, such as a log that is not kept any more."""

    @property
    def is_good(self) -> bool:
        """Whether it has good evidence, or needs none."""
        return not self.problems


def problems_of(record: Mapping[str, Any], facts: Facts) -> list[str]:
    """Where a record differs from what it should say."""
    found = []
    if record.get("candidate") != facts.commit:
        found.append(f"its evidence is about commit {_short(record.get('candidate'))}")
    if record.get("tree") != facts.tree:
        found.append(f"its evidence is about tree {_short(record.get('tree'))}, not {facts.tree[:12]}")
    if record.get("passed") is not True:
        found.append("its verdict is not a pass")
    if len(facts.parents) != 2:
        found.append("it is not a merge of a base and a change")
    elif facts.merged_tree != facts.tree:
        found.append("its tree is not the merge of its parents")
    if not facts.on_base:
        found.append(f"its base {_short(record.get('base'))} is not below it by first parents")
    if facts.config_digest is None:
        found.append(f"its base {_short(record.get('base'))} has no valid tapeout.toml")
    elif record.get("config_digest") != facts.config_digest:
        found.append("it was judged by another tapeout.toml than that of its base")
    return found + _check_problems(record, facts.checks)


def _check_problems(record: Mapping[str, Any], checks: Sequence[CheckConfig]) -> list[str]:
    given = record.get("checks")
    told = {str(one.get("name")): one for one in given if isinstance(one, dict)} if isinstance(given, list) else {}
    found = []
    for check in checks:
        one = told.get(check.name)
        if not check.blocking:  # it only advises
            continue
        if one is None:
            found.append(f"check {check.name} is not in its evidence")
        elif one.get("passed") is not True:
            found.append(f"check {check.name} did not pass")
        elif one.get("command") != recorded_command(check):
            found.append(f"check {check.name} ran another command than that of tapeout.toml")
    return found


def verify(hub: pygit2.Repository, paths: StatePaths, commit: str) -> Verification:
    """Verify one commit of the hub.

    Raises:
        EnvironmentProblem: the key of the hub is damaged.
    """
    note = read_note(hub, commit)
    if note is None:
        return _without_evidence(hub, commit)
    tip = note.record.get("candidate")
    if note.sealed_by == "this hub" and tip != commit and commit in _landed_with(hub, tip):
        whole = verify(hub, paths, str(tip))
        told = tuple(f"{str(tip)[:12]}, with which it landed: {problem}" for problem in whole.problems)
        return Verification(commit, "covered", note.sealed_by, told)
    facts, problems, remarks = _facts(hub, commit, note.record), [], []
    if note.envelope is None:
        problems.append("its evidence is of the first version, which was not signed")
    elif note.sealed_by != "this hub":
        problems.append("its evidence is not signed by this hub")
    problems += problems_of(note.record, facts)
    for problem, remark in _log_states(paths, note.record):
        problems += [problem] if problem else []
        remarks += [remark] if remark else []
    if _is_of_before(hub, commit, note):
        remarks, problems = [*remarks, *problems], []
    return Verification(commit, "landed", note.sealed_by, tuple(problems), tuple(remarks))


def _is_of_before(hub: pygit2.Repository, commit: str, note: Note) -> bool:
    """Whether it landed before this hub began to sign: people were asked then whether all was right."""
    return note.envelope is None and _adopted_kind(hub, commit) is not None


def _without_evidence(hub: pygit2.Repository, commit: str) -> Verification:
    kind = _adopted_kind(hub, commit)
    if kind is not None:
        return Verification(commit, kind, "nobody", ())
    return Verification(commit, "unvalidated", "nobody", ("it has no evidence: it did not land through the gate",))


def _adopted_kind(hub: pygit2.Repository, commit: str) -> Literal["adopted", "before"] | None:
    for one in Trust.of(hub).adopted() or ():
        if is_ancestor(hub, commit, one.commit) and not (one.previous and is_ancestor(hub, commit, one.previous)):
            return "before" if one.why == "start" and commit != one.commit else "adopted"
    return None


def _facts(hub: pygit2.Repository, commit: str, record: Record) -> Facts:
    found = hub[commit].peel(pygit2.Commit)
    parents = tuple(str(parent) for parent in found.parent_ids)
    base = str(record.get("base"))
    below = any(one == base for one in first_parents(hub, commit) if one != commit)
    digest, checks = _judge_of(hub, base) if below else (None, ())
    return Facts(commit, str(found.tree_id), parents, _merged(hub, parents), below, digest, checks)


def _judge_of(hub: pygit2.Repository, base: str) -> tuple[str | None, tuple[CheckConfig, ...]]:
    try:
        return config_digest(hub, base), load_config(hub, base).check
    except UsageError:
        return None, ()


def _merged(hub: pygit2.Repository, parents: Sequence[str]) -> str | None:
    if len(parents) != 2:
        return None
    try:
        ours, theirs = (hub[parent].peel(pygit2.Commit) for parent in parents)
        index = hub.merge_commits(ours, theirs)
        return None if index.conflicts else str(index.write_tree(hub))
    except pygit2.GitError:
        return None


def _log_states(paths: StatePaths, record: Record) -> Iterator[tuple[str, str]]:
    """For each check a problem with its log, or a remark, or neither."""
    checks = record.get("checks")
    for check in checks if isinstance(checks, list) else ():
        if not isinstance(check, dict) or check.get("skipped") or not _CHECK.fullmatch(str(check.get("name"))):
            continue
        digest = _log_digest(paths, str(check.get("cached") or record.get("run")), check["name"])
        if digest is None:
            yield "", f"the log of check {check['name']} is not kept any more"
        elif digest != check.get("log_digest"):
            yield f"the log of check {check['name']} is not the one of its evidence", ""


def _log_digest(paths: StatePaths, run: str, check: str) -> str | None:
    """SHA-256 of a log that is kept."""
    try:
        return _file_digest(os.path.join(paths.evidence, run, f"{check}.log")) if _RUN.fullmatch(run) else None
    except OSError:
        return None


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_parents(hub: pygit2.Repository, commit: str) -> Iterator[str]:
    """A commit and those below it by first parents."""
    current: str | None = commit
    while current is not None:
        yield current
        current = first_parent(hub, current)


def landings(hub: pygit2.Repository, main: str) -> Iterator[str]:
    """What main was at, newest first, back to the start of this hub. Of commits that people put on their branch only
    the last one is among them: what is below it is theirs, and the hub goes on where it was before."""
    adopted = {one.commit: one for one in Trust.of(hub).adopted() or ()}
    commit: str | None = main
    while commit is not None:
        yield commit
        one = adopted.get(commit)
        if one is not None and (one.previous or one.why == "start"):
            commit = one.previous or None
        else:
            commit = first_parent(hub, commit)


def commits_between(hub: pygit2.Repository, old: str, new: str) -> list[str]:
    """The commits of a branch at `new` down to, without, `old`; newest first.

    Raises:
        NotFound: `old` is not below `new` by first parents.
    """
    found: list[str] = []
    for commit in first_parents(hub, new):
        if commit == old:
            return found
        found.append(commit)
    raise NotFound(f"{old[:12]} is not below {new[:12]} by first parents")


def verify_many(hub: pygit2.Repository, paths: StatePaths, commits: Iterable[str]) -> Iterator[Verification]:
    """Verify commits of a branch, newest first: one that has no evidence of its own may have landed with one above."""
    covered: set[str] = set()
    for commit in commits:
        one = verify(hub, paths, commit)
        if one.kind == "landed" and one.is_good:
            covered |= _landed_with(hub, commit)
        elif one.kind == "unvalidated" and commit in covered:
            one = Verification(commit, "covered", "this hub", ())
        yield one


def _landed_with(hub: pygit2.Repository, tip: object) -> set[str]:
    """The commits between one that this hub landed and its base: main moved past them in one step."""
    base = landing_base(hub, tip) if isinstance(tip, str) and tip in hub else None
    if base is None:
        return set()
    assert isinstance(tip, str)
    return set(itertools.takewhile(lambda one: one != base, first_parents(hub, tip))) - {tip}


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if text.isalnum() else "unknown"


__all__ = ["Facts", "Verification", "commits_between", "landings", "problems_of", "verify", "verify_many"]
