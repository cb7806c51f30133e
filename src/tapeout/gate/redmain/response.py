"""What the lander does about a main that fails the gate by itself.

Everything that is written is written in one transaction, after everything was found out. So whoever is killed before
it has done nothing, and whoever comes after it finds the issue, and the revert in the queue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.faults import point
from tapeout.base.git import first_parent
from tapeout.base.paths import StatePaths
from tapeout.gate.candidate import MergeConflict
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.evidence import Record
from tapeout.gate.quarantine import file_flaky
from tapeout.gate.redmain.inquiry import Answer, Question, inquire, landed_as
from tapeout.gate.redmain.revert import make_revert, revert_of
from tapeout.gate.redmain.signature import Facts, failed, shape, without
from tapeout.gate.target import Target
from tapeout.gate.trials import Run, Runs, Unavailable
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.commands.redmain import Culprit
from tapeout.tracker.model import RED_MAIN, Change

MOST_FLAKES = 2
"""So often a change is judged again because main failed like it, and then did not; or nobody could tell."""

KNOWN_SECONDS = 0.1
"""What is known of main from before takes a fifth of this time to look up."""

_REASON_CHARS = 300
_TITLE_CHARS = 160

Summary = dict[str, Any]


class MainIsRed(EnvironmentProblem):
    """The target branch itself fails the gate: nothing can land, and the queue stops."""


class Refusal(NamedTuple):
    """A change that failed as the only one on main."""

    change: Change
    record: Record
    """Of its verdict."""
    summary: Summary


@dataclass
class Inquiry:
    """Whether main fails like a change that failed alone on it is being found out."""

    refusal: Refusal
    ours: tuple[Facts, ...]
    """How the checks ended that refuse the change."""
    main: str
    run: Run
    is_over: bool = False


class RedMain:
    """Keeps changes from being blamed for what main fails by itself. One for each lander."""

    def __init__(self, paths: StatePaths, tracker: Tracker, runs: Runs) -> None:
        self._paths = paths
        self._tracker = tracker
        self._runs = runs
        self._inquiries: list[Inquiry] = []
        self._flakes: dict[str, int] = {}
        self._reverts: dict[str, bool] = {}

    def first(self, hub: pygit2.Repository, changes: dict[str, Change]) -> dict[str, Change]:
        """The reverts among the changes, which nothing else is judged beside; all changes, if there is none."""
        return {one.id: one for one in changes.values() if self._is_revert(hub, one)} or changes

    def _is_revert(self, hub: pygit2.Repository, change: Change) -> bool:
        if change.id not in self._reverts:
            self._reverts[change.id] = revert_of(hub, change.commit) is not None
        return self._reverts[change.id]

    def ask(self, hub: pygit2.Repository, target: Target, refusal: Refusal) -> bool:
        """Begin to find out what is left against a change that failed alone on main; False if it is all there is.

        Raises:
            EnvironmentProblem: no process can be started.
        """
        change, record, summary = refusal
        ours = failed(record["checks"])
        if not ours or self._is_revert(hub, change):
            return False
        alone = {finding["check"] for finding in summary["findings"]} <= {one["name"] for one in ours}
        doubted = self._is_asked_alike(target.main, ours) or bool(self._refused_alike(hub, target.main, change, ours))
        question = Question(target.main, target.branch, target.config, ours, alone, doubted)
        run = self._runs.start(lambda: inquire(self._paths, question))
        if not doubted:
            self._runs.expect(run, KNOWN_SECONDS)
        self._inquiries.append(Inquiry(refusal, ours, target.main, run))
        return True

    def asked(self) -> list[str]:
        """Ids of the changes of which it is not known yet."""
        return [one.refusal.change.id for one in self._inquiries]

    def note_end(self, run: Run) -> bool:
        """A run has ended; whether it was one of these."""
        found = [one for one in self._inquiries if one.run is run]
        for one in found:
            one.is_over = True
        return bool(found)

    def answer(self, hub: pygit2.Repository, target: Target) -> tuple[Refusal, Summary | None] | None:
        """A change of which it is known now, with what is left against it, or None if it is to be judged again; None if
        there is no such change.

        Raises:
            MainIsRed: main fails by itself, and the queue cannot do anything about it.
            GateUnavailable: no verdict on main is possible on this machine now.
        """
        inquiry = next((one for one in self._inquiries if one.is_over), None)
        if inquiry is None:
            return None
        self._inquiries.remove(inquiry)
        found = inquiry.run.answer()
        if isinstance(found, Unavailable):
            raise GateUnavailable(found.message, hint=found.hint)
        answer = Answer(**found) if found is not None else Answer("flaky")  # it was killed, which says nothing
        return inquiry.refusal, self._respond(hub, target, inquiry, answer)

    def forget(self) -> None:
        """Nobody wants to know any more: main is another one, or known to be red."""
        for one in self._inquiries:
            if not one.is_over:
                self._runs.call_off(one.run)
        self._inquiries.clear()

    def _respond(self, hub: pygit2.Repository, target: Target, inquiry: Inquiry, answer: Answer) -> Summary | None:
        point("redmain.known")
        change, record, summary = inquiry.refusal
        if answer.cause == "none":
            return summary
        if answer.cause == "more":
            return without(summary, answer.red)
        if answer.cause == "flaky":
            self._flakes[change.id] = self._flakes.get(change.id, 0) + 1
            found = [(name, name) for name in answer.red]
            file_flaky(self._tracker, found, run=record["run"], tree=record["tree"])
            return summary if self._flakes[change.id] > MOST_FLAKES else None
        self.forget()
        if alike := self._refused_alike(hub, inquiry.main, change, inquiry.ours):
            said = "A change of this issue was refused for what the target branch turned out to fail by itself"
            self._tracker.comment_many(alike, f"{said}: {answer.reason[:_REASON_CHARS]}")
        if answer.cause == "everywhere":
            raise MainIsRed(
                f"{target.branch} is red, and so is {answer.culprit[:10]}, the newest commit that was good or the first"
                f" there is: {answer.reason[:_REASON_CHARS]}. This machine is at fault, or the check, and no commit"
            )
        self._report(hub, target, answer)
        return None

    def _is_asked_alike(self, main: str, ours: tuple[Facts, ...]) -> bool:
        shapes = _shapes_of(ours)
        return any(one.main == main and shapes & _shapes_of(one.ours) for one in self._inquiries)

    def _refused_alike(self, hub: pygit2.Repository, main: str, change: Change, ours: tuple[Facts, ...]) -> list[str]:
        """Other issues whose changes were refused for the same on this main. Then main is run again whatever is known
        of it: something may have changed outside of the repository."""
        shapes = _shapes_of(ours)
        return sorted(
            {
                one.issue
                for one in self._tracker.changes(("failed",))
                if one.issue != change.issue
                and one.candidate
                and one.candidate in hub
                and first_parent(hub, one.candidate) == main
                and shapes & _shapes(one.verdict)
            }
        )

    def _report(self, hub: pygit2.Repository, target: Target, answer: Answer) -> None:
        """File the issue, once, and see to the revert; raises `MainIsRed` if there is none."""
        change, issue = landed_as(hub, answer.culprit) or ("", "")
        culprit = Culprit(answer.culprit, change, issue, tuple(answer.red))
        title = f"{target.branch} is red since {answer.culprit[:10]}: {', '.join(answer.red)}"
        draft = _draft(title[:_TITLE_CHARS], culprit, answer, reverts=target.config.queue.revert_red)
        known = next((one for one in self._tracker.red_main() if one.title == draft.title), None)
        said = f"{target.branch} is red since {answer.culprit[:10]}: {answer.reason[:_REASON_CHARS]}"
        tried = self._tracker.all_changes(known.id) if known else []
        if known and tried:
            why = (tried[-1].verdict or {}).get("reason", tried[-1].state)
            if not known.needs_person:  # killed before it was said
                self._tracker.need_person(known.id, f"its revert did not land: {why}")
            raise MainIsRed(f"{said}; its revert did not land: {why}; mend it on your branch ({known.id})")
        revert, why = _revert(hub, target, answer.culprit, said)
        point("redmain.reverted")
        filed = self._tracker.report_red_main(draft, culprit, why=why, revert=revert)
        point("redmain.reported")
        if revert is None:
            raise MainIsRed(f"{said}; {why} ({filed.id})")

    def refused(self, hub: pygit2.Repository, target: Target, change: Change, summary: Summary) -> None:
        """A change was refused: if it was a revert, a person has to mend main.

        Raises:
            MainIsRed: it was.
        """
        if not self._is_revert(hub, change):
            return
        why = f"its revert was refused: {summary['reason'][:_REASON_CHARS]}"
        culprit = (revert_of(hub, change.commit) or "")[:10]
        self._tracker.need_person(change.issue, why)
        raise MainIsRed(f"{target.branch} is red since {culprit}; {why}; mend it on your branch ({change.issue})")


def _revert(hub: pygit2.Repository, target: Target, culprit: str, said: str) -> tuple[tuple[str, str] | None, str]:
    """Commit and base of a revert, or None and what a person is asked to do."""
    if not target.config.queue.revert_red:
        return None, "mend it on your branch, or set queue.revert_red"
    made = make_revert(hub, target.main, culprit, said)
    if isinstance(made, str):
        return (made, target.main), ""
    why = f"later commits changed {', '.join(made.paths)}, too" if isinstance(made, MergeConflict) else made.reason
    return None, f"it cannot be reverted: {why}; mend it on your branch"


def _shapes_of(failures: tuple[Facts, ...]) -> set[tuple[str, str]]:
    return {(one["name"], shape(one["reason"])) for one in failures}


def _shapes(verdict: Mapping[str, Any] | None) -> set[tuple[str, str]]:
    return {(one["check"], shape(one["reason"])) for one in (verdict or {}).get("findings", [])}


def _draft(title: str, culprit: Culprit, answer: Answer, *, reverts: bool) -> Draft:
    if culprit.escaped:
        whose = f"It landed as change {culprit.change} of issue {culprit.issue}: the gate let it through."
    else:
        whose = "People put it on their branch, past the gate."
    if not reverts:
        todo = "The queue is stopped. Mend it on your branch, or set `revert_red = true` under `[queue]`."
    elif culprit.escaped:
        todo = "A revert of it goes through the gate before all other changes."
    else:
        todo = (
            "A revert of this commit of a person goes through the gate before all other changes; nothing is rewritten."
        )
    excerpt = "\n".join(f"    {line}" for line in answer.excerpt.splitlines())
    body = f"Since commit {culprit.commit} the target branch fails by itself: {answer.reason}\n\n{whose}\n\n{todo}"
    return Draft(
        title,
        body=f"{body}\n\n{excerpt}" if excerpt else body,
        acceptance=f"The target branch passes {', '.join(answer.red)}.",
        type="bug",
        priority=0,
        labels=(RED_MAIN,),
    )
