"""The merge queue: combinations of changes are merged, gated in parallel and landed, by one process at a time.

What to do next is decided by `queue.plan`, a pure function; this is the shell around it.

What may go wrong, and how it is met:
- The process is killed anywhere: every step is durable before the next, and `reconcile` goes on from what git says.
- Two are started: the second finds the lock taken and leaves. The first looks once more after it let go of the lock,
  so a change that came in between is not left lying.
- Main moves while candidates are gated: the compare-and-swap fails, and all candidates are made again.
- A change is withdrawn meanwhile: runs that contain it are called off, the tracker refuses its next step.
- A run's process dies: its combination is judged in smaller ones; a change whose runs die again and again is refused.
- The lander itself died: its successor judges one change at a time until the first is decided, so that it is known who
  is to blame should that happen again.
- The machine is at fault: the changes go back, the queue stops with the reason, nobody is blamed.
- Main itself fails the gate: `redmain` finds that out before a change is blamed for it.
"""

import contextlib
import select
from collections.abc import Iterable, Mapping
from typing import Any

import pygit2

from tapeout.base.errors import EnvironmentProblem, NotAllowed, UsageError
from tapeout.base.faults import point
from tapeout.base.git import move_ref, open_bare, resolve
from tapeout.base.packing import pack_if_scattered
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.processes import become_subreaper
from tapeout.gate.aftermath import Aftermath, record_for
from tapeout.gate.candidate import MergeConflict, candidate_message
from tapeout.gate.confine import try_sandbox
from tapeout.gate.environment import GateUnavailable, unavailable
from tapeout.gate.evidence import Record, attach
from tapeout.gate.examine import LOOKS_AT_HISTORY
from tapeout.gate.hub import adopt, hub_branch
from tapeout.gate.integrity import BASE_TESTS
from tapeout.gate.judging import Assignment, judge_candidate
from tapeout.gate.landing import land
from tapeout.gate.parts import parts_of
from tapeout.gate.publish import publish
from tapeout.gate.quarantine import file_flaky
from tapeout.gate.queue import Clash, Combination, Plan, Situation, Waiting, pass_rate, plan
from tapeout.gate.queuestatus import MEASURED, slots_of
from tapeout.gate.queueview import write_view
from tapeout.gate.reconcile import reconcile, settle
from tapeout.gate.redmain import RedMain, Refusal
from tapeout.gate.runs import sweep, try_lock
from tapeout.gate.stacking import Link, Stack, Unfit, judges_later_ones
from tapeout.gate.target import Target, load_config
from tapeout.gate.trialbook import Book, Trial
from tapeout.gate.trials import Runs
from tapeout.gate.verdict import Finding, Verdict, summary
from tapeout.tracker import Tracker
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import OPEN_CHANGE_STATES, Change

ACTOR = "gate"

CANDIDATES = "refs/tapeout/candidates/"

LOOK_SECONDS = 30.0
"""The tracker is looked at at the latest after this time, should a bell ever be lost."""

OF_THE_DIFFERENCE = LOOKS_AT_HISTORY | {"duplication"}
"""Kinds of checks that look at the difference from main, not only at the files."""

MAX_DEATHS = 3
"""So often may the process that judges a change alone die before the change is refused."""


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


class _Lander:
    def __init__(self, paths: StatePaths, repository: Repository, tracker: Tracker) -> None:
        self._paths = paths
        self._repository = repository
        self._tracker = tracker
        self._told_diverged: str | None = None
        self._clashes: set[Clash] = set()
        self._deaths: dict[str, int] = {}
        self._cautious = False
        self._aftermath = Aftermath(paths, repository, tracker)
        self._left_over = False
        self._edits_gate: dict[str, bool] = {}
        self._priorities: dict[str, int] = {}

    def run(self) -> None:
        """Until the queue is empty or stopped."""
        try:
            with Runs(self._paths.runs_lock) as runs, Doorbell(self._paths.bells) as bell:
                self._target = self._look()
                try_sandbox(self._target.config)
                self._cautious = bool(reconcile(self._paths, self._tracker, self._hub, self._target.main))
                publish(self._paths, self._repository, self._target.config, self._tracker, quiet=True)
                self._runs, self._red_main = runs, RedMain(self._paths, self._tracker, runs)
                self._measure()
                self._renew()
                while self._step(bell):
                    pass
        except (EnvironmentProblem, UsageError, OSError, pygit2.GitError) as error:
            self._stop(error)
        finally:
            sweep(self._paths)
            write_view(self._paths, None)

    def _stop(self, error: Exception) -> None:
        """The machine or the configuration is at fault: whatever was under way waits."""
        translated = unavailable("work on the queue", error) or error
        self._requeue(change.id for change in self._tracker.changes(("gating", "passed")))
        message = getattr(translated, "message", str(translated))
        hint = getattr(translated, "hint", None)
        self._tracker.stop_queue(f"{message} ({hint})" if hint else message)

    def _look(self) -> Target:
        """The target branch, after adopting what people committed to it."""
        self._hub = open_bare(self._paths.hub)
        branch = hub_branch(self._hub)
        found = adopt(self._paths, self._repository, branch)
        if found.adopted:
            self._tracker.record("adopted", {"commit": found.adopted, "branch": branch})
        if found.diverged and found.diverged != self._told_diverged:
            self._tracker.record("diverged", {"reason": found.diverged, "branch": branch})
        self._told_diverged = found.diverged
        return Target(branch, found.main, load_config(self._hub, found.main))

    def _renew(self) -> None:
        """Nothing is known about combinations on this main."""
        self._stack = Stack(self._hub, self._target.main)
        self._priorities.clear()
        self._edits_gate.clear()
        self._book = Book()
        self._red_main.forget()
        self._clashes.clear()

    def _step(self, bell: Doorbell) -> bool:
        """Look, decide, and do it; wait if there was nothing to do. False once the queue is empty."""
        bell.clear()
        found = self._look()
        if found.main != self._target.main:
            for trial in self._book.running():
                self._runs.call_off(trial.run)
            self._target = found
            self._renew()
        landed = self._aftermath.changes()
        changes = {change.id: change for change in self._tracker.changes() if change.id not in landed}
        changes = self._red_main.first(self._hub, changes)
        if not changes:
            self._aftermath.finish(self._hub, self._target.config)
            return False
        if self._decide(changes):
            return True
        self._show(changes)
        # What is not urgent is done while gate runs go on.
        if self._aftermath.finish(self._hub, self._target.config):
            self._measure()
        elif self._book.running() or self._red_main.asked():
            self._sweep()
            self._wait(bell)
        return True

    def _situation(self, changes: Mapping[str, Change]) -> Situation:
        config, asked = self._target.config.queue, self._red_main.asked()
        waiting = tuple(
            Waiting(one.id, self._priority(one), one.submitted_at, self._must_be_last(one))
            for one in changes.values()
            if one.id not in asked
        )
        return Situation(
            waiting=waiting,
            slots=(1 if self._cautious else slots_of(config)) - len(asked),
            pass_rate=self._pass_rate,
            aging=config.aging,
            running=self._book.combinations("running"),
            passed=self._book.combinations("passed"),
            failed=self._book.combinations("failed"),
            clashes=tuple(self._clashes),
            most=1 if self._cautious else Situation.most,
        )

    def _priority(self, change: Change) -> int:
        if change.id not in self._priorities:
            self._priorities[change.id] = self._tracker.issue(change.issue).priority
        return self._priorities[change.id]

    def _must_be_last(self, change: Change) -> bool:
        if change.id not in self._edits_gate:
            self._edits_gate[change.id] = judges_later_ones(self._hub, self._target.main, change)
        return self._edits_gate[change.id]

    def _decide(self, changes: Mapping[str, Change]) -> bool:
        """Whether there is something new to decide upon."""
        try:
            answered = self._red_main.answer(self._hub, self._target)
            if answered is not None:
                self._record_refusal(*answered)
                return True
            return self._perform(plan(self._situation(changes)), changes)
        except NotAllowed as error:
            # Withdrawn or closed meanwhile: then it is out of the queue, and nothing is wrong.
            if all(self._tracker.change(one).state in OPEN_CHANGE_STATES for one in changes):
                raise EnvironmentProblem(error.message) from error
            return True

    def _perform(self, now: Plan, changes: Mapping[str, Change]) -> bool:
        """As `_decide`."""
        if now.land is not None:
            self._land(self._book.trial(now.land, "passed"), changes)
            return True
        if now.refuse is not None:
            self._refuse(self._book.trial((now.refuse,), "failed"))
            return True
        for combination in now.cancel:
            self._runs.call_off(self._book.forget(combination, "running").run)
        if self._runs.more_soon():
            return False
        started = [self._start(combination, changes) for combination in now.start]
        return not all(started)

    def _start(self, combination: Combination, changes: Mapping[str, Change]) -> bool:
        """Merge and begin to gate a combination; False if that cannot be, which is new knowledge."""
        members = [changes[one] for one in combination]
        messages = {one.id: candidate_message(self._tracker.issue(one.issue), one) for one in members}
        made = self._stack.build(members, messages)
        if isinstance(made, Unfit):
            self._return(made)
            return False
        if isinstance(made, frozenset):
            self._clashes.add(made)
            return False
        self._keep(made[-1])
        point("landing.candidate")
        for link in made:
            if changes[link.change].state == "queued" and self._tracker.change(link.change).state == "queued":
                self._tracker.set_gating(link.change, link.commit)
        point("landing.gating")
        last, target = members[-1], self._target
        assignment = Assignment(
            target.main,
            target.branch,
            target.config,
            made,
            parts_of(self._tracker, self._hub, target.main, members, made),
            last.issue,
            last.attempt,
            tuple(self._tracker.issue(one.issue).scope for one in members),
        )
        self._book.begin(Trial(made, self._runs.start(lambda: judge_candidate(self._paths, assignment))))
        return True

    def _return(self, unfit: Unfit) -> None:
        if isinstance(unfit.why, MergeConflict):
            self._tracker.record_conflict(unfit.change, unfit.why.paths)
            return
        self._refuse_without_run(unfit.change, Finding("change", unfit.why.reason))

    def _refuse_without_run(self, change: str, finding: Finding) -> None:
        """A failed verdict about a change of which no candidate can be made or judged."""
        found = (finding,)
        verdict = Verdict("", "", self._target.main, "", passed=False, results=(), findings=found, seconds=0.0)
        if self._tracker.change(change).state == "queued":
            self._tracker.set_gating(change, "")
        self._tracker.record_verdict(change, "", summary(verdict))

    def _keep(self, tip: Link) -> None:
        """A ref for the candidate, so that whoever asks later finds what was gated."""
        ref = CANDIDATES + tip.change
        while (there := resolve(self._hub, ref)) != tip.commit and not move_ref(self._hub, ref, tip.commit, there):
            pass

    def _wait(self, bell: Doorbell) -> None:
        """Until a run ends or the set of changes is another one."""
        known = {change.id for change in self._tracker.changes()}
        while True:
            soon = self._runs.more_soon()
            patience = min(soon or LOOK_SECONDS, self._runs.patience or LOOK_SECONDS)
            select.select([bell.fileno(), *self._runs.descriptors()], [], [], patience)
            self._left_over |= self._runs.reap()
            ended = self._runs.ended()
            for run in ended:
                if not self._red_main.note_end(run):
                    self._note_end(self._book.of_run(run.pid))
            bell.clear()
            is_late = soon and not self._runs.more_soon()
            if ended or is_late or {change.id for change in self._tracker.changes()} != known:
                return

    def _sweep(self) -> None:
        """A run that is called off may be interrupted while it cleans up."""
        if self._runs.reap() or self._left_over:
            sweep(self._paths)
            self._left_over = False

    def _note_end(self, trial: Trial) -> None:
        answer = trial.run.answer()
        if isinstance(answer, dict):
            point("landing.checked")
            file_flaky(self._tracker, answer["flaky"], run=answer["run"], tree=answer["summary"]["tree"])
            self._book.note(trial, answer)
        elif answer is not None:
            raise GateUnavailable(answer.message, hint=answer.hint)
        else:
            self._note_death(trial)

    def _note_death(self, trial: Trial) -> None:
        """A run that ended without a word: who is to blame is found out as with any failure, but of one that was judged
        alone it takes several deaths."""
        members = trial.combination
        sweep(self._paths)
        if len(members) > 1:
            self._book.note(trial, None)
            return
        self._book.forget(members, "running")
        deaths = self._deaths[members[0]] = self._deaths.get(members[0], 0) + 1
        if deaths >= MAX_DEATHS:
            reason = f"the gate's process died {deaths} times while it judged this change"
            self._refuse_without_run(members[0], Finding("gate", reason))

    def _refuse(self, trial: Trial) -> None:
        """The culprit, alone on main."""
        if trial.summary is None:  # its runs died, but never yet when it was alone
            self._book.forget(trial.combination, "failed")
            self._deaths[trial.combination[0]] = 1
            return
        self._book.forget(trial.combination, "failed")
        if trial.landed and self._looks_at_the_difference(trial.summary):
            return  # it was judged together with others that have landed since: it is judged alone next
        change = self._tracker.change(trial.links[-1].change)
        refusal = Refusal(change, trial.record(self._paths), trial.summary)
        if not self._red_main.ask(self._hub, self._target, refusal):
            self._record_refusal(refusal, refusal.summary)

    def _record_refusal(self, refusal: Refusal, against: dict[str, Any] | None) -> None:
        """With what is left against the change; None if it is to be judged again."""
        if against is None:
            return
        try:
            self._tracker.record_verdict(refusal.change.id, refusal.record["candidate"], against)
        except NotAllowed:
            if self._tracker.change(refusal.change.id).state in OPEN_CHANGE_STATES:
                raise
            return  # withdrawn meanwhile
        point("landing.verdict")
        self._cautious = False
        self._measure()
        self._red_main.refused(self._hub, self._target, refusal.change, against)

    def _looks_at_the_difference(self, verdict: Mapping[str, Any]) -> bool:
        """Whether a check failed that judges all changes of a combination as one, such as their size."""
        kinds = {check.name: check.kind for check in self._target.config.check}
        return any(
            finding["check"] == BASE_TESTS or kinds.get(finding["check"]) in OF_THE_DIFFERENCE
            for finding in verdict["findings"]
        )

    def _land(self, trial: Trial, changes: Mapping[str, Change]) -> None:
        """Move main to a combination that passed, unless one of its changes was withdrawn or main has moved."""
        links, tip = trial.open_links, trial.links[-1].commit
        self._book.forget(trial.combination, "passed")
        try:
            record = self._record_pass(trial, changes)
            point("landing.noted")
            going = all(self._tracker.change(link.change).state == "passed" for link in links)
            landed = going and land(self._hub, self._target.branch, tip)
        except NotAllowed:
            self._requeue(link.change for link in links)
            raise
        if not landed:
            self._requeue(link.change for link in links)
            return
        point("landing.moved")
        self._aftermath.add(links, changes, record)
        self._measure()
        self._target = Target(self._target.branch, tip, load_config(self._hub, tip))
        self._stack = self._stack.on(tip)
        for run in self._book.move_on(links):
            self._runs.call_off(run)
        self._cautious = False

    def _record_pass(self, trial: Trial, changes: Mapping[str, Change]) -> Record:
        """Tell the tracker of every change, and attach the evidence to the commit that main is about to move to."""
        assert trial.summary is not None
        for link in trial.open_links:
            self._tracker.record_verdict(link.change, link.commit, trial.summary)
            point("landing.verdict")
        record, tip = trial.record(self._paths), trial.links[-1]
        attach(self._hub, tip.commit, record_for(record, changes[tip.change]))
        return record

    def _requeue(self, changes: Iterable[str]) -> None:
        """Back into the queue with those that were on their way; those that main contains have landed."""
        hub = open_bare(self._paths.hub)
        main = resolve(hub, f"refs/heads/{hub_branch(hub)}") or ""
        for change in changes:
            settle(self._tracker, hub, main, self._tracker.change(change))

    def _measure(self) -> None:
        recent = self._tracker.decided(MEASURED)
        self._pass_rate = pass_rate(recent.landed + len(self._aftermath.changes()), recent.refused)

    def _show(self, changes: Mapping[str, Change]) -> None:
        view = self._book.view(self._target.main, self._clashes, tuple(changes))
        write_view(self._paths, {**view, "asked": self._red_main.asked()})
