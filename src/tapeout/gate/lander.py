"""The merge queue: one change after the other is merged, gated and landed, by one process at a time.

What may go wrong, and how it is met:
- The process is killed anywhere: every step is durable before the next, and `reconcile` goes on from what git says.
- Two are started: the second finds the lock taken and leaves. The first looks once more after it let go of the lock,
  so a change that came in between is not left lying.
- Main moves while a candidate is gated: the compare-and-swap fails and the change is merged and gated again.
- The change is withdrawn meanwhile: the tracker refuses the next step, and nothing lands.
- The machine is at fault: the change goes back, the queue stops with the reason, nobody is blamed.
"""

import contextlib
from dataclasses import dataclass

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotAllowed, NotFound, UsageError
from tapeout.base.faults import point
from tapeout.base.git import move_ref, open_bare, resolve
from tapeout.base.packing import pack_if_scattered
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.processes import become_subreaper
from tapeout.config import Config
from tapeout.gate.candidate import Candidate, MergeConflict, candidate_message, make_candidate
from tapeout.gate.checks import Subject
from tapeout.gate.environment import unavailable
from tapeout.gate.evidence import Origin, Record, attach, record_of, write_record
from tapeout.gate.hub import adopt, hub_branch
from tapeout.gate.integrity import Part, judge_change
from tapeout.gate.landing import land
from tapeout.gate.publish import publish
from tapeout.gate.quarantine import file_flaky
from tapeout.gate.reconcile import reconcile
from tapeout.gate.runs import try_lock
from tapeout.gate.target import config_digest, load_config
from tapeout.gate.verdict import Finding, Verdict, summary
from tapeout.tracker import Tracker
from tapeout.tracker.model import OPEN_CHANGE_STATES, Change

ACTOR = "gate"

CANDIDATES = "refs/tapeout/candidates/"


def run_queue(paths: StatePaths, repository: Repository) -> None:
    """Gate and land queued changes until there are none; returns at once if another process does so or the queue is
    stopped.

    Raises:
        EnvironmentProblem: the hub or the tracker cannot be used at all.
    """
    become_subreaper()
    with Tracker.open(paths, ACTOR) as tracker:
        while tracker.queue_stopped() is None:
            with try_lock(paths.queue_lock) as free:
                if not free:
                    return
                _Lander(paths, repository, tracker).run()
                with contextlib.suppress(EnvironmentProblem):  # a repository that is not packed is only slower
                    pack_if_scattered(paths.hub)
            if not tracker.changes(("queued",)):
                return


@dataclass(frozen=True)
class _Target:
    """The target branch as it is now."""

    branch: str
    main: str
    config: Config


class _Lander:
    def __init__(self, paths: StatePaths, repository: Repository, tracker: Tracker) -> None:
        self._paths = paths
        self._repository = repository
        self._tracker = tracker
        self._told_diverged: str | None = None

    def run(self) -> None:
        """Until the queue is empty or stopped."""
        try:
            target = self._target()
            reconcile(self._paths, self._tracker, self._hub, target.main)
            publish(self._paths, self._repository, target.config, self._tracker, quiet=True)
            while queued := self._tracker.changes(("queued",)):
                self._process(queued[0], self._target())
        except (EnvironmentProblem, UsageError, OSError, pygit2.GitError) as error:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        """The machine or the configuration is at fault: whatever was under way waits."""
        translated = unavailable("work on the queue", error) or error
        for change in self._tracker.changes(("gating", "passed")):
            self._tracker.requeue(change.id)
        message = getattr(translated, "message", str(translated))
        hint = getattr(translated, "hint", None)
        self._tracker.stop_queue(f"{message} ({hint})" if hint else message)

    def _target(self) -> _Target:
        """The target branch, after adopting what people committed to it."""
        self._hub = open_bare(self._paths.hub)
        branch = hub_branch(self._hub)
        found = adopt(self._paths, self._repository, branch)
        if found.adopted:
            self._tracker.record("adopted", {"commit": found.adopted, "branch": branch})
        if found.diverged and found.diverged != self._told_diverged:
            self._tracker.record("diverged", {"reason": found.diverged, "branch": branch})
        self._told_diverged = found.diverged
        return _Target(branch, found.main, load_config(self._hub, found.main))

    def _process(self, change: Change, target: _Target) -> None:
        try:
            self._gate_and_land(change, target)
        except NotAllowed as error:
            # Withdrawn or closed meanwhile: then it is out of the queue, and nothing is wrong.
            if self._tracker.change(change.id).state in OPEN_CHANGE_STATES:
                raise EnvironmentProblem(error.message) from error

    def _gate_and_land(self, change: Change, target: _Target) -> None:
        message = candidate_message(self._tracker.issue(change.issue), change)
        try:
            made = make_candidate(self._hub, target.main, change.commit, message)
        except NotFound as error:
            self._refuse(change, target, error.message)
            return
        if isinstance(made, MergeConflict):
            self._tracker.record_conflict(change.id, made.paths)
        elif isinstance(made, Candidate):
            self._keep(change, made.commit)
            point("landing.candidate")
            self._tracker.set_gating(change.id, made.commit)
            point("landing.gating")
            record = self._judge(change, target, made.commit)
            if record is not None:
                self._land(change, target, made.commit, record)
        else:
            self._refuse(change, target, made.reason)

    def _keep(self, change: Change, candidate: str) -> None:
        """A ref for the candidate, so that whoever asks later finds what was gated."""
        ref = CANDIDATES + change.id
        while not move_ref(self._hub, ref, candidate, resolve(self._hub, ref)):
            pass

    def _judge(self, change: Change, target: _Target, candidate: str) -> Record | None:
        """Run the gate on the candidate and tell the tracker; the record to attach if it passed."""
        subject = Subject(self._paths.hub, candidate, target.main, target.branch, change.issue)
        verdict = judge_change(self._paths, subject, target.config, [self._part(change, target, candidate)])
        point("landing.checked")
        file_flaky(self._tracker, verdict)
        record = self._store(change, target, verdict)
        self._tracker.record_verdict(change.id, candidate, summary(verdict))
        point("landing.verdict")
        return record if verdict.passed else None

    def _part(self, change: Change, target: _Target, candidate: str) -> Part:
        bases = [attempt.base for attempt in self._tracker.attempts(change.issue) if attempt.base]
        return Part(
            base=target.main,
            commit=candidate,
            head=change.commit,
            target=target.main,
            begun=(*bases, change.base),
            granted=self._tracker.permissions(change.issue),
            is_bug=self._tracker.issue(change.issue).type == "bug",
        )

    def _store(self, change: Change, target: _Target, verdict: Verdict) -> Record:
        origin = Origin(change.id, change.issue, change.attempt)
        record = record_of(verdict, target.config, config_digest(self._hub, target.main), origin)
        write_record(self._paths, record)
        return record

    def _refuse(self, change: Change, target: _Target, reason: str) -> None:
        """A failed verdict about a change of which no candidate can be made."""
        findings = (Finding("change", reason),)
        verdict = Verdict("", "", target.main, "", passed=False, results=(), findings=findings, seconds=0.0)
        self._tracker.set_gating(change.id, "")
        self._tracker.record_verdict(change.id, "", summary(verdict))

    def _land(self, change: Change, target: _Target, candidate: str, record: Record) -> None:
        attach(self._hub, candidate, record)
        point("landing.noted")
        if self._tracker.change(change.id).state != "passed":
            return
        if not land(self._hub, target.branch, candidate):
            self._tracker.requeue(change.id)
            return
        point("landing.moved")
        self._tracker.record_landed(change.id, candidate)
        point("landing.recorded")
        publish(self._paths, self._repository, target.config, self._tracker)
        point("landing.published")
