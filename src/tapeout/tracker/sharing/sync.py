"""Exchanging logs with other clones through any git remote.

Fetch the logs of all replicas, judge each (`audit`), merge what is sound into the index, push what the remote lacks.
Every ref has one writer, so nothing has to be resolved by hand: two clones that have exchanged have the same state.
Killed at any step it has lost nothing, and running it again goes on.

What may go wrong: the remote cannot be reached (nothing changes); a log is damaged, cut off or rewritten (it is put
aside and told of; the others are merged); the index was restored from a backup (it goes on as another replica).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, NamedTuple

from tapeout.base import faults, git, locks
from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.usergit import complaint, user_git
from tapeout.tracker import gitlog, log, waiting
from tapeout.tracker.knowledge import KIND as HEARD
from tapeout.tracker.knowledge import Knowledge
from tapeout.tracker.merge import Merged
from tapeout.tracker.model import Dependency
from tapeout.tracker.operations import Operation
from tapeout.tracker.sharing.audit import Audit, audit
from tapeout.tracker.sharing.remote import Push, Remote
from tapeout.tracker.store import Store

if TYPE_CHECKING:
    import pygit2

INCOMING_REFS = "refs/tapeout/incoming/"
"""What was fetched and is not judged yet."""


class Quarantined(NamedTuple):
    """A log that was not merged, or only up to where it is sound."""

    replica: str
    reason: str


class FieldConflict(NamedTuple):
    """Two clones set one field of an issue without knowing of each other."""

    issue: str
    field: str
    kept: str
    """Who set the value that counts now."""
    lost: str
    """Whose value is in the history only."""


class SyncReport(NamedTuple):
    """What a sync did."""

    remote: str
    received: int
    """Operations that were new here."""
    sent: int
    """Logs that the remote has now and lacked before."""
    conflicts: tuple[FieldConflict, ...]
    lost_claims: tuple[str, ...]
    """Issues that somebody here had claimed and an earlier claim of another clone holds."""
    circles: tuple[Dependency, ...]
    """Dependencies that are ignored, because the issues would wait for each other."""
    parent_circles: tuple[tuple[str, ...], ...]
    quarantined: tuple[Quarantined, ...]
    refused: tuple[Quarantined, ...]
    """Logs that the remote did not take."""


SYNC_SECONDS = 60.0
"""How long a sync waits for another one of the same clone."""


def sync(store: Store, remote: Remote, *, repair: bool = False) -> SyncReport:
    """Exchange logs with a remote.

    Args:
        repair: replace logs on the remote that are damaged or were rewritten by what is known of them here.

    Raises:
        Unreachable: the remote cannot be reached; what was fetched before is kept.
        EnvironmentProblem: git or the index cannot be written.
        Busy: another sync of this clone does not end.
    """
    with locks.patiently(os.path.join(store.paths.root, "sync.lock"), SYNC_SECONDS, "another sync is running"):
        store.check()
        repository = git.ensure_bare(store.paths.tracker_git)
        there = _logs(remote.refs(f"{gitlog.LOG_REFS}*", f"{gitlog.OTHERS_REFS}*"))
        unread = _fetch(repository, remote, there)
        faults.point("sync.fetched")
        known = _known(repository)
        audits = {
            replica: audit(repository, replica, tip, known.get(replica))
            for replica, tip in there.items()
            if replica not in unread and known.get(replica) != tip
        }
        merged = _merge(store, audits)
        faults.point("sync.merged")
        _adopt(store, repository, audits, there)
        if not _holds(store, audits):  # made again from git meanwhile, when git did not have them yet
            _merge(store, audits)
        faults.point("sync.adopted")
        quarantined = [Quarantined(replica, reason) for replica, reason in unread.items()]
        quarantined += [Quarantined(r, a.problem) for r, a in audits.items() if a.problem is not None]
        bad = {one.replica: there[one.replica] for one in quarantined}
        sent, refused = (0, {}) if remote.is_bundle else _push(repository, remote, there, bad if repair else {})
        faults.point("sync.pushed")
    with store._reading() as connection:
        return SyncReport(
            remote=remote.name,
            received=sum(operation.kind != HEARD for operation in merged.new),
            sent=sent,
            conflicts=tuple(_conflicts(connection, merged.new)),
            lost_claims=tuple(merged.lost_claims),
            circles=tuple(dependency for dependency, _ in waiting.circles(connection)),
            parent_circles=tuple(tuple(circle) for circle in waiting.parent_circles(connection)),
            quarantined=tuple(quarantined),
            refused=tuple(Quarantined(replica, reason) for replica, reason in refused.items()),
        )


def write_bundle(store: Store, path: str) -> int:
    """Write all logs into a file that another clone can sync from; how many logs it holds.

    Raises:
        UsageError: there is nothing to write yet.
        EnvironmentProblem: the file cannot be written.
    """
    store.check()
    names = [ref for _, ref in _local_logs(git.ensure_bare(store.paths.tracker_git)).values()]
    if not names:
        raise UsageError("there is nothing to write yet", hint="file an issue first")
    target = os.path.abspath(path)
    done = user_git(store.paths.tracker_git, "bundle", "create", "--quiet", target, *names, timeout=600, trusted=True)
    if done.exit_code != 0:
        raise EnvironmentProblem(f"cannot write {path}: {complaint(done)}")
    return len(names)


def _merge(store: Store, audits: dict[str, Audit]) -> Merged:
    operations = [operation for one in audits.values() for operation in one.operations]
    return store.merge(operations) if operations else Merged([], [])


def _holds(store: Store, audits: dict[str, Audit]) -> bool:
    """Whether the index has what was merged."""
    newest = [one.operations[-1].id for one in audits.values() if one.operations]
    return not newest or store.knows(newest)


def _adopt(store: Store, repository: pygit2.Repository, audits: dict[str, Audit], there: dict[str, str]) -> None:
    """Remember how far the logs were merged, and keep bad ones for people to look at."""
    own = store.own_replicas()
    for replica, one in audits.items():
        if one.tip is not None:
            prefix = gitlog.LOG_REFS if replica in own else gitlog.OTHERS_REFS
            repository.references.create(prefix + replica, one.tip, force=True)
        if one.problem is not None and there[replica] in repository:
            repository.references.create(gitlog.QUARANTINE_REFS + replica, there[replica], force=True)
    bad = {gitlog.QUARANTINE_REFS + replica for replica, one in audits.items() if one.problem is not None}
    passing = (INCOMING_REFS, gitlog.QUARANTINE_REFS)
    for name in [name for name in repository.references if name.startswith(passing) and name not in bad]:
        repository.references.delete(name)


def _logs(refs: dict[str, str]) -> dict[str, str]:
    """Replica to the tip of its log."""
    found = {}
    for name, tip in refs.items():
        for prefix in (gitlog.OTHERS_REFS, gitlog.LOG_REFS):
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = tip
    return found


def _local_logs(repository: pygit2.Repository) -> dict[str, tuple[str, str]]:
    """Replica to the tip of its log here and the ref that holds it."""
    found = {}
    for name in repository.references:
        for prefix in (gitlog.OTHERS_REFS, gitlog.LOG_REFS):
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = str(repository.references[name].target), name
    return found


def _known(repository: pygit2.Repository) -> dict[str, str]:
    return {replica: tip for replica, (tip, _) in _local_logs(repository).items()}


def _fetch(repository: pygit2.Repository, remote: Remote, there: dict[str, str]) -> dict[str, str]:
    """Bring all logs here; replica to the reason for those that cannot be read. One of them must not keep the others
    from being fetched."""
    missing = [replica for replica, tip in there.items() if tip not in repository]
    if not missing or remote.fetch([f"+{p}*:{INCOMING_REFS}*" for p in (gitlog.LOG_REFS, gitlog.OTHERS_REFS)]) is None:
        return {}
    unread = {}
    names = remote.refs(f"{gitlog.LOG_REFS}*", f"{gitlog.OTHERS_REFS}*")
    for name in names:
        replica = name.removeprefix(gitlog.LOG_REFS).removeprefix(gitlog.OTHERS_REFS)
        problem = remote.fetch([f"+{name}:{INCOMING_REFS}{replica}"]) if replica in missing else None
        if problem is not None:
            unread[replica] = f"it cannot be fetched: {problem}"
    return unread


def _push(
    repository: pygit2.Repository, remote: Remote, there: dict[str, str], replaced: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """Bring to the remote what it lacks.

    Args:
        replaced: logs there that are no good, with their tips: they are overwritten.

    Returns:
        How many logs it took, and replica to the reason for those that it did not.
    """
    pushes = []
    for replica, (tip, _) in _local_logs(repository).items():
        if there.get(replica) == tip:
            continue
        if replica in replaced:
            pushes.append(Push(gitlog.LOG_REFS + replica, tip, expected=replaced[replica]))
        elif replica not in there or _contains(repository, tip, there[replica]):
            pushes.append(Push(gitlog.LOG_REFS + replica, tip))
    refused = remote.push(pushes)
    reasons = {ref.removeprefix(gitlog.LOG_REFS): reason for ref, reason in refused.items()}
    return len(pushes) - len(reasons), reasons


def _contains(repository: pygit2.Repository, tip: str, older: str) -> bool:
    return git.is_ancestor(repository, older, tip)


def _conflicts(connection: sqlite3.Connection, fresh: Iterable[Operation]) -> list[FieldConflict]:
    """Fields that came set by others, and that somebody else had set without their knowing of each other."""
    came = {operation.id: operation.issue for operation in fresh if operation.kind == "fields-set"}
    if not came:
        return []
    knowledge = Knowledge(connection)
    found: dict[tuple[str, str], FieldConflict] = {}
    for issue in sorted(set(came.values())):
        setters: dict[str, Operation] = {}
        for one in log.operations_of(connection, issue):
            if one.kind == "fields-set":
                found |= _clashes(setters, one, came, knowledge)
                setters |= dict.fromkeys(one.data, one)
    return [found[key] for key in sorted(found)]


def _clashes(
    setters: dict[str, Operation], kept: Operation, came: Container[str], knowledge: Knowledge
) -> dict[tuple[str, str], FieldConflict]:
    """Fields whose last setter an operation overwrites without either knowing of the other, and of which one is new."""
    return {
        (kept.issue, field): FieldConflict(kept.issue, field, _author(kept), _author(lost))
        for field, value in kept.data.items()
        if (lost := setters.get(field)) is not None
        and (kept.id in came or lost.id in came)
        and lost.data[field] != value
        and knowledge.are_concurrent(kept, lost)
    }


def _author(operation: Operation) -> str:
    return f"{operation.actor} ({operation.replica})"
