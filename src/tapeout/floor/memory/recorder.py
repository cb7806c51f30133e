"""Remembers the rounds of an attempt: reads the change from the hub and the reports from the gate, writes the note.

What may go wrong: the hub or a report cannot be read (the round is remembered with what there is); the note cannot be
written (a lost lease is noticed by whoever writes next; on a full disk the round is in the next note that can be).
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pygit2

from tapeout.base.errors import TapeoutError
from tapeout.base.git import open_bare
from tapeout.base.paths import StatePaths
from tapeout.floor.memory.model import Patch, Round, as_note
from tapeout.floor.memory.patches import MOST_BYTES, FileChange, patch_of
from tapeout.floor.memory.recall import recall
from tapeout.floor.memory.signatures import Finding, failures_of
from tapeout.gate.reportfile import load_reports
from tapeout.gate.reports.model import Report
from tapeout.tracker import Tracker
from tapeout.tracker.model import FAILURES, Attempt, Change, Lease
from tapeout.workspaces import Pulled

MOST_FILES_READ = 500
"""Files of a change whose lines are looked at."""

NOTHING_CHANGED = "the turn ended without a change"


class Recorder:
    """Remembers one attempt."""

    def __init__(self, paths: StatePaths, tracker: Tracker, lease: Lease, attempt: Attempt) -> None:
        self._paths = paths
        self._tracker = tracker
        self._lease = lease
        self._attempt = attempt
        self.earlier = recall(tracker, lease.issue, before=attempt.number)
        """Rounds of the issue's attempts before this one, oldest first."""
        self._rounds: list[Round] = []

    def read(
        self, number: int, pulled: Pulled, change: Change | None, tokens: int | None, seconds: float
    ) -> Round | None:
        """What is to be remembered of a turn that was judged, or that left nothing to judge; None if it conflicted or
        nobody judged it. Does not touch the tracker, so that another thread may call it.

        Args:
            number: which prompt of the session it was, from 1.
            pulled: what the workspace held at its end.
            change: what was submitted, with its verdict; None when there was nothing to submit.
            tokens: in the agent's context at its end.
            seconds: that it took.
        """
        if not _was_judged(pulled, change):
            return None
        verdict = (change.verdict if change is not None else None) or {}
        passed = change is not None and change.state == "landed"
        findings = [] if passed else _findings(verdict)
        if change is None:
            findings = [("change", NOTHING_CHANGED, "")]
        failures = failures_of(findings, self._reports(str(verdict.get("run", ""))))
        found = Round(
            attempt=self._attempt.number,
            agent=self._attempt.agent,
            number=number,
            commit=pulled.commit,
            tree=pulled.tree,
            patch=read_patch(self._paths.hub, pulled.base, pulled.commit) if pulled.changed else None,
            passed=passed,
            reason="" if passed else str(verdict.get("reason") or NOTHING_CHANGED)[:300],
            signatures=failures.signatures,
            failing=failures.failing,
            tokens=tokens,
            seconds=round(seconds, 3),
        )
        self._rounds.append(found)
        return found

    def note(self) -> None:
        """Write down what was read, if it is of use to anybody: what landed at once teaches nothing about failures."""
        if self.earlier or any(not one.passed for one in self._rounds):
            with contextlib.suppress(TapeoutError):
                self._tracker.note_attempt(self._attempt.id, FAILURES, as_note(self._rounds), lease=self._lease)

    def _reports(self, run: str) -> dict[str, Report]:
        saved = load_reports(self._paths.evidence, run) if run else None
        return {check.name: check.report for check in saved.checks} if saved is not None else {}


def read_patch(hub: str, base: str, commit: str) -> Patch | None:
    """What a commit changes against its base; None if it changes nothing, or cannot be read."""
    try:
        repository = open_bare(hub)
        old, new = repository[base].peel(pygit2.Tree), repository[commit].peel(pygit2.Tree)
        return patch_of(_file_changes(repository, old.diff_to_tree(new, context_lines=0)))
    except (TapeoutError, pygit2.GitError, KeyError, ValueError):
        return None


def _file_changes(repository: pygit2.Repository, diff: pygit2.Diff) -> Iterator[FileChange]:
    for number, delta in enumerate(diff.deltas):
        path = delta.new_file.path or delta.old_file.path
        sizes = (_size(repository, file) for file in (delta.old_file, delta.new_file))
        is_read = number < MOST_FILES_READ and max(sizes) <= MOST_BYTES
        yield FileChange(path, *((_lines(diff[number]) if is_read else None) or _as_blobs(delta)))


def _lines(patch: pygit2.Patch | None) -> tuple[list[str], list[str]] | None:
    """The lines that went and came; None of a file that is no text, or of which only the mode changed."""
    if patch is None or patch.delta.is_binary or not patch.hunks:
        return None
    lines = [line for hunk in patch.hunks for line in hunk.lines]
    return [line.content for line in lines if line.origin == "-"], [
        line.content for line in lines if line.origin == "+"
    ]


def _size(repository: pygit2.Repository, file: pygit2.DiffFile) -> int:
    """Bytes of a file, without reading it; 0 for a side that does not exist, or that is no file (a submodule)."""
    return repository.odb.read_header(file.id)[1] if file.id in repository.odb else 0


def _as_blobs(delta: pygit2.DiffDelta) -> tuple[list[str], list[str]]:
    """A file that is not read: what it was and what it is, as one line each."""
    old, new = (f"{file.mode:o} {file.id}" for file in (delta.old_file, delta.new_file))
    return [old], [new]


def _was_judged(pulled: Pulled, change: Change | None) -> bool:
    return change.state in ("landed", "failed") if change is not None else not pulled.changed


def _findings(verdict: Mapping[str, Any]) -> Sequence[Finding]:
    return [(str(one["check"]), str(one["reason"]), str(one.get("excerpt", ""))) for one in verdict.get("findings", ())]
